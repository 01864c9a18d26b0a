import { partitionKey } from '../../src/core/topic-partition.ts'
import type { KafkaCluster, PartitionOffset } from '../../src/port/kafka.ts'

/**
 * The first offsets at or after a time, found by reading: for brokers that do not answer questions
 * by time, as the embedded one. Partitions without such a record keep their end.
 *
 * @param time Milliseconds since 1970.
 */
export async function searchTime(
  source: KafkaCluster,
  starts: readonly PartitionOffset[],
  ends: readonly PartitionOffset[],
  time: number,
): Promise<PartitionOffset[]> {
  const found = new Map<string, number>()
  const open = new Map<string, number>()
  ends.forEach(({ topic, partition, offset }, index) => {
    if ((starts[index] as PartitionOffset).offset < offset)
      open.set(partitionKey({ topic, partition }), offset)
  })
  const reader = await source.openConsumer(starts, 'catch-up')
  try {
    while (open.size > 0) {
      const { records, ends: reached } = await reader.read(1_000, 100)
      for (const { topic, partition, offset, timestamp } of records) {
        const name = partitionKey({ topic, partition })
        const end = open.get(name)
        if (end === undefined) continue
        if (timestamp >= time) found.set(name, offset)
        if (timestamp >= time || offset + 1 >= end) open.delete(name)
      }
      for (const { topic, partition } of reached) open.delete(partitionKey({ topic, partition }))
    }
  } finally {
    await reader.close()
  }
  return ends.map((end) => ({
    ...end,
    offset: found.get(partitionKey(end)) ?? end.offset,
  }))
}
