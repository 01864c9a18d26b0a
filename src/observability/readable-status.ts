/** The part of a status that a client with a scope may see. */
import { isRestricted, type KafkaClient, readablePartitions } from '../http/request/client.ts'
import type { Status } from './status.ts'

/** Modes of routes that give records. */
const READING = new Set(['http-get', 'server-sent-events', 'websocket', 'auto'])

/**
 * A status as a client may see it: whole, or for a client with a scope the topics and partitions that it
 * may read and the routes that give them. It then names no consumer groups, brokers and numbers of streams.
 */
export function readableStatus(status: Status, client: KafkaClient): Status {
  if (!isRestricted(client)) return status
  const { version, routes, clusters } = status
  const mayRead = topicsOf(client)
  const readable = routes
    .filter(({ mode }) => READING.has(mode))
    .map(({ streams: _streams, ...route }) => {
      return { ...route, topics: route.topics.filter(mayRead), groups: [] }
    })
    .filter(({ topics }) => topics.length > 0)
  const read = new Set(readable.map(({ cluster }) => cluster))
  return {
    version,
    routes: readable,
    clusters: clusters
      .filter(({ name }) => read.has(name))
      .map((cluster) => ({
        ...cluster,
        brokers: [],
        topics: cluster.topics
          .filter(({ name }) => mayRead(name))
          .map(({ name, partitions }) => ({
            name,
            partitions: partitionsOf(client, name, partitions),
          }))
          .filter(({ partitions }) => partitions.length > 0),
      })),
    groups: [],
  }
}

type Ranges = Status['clusters'][number]['topics'][number]['partitions']

function partitionsOf(client: KafkaClient, topic: string, partitions: Ranges): Ranges {
  return readablePartitions(
    client,
    partitions.map((range) => ({ ...range, topic })),
  ).map(({ topic: _topic, ...range }) => range)
}

function topicsOf({ only }: KafkaClient): (topic: string) => boolean {
  const topics = only?.topics ?? []
  return (topic) => topics.length === 0 || topics.includes(topic)
}
