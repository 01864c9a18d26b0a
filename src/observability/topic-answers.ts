/** The answers about topics, with their partitions and consumer groups, as JSON. */
import type { Context } from 'hono'
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
export interface ReadingRoute {
  readonly name: string
  readonly handler: DetailedHandler
}

/** The answers of `topicRoutes`. */
export function topicAnswers(reading: () => readonly ReadingRoute[]) {
  const snapshots = new TopicSnapshots()
  const settings = new SettingsCache()
  const list = async (c: Context): Promise<Response> => {
    const read = reading()
    const clusters = await snapshots.of(read.map(({ handler }) => handler))
    c.header('Cache-Control', 'no-store')
    return c.json({ clusters: clusters.map((cluster) => listOf(c, cluster, read)) })
  }
  const detail = async (c: Context, topic: string): Promise<Response> => {
    const read = reading()
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
  }
  return { list, detail }
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
