/** The package's callback API as promises, and short ways to write and read records. */
import type {
  Assignment,
  ConsumerGlobalConfig,
  Message,
  MessageHeader,
  MessageValue,
  ProducerGlobalConfig,
} from '@confluentinc/kafka-javascript'
import { KafkaConsumer, Producer } from '@confluentinc/kafka-javascript'

type Client = Producer | KafkaConsumer

const open = new Set<Client>()

export async function connect(client: Client, timeout = 10_000): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    client.connect({ timeout }, (error) => (error ? reject(error) : resolve()))
  })
  open.add(client)
}

export function disconnect(client: Client): Promise<void> {
  open.delete(client)
  return new Promise((resolve, reject) => {
    client.disconnect((error) => (error ? reject(error) : resolve()))
  })
}

/** After each test, also a failed one: an open client would keep the process alive. */
export async function disconnectAll(): Promise<void> {
  await Promise.all([...open].map(disconnect))
}

export async function connectProducer(
  brokers: string,
  options: ProducerGlobalConfig = {},
): Promise<Producer> {
  const producer = new Producer({
    'bootstrap.servers': brokers,
    'linger.ms': 1,
    dr_cb: true,
    ...options,
  })
  await connect(producer)
  producer.setPollInBackground(true)
  return producer
}

export async function connectConsumer(
  brokers: string,
  options: ConsumerGlobalConfig = {},
): Promise<KafkaConsumer> {
  const consumer = new KafkaConsumer(
    {
      'bootstrap.servers': brokers,
      'group.id': `native-${crypto.randomUUID()}`,
      'enable.auto.commit': false,
      ...options,
    },
    { 'auto.offset.reset': 'earliest' },
  )
  await connect(consumer)
  consumer.setDefaultConsumeTimeout(100)
  return consumer
}

export interface NewRecord {
  value: MessageValue
  key?: Buffer | string | null
  partition?: number
  headers?: MessageHeader[]
}

/** Returns when the broker has all of them. */
export async function produce(
  producer: Producer,
  topic: string,
  records: NewRecord[],
): Promise<void> {
  let outstanding = records.length
  await new Promise<void>((resolve, reject) => {
    const onReport = (error: unknown) => {
      if (error) reject(error)
      else if (--outstanding === 0) resolve()
    }
    producer.on('delivery-report', onReport)
    for (const { value, key = null, partition = 0, headers = [] } of records) {
      producer.produce(topic, partition, value, key, undefined, undefined, headers)
    }
  })
  producer.removeAllListeners('delivery-report')
}

export function consume(consumer: KafkaConsumer, max: number): Promise<Message[]> {
  return new Promise((resolve, reject) => {
    consumer.consume(max, (error, messages) => (error ? reject(error) : resolve(messages)))
  })
}

export async function consumeExactly(consumer: KafkaConsumer, count: number): Promise<Message[]> {
  const messages: Message[] = []
  while (messages.length < count) {
    messages.push(...(await consume(consumer, count - messages.length)))
  }
  return messages
}

export async function read(
  brokers: string,
  assignment: Assignment[],
  count: number,
): Promise<Message[]> {
  const consumer = await connectConsumer(brokers)
  consumer.assign(assignment)
  const messages = await consumeExactly(consumer, count)
  await disconnect(consumer)
  return messages
}
