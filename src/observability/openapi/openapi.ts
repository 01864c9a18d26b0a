import { toJsonSchema } from '@valibot/to-json-schema'
import packageJson from '../../../package.json' with { type: 'json' }
import { isCommittedByPost } from '../../http/consume/offsets.ts'
import { WRITE_NAMES } from '../../http/produce/answer-post.ts'
import type { ProduceStats } from '../../http/produce/kafka-produce.ts'
import { isOffsetsPath } from '../../http/request/client.ts'
import { READ_NAMES, SOCKET_NAMES, STREAM_NAMES } from '../../http/request/parameters.ts'
import type { RouteStats } from '../../http/route/route-stats.ts'
import type { UpstreamStats } from '../../http/upstream/kafka-upstream.ts'
import type { SchemasByTopic } from '../../records/topic-schemas.ts'
import { OPERATIONS, type OperationPath } from './operations.ts'
import { type Json, json, ref, refusals, refusalsAs, text } from './responses.ts'
import { PARAMETERS, SCHEMAS, WRITE_PARAMETERS } from './schemas.ts'
import { addRecords, type Components, readBodies, writeBody } from './topic-components.ts'

type DescribedOperation =
  | Pick<RouteStats, 'mode' | 'topics' | 'commitStrategy' | 'filters'>
  | Pick<ProduceStats | UpstreamStats, 'mode' | 'topics'>

/** A handler of `kafkaConsume`, `kafkaProduce` or `kafkaUpstream`, as far as it is described. */
export interface DescribedHandler {
  /** Statistics of the handler, of which its description needs mode and topics. */
  stats(): DescribedOperation
  /** The schemas of topics that have any. Default: none. */
  readonly schemas?: SchemasByTopic
}

/** A route to describe. */
export interface DescribedRoute {
  readonly name: string
  readonly paths: readonly string[]
  /** Whether it is also served below its paths. Default: false. */
  readonly isPrefix?: boolean
  /** Whether it is also served at its paths with `/offsets` appended. Default: where it is a prefix. */
  readonly hasOffsets?: boolean
  /** The only methods that it is served for. Default: all. */
  readonly methods?: readonly string[] | undefined
  readonly hosts: readonly string[]
  readonly handler: DescribedHandler
}

/**
 * The OpenAPI 3.1 document of these routes. A route whose path is a regular expression is left out:
 * OpenAPI cannot describe it.
 *
 * @param operations The paths of a gateway's own that are served beside the routes. Default: none.
 */
export function openApi(
  routes: readonly DescribedRoute[],
  operations: readonly OperationPath[] = [],
): Json {
  const paths: Record<string, Json> = {}
  const schemas: Components = Object.fromEntries(
    Object.entries(SCHEMAS).map(([name, schema]) => [name, schemaOf(schema)]),
  )
  for (const path of operations) paths[path] = OPERATIONS[path]
  for (const route of routes) {
    const { topics } = route.handler.stats()
    const about = { tags: ['Records'], description: describe(route, topics) }
    for (const { path, method, operation } of operationsOf(route)) {
      if (Object.hasOwn(paths[path] ?? {}, method)) continue
      const typed = withSchemas(schemas, route.handler, { ...about, ...operation })
      paths[path] = { ...paths[path], [method]: typed }
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Kafka over HTTP',
      version: packageJson.version,
      license: { name: packageJson.license, identifier: packageJson.license },
      description:
        'Apache Kafka topics over HTTP: records by GET, or streamed. Fields and headers that a client does not know are to be ignored.',
    },
    servers: [{ url: '/' }],
    tags: [
      { name: 'Records', description: 'What is in topics' },
      { name: 'Operations', description: 'How the gateway is' },
    ],
    security: [{}, { bearer: [] }, { basic: [] }],
    paths,
    components: {
      schemas,
      responses: { Error: { description: 'What cannot be done', content: json('Error') } },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'A key, or a JSON Web Token' },
        basic: { type: 'http', scheme: 'basic' },
      },
    },
  }
}

/** An operation with the schemas of its topics. */
function withSchemas(components: Components, handler: DescribedHandler, operation: Json): Json {
  const { schemas } = handler
  const { mode, topics } = handler.stats()
  const isPost = 'requestBody' in operation
  if (!schemas || schemas.size === 0 || isPost !== (mode === 'produce')) return operation
  const base = isPost ? 'NewRecord' : 'Record'
  const added = addRecords(components, topics, schemas, base)
  const names = added.names.map((name) => `\`${name}\``).join(', ')
  const described = { ...operation, description: `${operation['description']} Records: ${names}.` }
  if (isPost) {
    const { requestBody } = operation as { readonly requestBody: { readonly content: Json } }
    const content = { ...requestBody.content, 'application/json': { schema: writeBody(added) } }
    return { ...described, requestBody: { ...requestBody, content } }
  }
  const { responses } = operation as { readonly responses: Readonly<Record<string, Json>> }
  const { content } = (responses['200'] ?? {}) as { readonly content?: Json }
  if (!content || !('application/json' in content)) return described
  const typed = { ...content, 'application/json': { schema: readBodies(components, added) } }
  return { ...described, responses: { ...responses, 200: { ...responses['200'], content: typed } } }
}

interface FoundOperation {
  readonly path: string
  readonly method: string
  readonly operation: Json
}

function operationsOf(route: DescribedRoute): FoundOperation[] {
  const { handler, paths, methods, isPrefix, hasOffsets = isPrefix } = route
  const described = handler.stats()
  const isConsumed = 'commitStrategy' in described
  const isCommitted = isConsumed && isCommittedByPost(described)
  const main = mainMethod(described.mode, methods)
  const found = paths
    .filter((path) => !path.startsWith('~'))
    .flatMap((path): FoundOperation[] => {
      const offsetsAt = (at: string): FoundOperation[] => [
        { path: at, method: 'get', operation: reportedOffsets(`get ${at}`) },
        ...(isCommitted
          ? [{ path: at, method: 'post', operation: commit(`post ${at}`) } as const]
          : []),
      ]
      if (isConsumed && isOffsetsPath(path)) return offsetsAt(path)
      const operation = withFilters(operationOf(described.mode, `${main} ${path}`), described)
      const found: FoundOperation[] = [{ path, method: main, operation }]
      if (!isConsumed) return found
      if (described.mode !== 'websocket') {
        const head = withFilters(positions(described.mode, `head ${path}`), described)
        found.push({ path, method: 'head', operation: head })
      }
      return hasOffsets ? [...found, ...offsetsAt(`${path.replace(/\/$/, '')}/offsets`)] : found
    })
  return found.filter(({ method }) => methods?.includes(method.toUpperCase()) ?? true)
}

/** Describes the named filters of a route at the parameter that takes them. */
function withFilters(operation: Json, described: DescribedOperation): Json {
  const filters = Object.entries('filters' in described ? described.filters : {})
  const parameters = operation['parameters'] as readonly Json[] | undefined
  if (filters.length === 0 || !parameters) return operation
  const list = filters.map(([name, expression]) => `\`@${name}\`: \`${expression}\``)
  const describeFilter = (parameter: Json) => ({
    ...parameter,
    description: `${parameter['description']}, or the name of one: ${list.join('; ')}`,
    examples: Object.fromEntries(
      filters.map(([name, expression]) => [name, { value: `@${name}`, summary: expression }]),
    ),
  })
  return {
    ...operation,
    parameters: parameters.map((each) => (each['name'] === 'filter' ? describeFilter(each) : each)),
  }
}

/** The method of a route's main operation. Any method writes with `kafkaUpstream`. */
function mainMethod(mode: DescribedOperation['mode'], methods: readonly string[] = []): string {
  if (mode === 'produce') return 'post'
  if (mode !== 'upstream') return 'get'
  const [first = 'POST'] = methods
  return (methods.includes('POST') ? 'POST' : first).toLowerCase()
}

function describe({ name, hosts, paths }: DescribedRoute, topics: readonly string[]): string {
  const parts = [
    `Topics: ${topics.map((topic) => `\`${topic}\``).join(', ')}.`,
    paths.includes(name) ? '' : `Route \`${name}\`.`,
    hosts.length === 0 ? '' : `On ${hosts.map((host) => `\`${host}\``).join(', ')}.`,
  ]
  return parts.filter(Boolean).join(' ')
}

function operationOf(mode: DescribedOperation['mode'], operationId: string): Json {
  if (mode === 'upstream') return { operationId, ...upstream }
  if (mode === 'produce') return { operationId, ...write }
  if (mode === 'http-get') return { operationId, ...once }
  if (mode === 'server-sent-events') return { operationId, ...streamed }
  if (mode === 'websocket') return { operationId, ...socket }
  return {
    operationId,
    summary: 'Read once, or as a stream',
    description: `As JSON or lines: ${once.description}. An event stream takes nothing`,
    parameters: parametersOf([...READ_NAMES, ...STREAM_NAMES, ...SOCKET_NAMES], [LAST_EVENT_ID]),
    responses: {
      ...once.responses,
      200: {
        description: 'As `Accept` asks',
        headers: once.responses[200].headers,
        content: { ...once.responses[200].content, ...streamed.responses[200].content },
      },
      101: socket.responses[101],
    },
  }
}

function positions(mode: RouteStats['mode'], operationId: string): Json {
  return {
    operationId,
    summary: 'Positions, without records',
    parameters: parametersOf(mode === 'server-sent-events' ? STREAM_NAMES : READ_NAMES),
    responses: {
      200: {
        description: 'Reads nothing, and takes nothing from the consumer group',
        headers: {
          'Kafka-Begin': text('The first records that Kafka keeps, as a cursor'),
          'Kafka-End': text('The `end`, or the end of the topics, as a cursor'),
          'Kafka-Cursor': text('The position of the request, where it has one'),
        },
      },
    },
  }
}

function reportedOffsets(operationId: string): Json {
  return {
    operationId,
    summary: 'Offsets of each partition, and those of the consumer group',
    responses: {
      200: { description: 'As Kafka has them now', content: json('ReportedOffsets') },
      ...refusals(400, 401, 403, 405, 429, 500, 502, 503, 504),
    },
  }
}

function commit(operationId: string): Json {
  return {
    operationId,
    summary: 'Commit for the consumer group',
    requestBody: { required: true, content: json('Offsets') },
    responses: { 204: { description: 'Kafka has them' }, ...refusals(400, 405, 502, 503, 504) },
  }
}

/** Schemas in JSON Schema of 2020-12, which is what OpenAPI 3.1 has. */
function schemaOf(schema: Parameters<typeof toJsonSchema>[0]): Json {
  const { $schema: _, ...rest } = toJsonSchema(schema, {
    target: 'draft-2020-12',
    typeMode: 'input',
  })
  return rest
}

function parametersOf(
  names: readonly string[],
  more: readonly Json[] = [],
  table = PARAMETERS,
): readonly Json[] {
  const query = [...new Set(names)].map((name) => {
    const found = table[name]
    if (!found) throw new Error(`Cannot describe parameter ${name}: it has no schema`)
    const schema = schemaOf(found.schema)
    return {
      name,
      in: 'query',
      description: found.description,
      schema: found.isRepeatable ? { type: 'array', items: schema } : schema,
    }
  })
  return [...query, ...more]
}

/** Statuses by which a request is refused, each with its codes. */
const LAST_EVENT_ID = {
  name: 'Last-Event-ID',
  in: 'header',
  description: 'Resume exactly there; it goes before the query',
  schema: ref('Cursor'),
}

const REFUSALS = refusals(400, 401, 403, 404, 405, 406, 429, 500, 502, 503, 504)

const lines = {
  schema: { type: 'string', description: 'One JSON a line, each a `Line`' },
  example:
    '{"topic":"orders","partition":0,"offset":42,"timestamp":1787305085262,"key":null,"value":"hello","headers":{}}\n',
}

const once = {
  summary: 'Read once',
  description:
    '**Without `cursor` or `start` this request takes records from the consumer group**: no other client of the group gets them. With a position, such as `start=-10` for the newest 10, it takes nothing, and can be repeated',
  parameters: parametersOf(READ_NAMES),
  responses: {
    200: {
      description:
        'Records, perhaps none. Without a position each goes to one client of the consumer group, and is committed when it was delivered; from a position nothing is committed, and the headers say where to go on',
      headers: {
        'Kafka-Cursor': text('From a position: where to go on'),
        Link: text(
          'From a position: the pages after and before this one, as `rel="next"` and `rel="prev"`',
        ),
        'Kafka-Gaps': text('From a position: a JSON array of gaps, where there are any'),
      },
      content: {
        'application/json': {
          schema: { anyOf: [ref('KongRecords'), ref('Records'), { type: 'array', items: {} }] },
        },
        'application/x-ndjson': lines,
      },
    },
    ...REFUSALS,
  },
} as const

const streamed = {
  summary: 'Follow as a stream',
  parameters: parametersOf(STREAM_NAMES, [LAST_EVENT_ID]),
  responses: {
    200: {
      description:
        'Records as they come, until either side ends it. In an event stream `id` is the cursor after the record. Events without a name carry records; `event: cursor` carries a position, `event: gap` a `Gap` and `event: error` an `Error`; `event: end` comes last where an `end` was given. Comments are heartbeats',
      headers: { 'Kafka-Cursor': text('Where reading began') },
      content: {
        'text/event-stream': {
          schema: {
            type: 'string',
            description: 'Server-Sent Events; the data of each without a name is a `Record`',
          },
          example:
            'retry: 2258\nevent: cursor\ndata: {"cursor":"orders:0=42"}\nid: orders:0=42\n\ndata: {"topic":"orders","partition":0,"offset":42,"timestamp":1787305085262,"key":null,"value":"hello","headers":{}}\nid: orders:0=43\n\n',
        },
        'application/x-ndjson': lines,
      },
    },
    ...REFUSALS,
  },
} as const

const socket = {
  summary: 'Open a WebSocket',
  description:
    '**With `acks=true` it takes records from the consumer group**, which its client acknowledges. Otherwise it reads without the group',
  parameters: parametersOf(SOCKET_NAMES),
  responses: {
    101: {
      description:
        'Text frames: each a `Record` with a `cursor`, the position after it, or `{"cursor"}`, `{"gap","cursor"}`, `{"ended","cursor"}` or `{"failure"}`; with a format other than `records` it is `{"data","cursor"}`. With `acks=true` the client answers `{"ack":{"topic","partition","offset"}}`',
    },
    ...REFUSALS,
    ...refusals(426),
  },
} as const

const write = {
  summary: 'Write records',
  parameters: parametersOf(WRITE_NAMES, [], WRITE_PARAMETERS),
  requestBody: {
    required: true,
    content: {
      ...json('NewRecords'),
      'application/x-ndjson': {
        schema: { type: 'string', description: 'One JSON a line, each a `NewRecord`' },
        example: '{"key":"a","value":"hello"}\n',
      },
      '*/*': {
        schema: {
          description:
            'The value of one record, byte for byte; request headers `Kafka-Header-NAME` are its headers',
        },
      },
    },
  },
  responses: {
    200: { description: 'Kafka has confirmed all of them', content: json('Written') },
    ...refusalsAs('NotWritten', [400, 401, 403, 404, 405, 413, 429, 500, 502, 503, 504]),
  },
} as const

const upstream = {
  summary: 'Write the request as a record',
  requestBody: {
    content: { '*/*': { schema: { description: 'Any body of at most 1 MiB' } } },
  },
  responses: {
    200: {
      description: 'The record is written, or buffered to be written',
      content: json('Sent'),
    },
    ...Object.fromEntries(
      Object.entries({
        400: 'The body cannot be parsed, or does not fit its schema',
        413: 'The body has more than 1 MiB',
        500: 'The message could not be transformed',
        502: 'The record could not be written',
      }).map(([status, description]) => [status, { description, content: json('NotSent') }]),
    ),
  },
} as const
