/** The paths of a gateway's own that are described beside its routes. */
import { type Json, json, refusals, text } from './responses.ts'

/** The paths that a gateway has for operators, as far as they are not turned off. */
export type OperationPath =
  | '/healthz'
  | '/readyz'
  | '/metrics'
  | '/status'
  | '/topics'
  | '/topics/{topic}'

export const OPERATIONS: Record<OperationPath, Json> = {
  '/healthz': {
    get: {
      operationId: 'healthz',
      tags: ['Operations'],
      summary: 'Whether the process lives',
      security: [{}],
      responses: { 200: { description: 'It does', content: json('Health') } },
    },
  },
  '/readyz': {
    get: {
      operationId: 'readyz',
      tags: ['Operations'],
      summary: 'Whether requests can be served',
      security: [{}],
      responses: {
        200: { description: 'They can', content: json('Health') },
        503: { description: 'They cannot, and why', content: json('Health') },
      },
    },
  },
  '/metrics': {
    get: {
      operationId: 'metrics',
      tags: ['Operations'],
      summary: "Metrics in Prometheus's text format",
      responses: {
        200: {
          description: 'All of them',
          content: { 'text/plain': { schema: { type: 'string' } } },
        },
        ...refusals(401, 403),
      },
    },
  },
  '/status': {
    get: {
      operationId: 'status',
      tags: ['Operations'],
      summary: 'Routes, topics and groups',
      responses: {
        200: { description: 'As of a second ago', content: json('Status') },
        ...refusals(401, 403),
      },
    },
  },
  '/topics': {
    get: {
      operationId: 'topics',
      tags: ['Operations'],
      summary: 'Topics with their records, rates, replicas, and the lag of their consumer groups',
      responses: {
        200: { description: 'As of five seconds ago', content: json('Topics') },
        ...refusals(401, 403),
      },
    },
  },
  '/topics/{topic}': {
    get: {
      operationId: 'topic',
      tags: ['Operations'],
      summary: 'One topic with its partitions and consumer groups',
      parameters: [
        { name: 'topic', in: 'path', required: true, ...text('Name of the topic') },
        { name: 'cluster', in: 'query', ...text('Name of the cluster, where several have it') },
      ],
      responses: {
        200: { description: 'As of five seconds ago', content: json('Topic') },
        ...refusals(401, 403, 404),
      },
    },
  },
}
