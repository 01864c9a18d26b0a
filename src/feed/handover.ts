import { partitionKey } from '../core/topic-partition.ts'
import type { Gap, PartitionOffset } from '../port/kafka.ts'
import type { Cursor, PartitionTable } from '../records/cursor.ts'
import type { LiveConsumer } from './live-consumer.ts'

/** The live consumer that takes over from another one, since the partitions have changed. */
export interface Handover {
  readonly liveConsumer: LiveConsumer
  /** Where re-created topics begin: their earlier offsets mean nothing. */
  readonly recreated: readonly PartitionOffset[]
  /** Re-created partitions, as `topic:partition`, of which the former live consumer had read already. */
  readonly entered: ReadonlySet<string>
}

/**
 * Where the next live consumer begins: where the former one has ended, and at the first record of
 * added partitions and of re-created topics that the former one has not read yet.
 *
 * @param recreated Names of re-created topics.
 * @param starts The first offsets of added and of re-created partitions.
 */
export function headAfter(
  former: LiveConsumer,
  table: PartitionTable,
  recreated: ReadonlySet<string>,
  starts: readonly PartitionOffset[],
): Float64Array {
  const head = table.vector(starts)
  former.table.partitions.forEach((place, index) => {
    const next = table.indexOf(place.topic, place.partition)
    const isEntered = former.recreatedPartitions.has(partitionKey(place))
    if (next < 0 || (recreated.has(place.topic) && !isEntered)) return
    head[next] = former.head[index] as number
  })
  return head
}

/**
 * The position in the new partitions that continues a cursor, and the gaps before it. Added partitions
 * are read from their beginning.
 *
 * @param entered Re-created partitions, as `topic:partition`, that the cursor is in already.
 */
export function continueAfter(
  { liveConsumer, recreated }: Handover,
  cursor: Cursor,
  entered: ReadonlySet<string> | undefined,
): { readonly vector: Float64Array; readonly gaps: readonly Gap[] } {
  const { table } = liveConsumer
  const gaps: Gap[] = []
  const vector = liveConsumer.begin.slice()
  cursor.table.partitions.forEach(({ topic, partition }, index) => {
    const next = table.indexOf(topic, partition)
    if (next >= 0) vector[next] = cursor.vector[index] as number
  })
  for (const { topic, partition, offset } of recreated) {
    if (entered?.has(partitionKey({ topic, partition }))) continue
    const index = table.indexOf(topic, partition)
    const isAdded = cursor.table.indexOf(topic, partition) < 0
    const from = vector[index] as number
    vector[index] = offset
    if (isAdded || from === offset) continue
    gaps.push({ topic, partition, from, to: offset, reason: 'out-of-range' })
  }
  return { vector, gaps }
}
