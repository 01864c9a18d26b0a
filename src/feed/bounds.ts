/** Resolves where a subscription begins and ends. */
import type { KafkaCluster } from '../port/kafka.ts'
import type { Filter } from '../records/filter.ts'
import {
  findInOrder,
  type OpenRange,
  type OrderedLimits,
  type OrderedRecords,
  type SearchedPartitions,
} from './ordered-search.ts'
import { type FixedPosition, type Position, resolvePosition } from './position.ts'
import type { FollowedTopics } from './topic-monitor.ts'

/** The offsets at which reading begins, and those before which it ends. */
export interface Bounds {
  readonly vector: Float64Array
  /** Undefined: reading has no end. */
  readonly end: Float64Array | undefined
}

/** The positions between which a client reads. */
export interface RequestedBounds {
  readonly from: Position
  /** Undefined: reading has no end. */
  readonly end: FixedPosition | undefined
}

/** The topics as they are followed, and how to read them for a client. */
export interface BoundsContext {
  readonly followed: FollowedTopics
  readonly cluster: KafkaCluster
  readonly filter: Filter | undefined
  /** Opens a read between two positions, with the filter of the client. */
  readonly open: OpenRange
}

/** Records in the order of time between two positions of a client. */
export interface OrderedRead extends OrderedRecords {
  /** The end that the client gave. */
  readonly end: Float64Array | undefined
  /** The ends of all partitions. */
  readonly latest: Float64Array
}

/**
 * The offsets of these bounds, as they are now.
 *
 * @throws KafkaConsumeError INVALID_CURSOR, or why Kafka cannot be asked.
 */
export async function resolveBounds(
  { from, end }: RequestedBounds,
  context: BoundsContext,
): Promise<Bounds> {
  if ('newest' in from) {
    const signal = new AbortController().signal
    const found = await readInOrder({ from, end }, from.newest, context, signal)
    return { vector: (found as OrderedRead).from, end: found?.end }
  }
  const { filter } = context
  const endVector = end && (await resolve(end, context))
  const vector = await resolve(from, context)
  return {
    vector: endVector ? withoutExcluded(vector, endVector, filter) : vector,
    end: endVector,
  }
}

/**
 * Reads the next records in the order of time: the newest before the end, or the oldest from a position
 * on, up to the end as it is now.
 *
 * @returns undefined for a position beyond the end: Kafka decides where reading goes on.
 * @throws KafkaConsumeError INVALID_CURSOR, or why Kafka cannot be read; the signal's reason.
 */
export async function readInOrder(
  { from, end }: RequestedBounds,
  limits: OrderedLimits,
  context: BoundsContext,
  signal: AbortSignal,
): Promise<OrderedRead | undefined> {
  const { followed, cluster, filter, open } = context
  const { table } = followed.liveConsumer
  const endVector = end && (await resolve(end, context))
  const isNewest = 'newest' in from
  const starts = isNewest
    ? table.vector(await cluster.offsets(table.partitions, 'earliest'))
    : await resolve(from, context)
  const latest = await followed.ends.now()
  if (!isNewest && starts.some((start, index) => start > (latest[index] as number)))
    return undefined
  const ends = latest.map((offset, index) => Math.min(offset, endVector?.[index] ?? Infinity))
  const searched: SearchedPartitions = {
    table,
    starts: withoutExcluded(starts, ends, filter),
    ends: isNewest ? ends : ends.map((offset, index) => Math.max(offset, starts[index] as number)),
    isFiltered: filter !== undefined,
  }
  const direction = isNewest ? 'newest' : 'oldest'
  const found = await findInOrder(direction, searched, limits, open, signal)
  return { ...found, end: endVector, latest }
}

function resolve(
  position: FixedPosition,
  { followed, cluster }: BoundsContext,
): Promise<Float64Array> {
  return resolvePosition(position, followed.liveConsumer.table, followed.ends, cluster)
}

/** The positions of a bounded read, which passes over partitions at once of which no record passes. */
function withoutExcluded(
  vector: Float64Array,
  end: Float64Array,
  filter: Filter | undefined,
): Float64Array {
  return vector.map((offset, index) => {
    const isExcluded = filter?.partitions?.[index] === false
    return isExcluded ? Math.max(offset, end[index] as number) : offset
  })
}
