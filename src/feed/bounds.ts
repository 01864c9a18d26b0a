/** Resolves where a subscription begins and ends. */
import type { KafkaCluster } from '../port/kafka.ts'
import type { Filter } from '../records/filter.ts'
import { findNewest } from './newest-records.ts'
import { type FixedPosition, type Position, resolvePosition } from './position.ts'
import type { Subscription } from './subscription.ts'
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

/**
 * The offsets of these bounds, as they are now.
 *
 * @param open Opens a read between two positions, with the filter of the client.
 * @throws KafkaConsumeError INVALID_CURSOR, or why Kafka cannot be asked.
 */
export async function resolveBounds(
  { from, end }: RequestedBounds,
  followed: FollowedTopics,
  cluster: KafkaCluster,
  filter: Filter | undefined,
  open: (from: Float64Array, end: Float64Array) => Promise<Subscription>,
): Promise<Bounds> {
  const { table } = followed.liveConsumer
  const resolve = (position: FixedPosition) => {
    return resolvePosition(position, table, followed.ends, cluster)
  }
  const endVector = end && (await resolve(end))
  if (!('newest' in from)) {
    const vector = await resolve(from)
    return {
      vector: endVector ? withoutExcluded(vector, endVector, filter) : vector,
      end: endVector,
    }
  }
  const latest = await followed.ends.now()
  const ends = latest.map((offset, index) => Math.min(offset, endVector?.[index] ?? Infinity))
  const starts = table.vector(await cluster.offsets(table.partitions, 'earliest'))
  // Partitions of which no record passes are not read.
  const searched = starts.map((start, index) => {
    return filter?.partitions?.[index] === false ? (ends[index] as number) : start
  })
  const vector = await findNewest(
    { table, starts: searched, ends, isFiltered: filter !== undefined },
    from.newest,
    open,
  )
  return { vector, end: endVector }
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
