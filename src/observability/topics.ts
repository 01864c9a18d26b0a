/** `GET /topics`: the topics of a gateway's routes, with their partitions and consumer groups, as JSON. */
import { type Context, Hono } from 'hono'
import { asKafkaConsumeError, describeError, KafkaConsumeError } from '../core/errors.ts'
import { partitionKey } from '../core/topic-partition.ts'
import { clientOf, isRestricted, readablePartitions } from '../http/request/client.ts'
import { errorResponse } from '../http/response/error-response.ts'
import type { PartitionDetails } from '../http/route/topic-details.ts'
import type { GroupProgress } from '../port/topic-details.ts'
import {
  type ClusterTopics,
  type DetailedHandler,
  SettingsCache,
  TopicSnapshots,
} from './topic-snapshots.ts'

/** A route that reads, as far as the topics of a gateway need it. */
interface ReadingRoute {
  readonly name: string
  readonly handler: DetailedHandler
}

/**
 * The topics of routes at `/`, and one topic with its partitions at `/:topic`. Kafka is asked at most
 * once in five seconds for each cluster, and for sizes once in half a minute, whatever the number of requests.
 *
 * A client with a scope sees the topics and partitions of its scope, and neither consumer groups nor settings.
 *
 * @param reading Returns the routes that read; called at each request.
 */
export function topicRoutes(reading: () => readonly ReadingRoute[]): Hono {
  const snapshots = new TopicSnapshots()
  const settings = new SettingsCache()
  const app = new Hono()
  app.get('/', async (c) => {
    const read = reading()
    const clusters = await snapshots.of(read.map(({ handler }) => handler))
    c.header('Cache-Control', 'no-store')
    return c.json({ clusters: clusters.map((cluster) => listOf(c, cluster, read)) })
  })
  app.get('/:topic', async (c) => {
    const read = reading()
    const { topic } = c.req.param()
    const wanted = c.req.query('cluster')
    const clusters = await snapshots.of(read.map(({ handler }) => handler))
    const found = clusters
      .filter(({ name }) => wanted === undefined || name === wanted)
      .map((cluster) => detailOf(c, cluster, topic, read))
      .find((detail) => detail !== undefined)
    c.header('Cache-Control', 'no-store')
    if (!found) return unknownTopic(c, topic)
    const handler = read.find(({ name }) => found.routes.includes(name))?.handler
    const configuration =
      handler && !isRestricted(clientOf(c))
        ? await settings.of(found.cluster, topic, handler)
        : undefined
    return c.json({ ...found, configuration: configuration ?? null })
  })
  return app
}

/** The answer for a topic that does not exist, that no route reads, or that the client may not read. */
function unknownTopic(c: Context, topic: string): Response {
  const message = `Cannot show topic "${topic.slice(0, 249)}": no route has it`
  return errorResponse(c, new KafkaConsumeError('UNKNOWN_TOPIC', message), false)
}

function listOf(c: Context, cluster: ClusterTopics, routes: readonly ReadingRoute[]) {
  const { name, details, error } = cluster
  const byTopic = Map.groupBy(readablePartitions(clientOf(c), details.partitions), (at) => at.topic)
  return {
    name,
    ...(error !== undefined && { error: describeError(asKafkaConsumeError(error), false) }),
    topics: [...byTopic]
      .map(([topic, partitions]) => ({
        name: topic,
        routes: routesOf(topic, cluster, routes),
        partitions: partitions.length,
        records: sum(partitions.map(recordsOf)),
        end: sum(partitions.map(({ end }) => Math.max(0, end))),
        ...cluster.sizes.sum(partitions),
        rate: rateOf(cluster, partitions),
        replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
        underReplicated: partitions.filter(isUnderReplicated).length,
        groups: groupsOf(c, cluster, partitions).map(({ id, state, lag }) => ({ id, state, lag })),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    ...sizeErrorOf(cluster),
    groupsLeftOut: details.groupsLeftOut,
  }
}

function detailOf(
  c: Context,
  cluster: ClusterTopics,
  topic: string,
  routes: readonly ReadingRoute[],
) {
  const { name, details, error } = cluster
  const all = details.partitions.filter((partition) => partition.topic === topic)
  const partitions = readablePartitions(clientOf(c), all)
  if (partitions.length === 0) return undefined
  return {
    cluster: name,
    ...(error !== undefined && { error: describeError(asKafkaConsumeError(error), false) }),
    name: topic,
    routes: routesOf(topic, cluster, routes),
    ...cluster.sizes.sum(partitions),
    ...sizeErrorOf(cluster),
    rate: rateOf(cluster, partitions),
    partitions: partitions.map((at) => ({
      partition: at.partition,
      start: at.start,
      end: at.end,
      ...cluster.sizes.sum([at]),
      rate: rateOf(cluster, [at]),
      leader: at.leader ?? null,
      replicas: at.replicas,
      inSync: at.inSync,
    })),
    groups: groupsOf(c, cluster, partitions),
    groupsLeftOut: details.groupsLeftOut,
  }
}

/** Why sizes are unknown, where Kafka does not report them. */
function sizeErrorOf({ sizes: { unknown } }: ClusterTopics) {
  return unknown && { sizeError: { message: unknown.message, code: unknown.code } }
}

/** The groups that read partitions, with their lag there. They are not for clients with a scope. */
function groupsOf(c: Context, { details }: ClusterTopics, partitions: readonly PartitionDetails[]) {
  if (isRestricted(clientOf(c))) return []
  const ends = new Map(partitions.map((at) => [partitionKey(at), at.end]))
  return details.groups
    .map(({ id, state, members, committed }: GroupProgress) => {
      const positions = committed
        .filter((at) => (ends.get(partitionKey(at)) ?? -1) >= 0)
        .map((at) => ({
          partition: at.partition,
          committed: at.offset,
          lag: Math.max(0, (ends.get(partitionKey(at)) ?? 0) - at.offset),
        }))
      return {
        id,
        state,
        members,
        lag: sum(positions.map(({ lag }) => lag)),
        partitions: positions,
      }
    })
    .filter((group) => group.partitions.length > 0)
    .sort((a, b) => b.lag - a.lag || (a.id < b.id ? -1 : 1))
}

function routesOf(topic: string, { name }: ClusterTopics, routes: readonly ReadingRoute[]) {
  return routes
    .filter(({ handler }) => {
      const { topics, cluster } = handler.stats()
      return cluster?.name === name && topics.includes(topic)
    })
    .map((route) => route.name)
}

/** Records a second over the last minute; null while that is not known. */
function rateOf({ rates }: ClusterTopics, partitions: readonly PartitionDetails[]): number | null {
  const known = partitions.map((at) => rates.get(partitionKey(at)))
  return known.some((rate) => rate === undefined) ? null : sum(known as number[])
}

function recordsOf({ start, end }: PartitionDetails): number {
  return start < 0 ? 0 : end - start
}

function isUnderReplicated({ replicas, inSync, leader }: PartitionDetails): boolean {
  return leader === undefined || inSync.length < replicas.length
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0)
}

/**
 * The topics of an app of your own, as the gateway's `/topics`: a list with records, sizes, rates, replicas
 * and the lag of consumer groups, and below it each topic with its partitions. The page of `kafkaConsole`
 * reads them. Kafka is asked at most once in five seconds for each cluster, and for sizes once in half a minute.
 *
 * @param handlers Handlers of `kafkaConsume` by the paths at which they are mounted.
 * @returns An app to mount by `app.route`.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaConsume, kafkaTopics } from 'hono-kafka-consume'
 *
 * const orders = kafkaConsume({ bootstrapServers: 'localhost:9092', topics: ['orders'] })
 * const app = new Hono()
 *   .all('/orders', orders)
 *   .route('/topics', kafkaTopics({ '/orders': orders }))
 *
 * const response = await app.request('/topics/payments')
 * if (response.status !== 404) throw new Error('only topics of the handlers are shown')
 * await orders.close()
 * ```
 */
export function kafkaTopics(handlers: Readonly<Record<string, DetailedHandler>>): Hono {
  return topicRoutes(() =>
    Object.entries(handlers).map(([path, handler]) => ({ name: path, handler })),
  )
}
