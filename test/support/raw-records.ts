import { KafkaConsumer, type Message } from '@confluentinc/kafka-javascript'
import { NO_TOPICS } from './kafka.ts'
import { uniqueName } from './names.ts'
import { until } from './wait.ts'

/** Keys and values of the first records of a topic with one partition, as bytes. */
export async function consume(
  brokers: string,
  topic: string,
  count: number,
): Promise<ReadonlyArray<{ readonly key: Buffer; readonly value: Buffer }>> {
  const consumer = new KafkaConsumer(
    { 'bootstrap.servers': brokers, 'group.id': uniqueName('raw'), 'enable.auto.commit': false },
    {},
  )
  await new Promise<void>((resolve, reject) =>
    consumer.connect(NO_TOPICS, (error) => (error ? reject(error) : resolve())),
  )
  const records: Message[] = []
  try {
    consumer.assign([{ topic, partition: 0, offset: 0 }])
    await until(
      async () => {
        await new Promise<void>((resolve) =>
          consumer.consume(count, (_, messages) => {
            records.push(...(messages ?? []))
            resolve()
          }),
        )
        return records.length >= count
      },
      () => `${count} records of ${topic}`,
    )
  } finally {
    await new Promise<void>((resolve) => consumer.disconnect(() => resolve()))
  }
  return records.map(({ key, value }) => ({
    key: key as Buffer,
    value: value as Buffer,
  }))
}
