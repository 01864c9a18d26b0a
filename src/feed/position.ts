import { KafkaConsumeError } from '../core/errors.ts'
import type { TopicPartition } from '../core/topic-partition.ts'
import type { KafkaCluster, OffsetQuery } from '../port/kafka.ts'
import type { CursorEntry, PartitionTable } from '../records/cursor.ts'
import type { EndOffsets } from './end-offsets.ts'
import type { OrderedLimits } from './ordered-search.ts'

/** A position that Kafka knows, or that a client names. */
export type FixedPosition =
  | { readonly start: OffsetQuery }
  | { readonly cursor: readonly CursorEntry[]; readonly parameter: string }

/** Where reading begins: at a position, or at the newest records that pass the filter. */
export type Position = FixedPosition | { readonly newest: OrderedLimits }

/** Whether a position is the end as it is now. */
export function isLatest(position: Position): boolean {
  return 'start' in position && position.start === 'latest'
}

/** The offset of a partition that no entry of a cursor names. */
const UNNAMED = -1

/**
 * The next offset of each partition at a position.
 *
 * @throws KafkaConsumeError INVALID_CURSOR for a partition that the table does not have, or why Kafka
 * cannot be asked.
 */
export async function resolvePosition(
  position: FixedPosition,
  table: PartitionTable,
  ends: EndOffsets,
  cluster: KafkaCluster,
): Promise<Float64Array> {
  if ('start' in position) {
    if (position.start === 'latest') return ends.now()
    return table.vector(await cluster.offsets(table.partitions, position.start))
  }
  const vector = new Float64Array(table.size).fill(UNNAMED)
  const queries = new Map<OffsetQuery, TopicPartition[]>()
  for (const entry of position.cursor) {
    const index = indexIn(table, entry, position.parameter)
    if ('offset' in entry) vector[index] = entry.offset
    else queries.set(entry.query, [...(queries.get(entry.query) ?? []), entry])
  }
  const ask = async (partitions: readonly TopicPartition[], query: OffsetQuery) => {
    for (const { topic, partition, offset } of await cluster.offsets(partitions, query)) {
      vector[table.indexOf(topic, partition)] = offset
    }
  }
  for (const [query, partitions] of queries) await ask(partitions, query)
  // A partition that a cursor does not name was added after the cursor was issued.
  const unnamed = table.partitions.filter((_, index) => vector[index] === UNNAMED)
  if (unnamed.length > 0) await ask(unnamed, 'earliest')
  return vector
}

function indexIn(
  table: PartitionTable,
  { topic, partition }: TopicPartition,
  parameter: string,
): number {
  const index = table.indexOf(topic, partition)
  if (index >= 0) return index
  throw new KafkaConsumeError(
    'INVALID_CURSOR',
    table.hasTopic(topic)
      ? `Cannot use ${parameter}: topic "${topic}" has no partition ${partition}`
      : `Cannot use ${parameter}: topic "${topic}" is not among those of this route`,
  )
}
