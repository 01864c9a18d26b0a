import { kafkaSide } from '../../kafka/index.ts'
import type { KafkaRecord } from '../../src/port/kafka.ts'
import type { TestKafka } from './kafka.ts'

/** All records of a topic, as Kafka has them. */
export async function readAll(kafka: TestKafka, topic: string): Promise<KafkaRecord[]> {
  const source = kafkaSide.connect({ bootstrapServers: kafka.bootstrapServers.split(',') })
  try {
    const partitions = await source.partitions([topic])
    const ends = await source.offsets(partitions, 'latest')
    const total = ends.reduce((sum, { offset }) => sum + offset, 0)
    const reader = await source.openConsumer(
      await source.offsets(partitions, 'earliest'),
      'catch-up',
    )
    const records: KafkaRecord[] = []
    while (records.length < total) records.push(...(await reader.read(100, 1_000)).records)
    await reader.close()
    return records
  } finally {
    await source.close()
  }
}
