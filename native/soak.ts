/**
 * Consumes five million records and checks that memory levels off: `bun native/soak.ts [RECORDS]`.
 *
 * The brokers are those of TEST_KAFKA_BROKERS, or a mock cluster in the process of the producer. The mock
 * cluster keeps only the newest 5 MB of a partition, so the producer stays a fixed number of records ahead.
 */
import {
  KafkaConsumer,
  KafkaJS,
  Producer,
  type ProducerGlobalConfig,
} from '@confluentinc/kafka-javascript'

const total = Number(process.argv[2] ?? 5_000_000)
const sampleEvery = total / 20
const batchSize = 1000
const ahead = 40_000
const partitions = 4
const { TEST_KAFKA_BROKERS: realBrokers, SOAK_TOPIC: topicOfParent } = process.env

if (topicOfParent) await produceWanted(topicOfParent)
else process.exit((await soak()) ? 0 : 1)

/** Runs in the child: prints the brokers when the topic exists, then produces as many records as the parent wants. */
async function produceWanted(topic: string): Promise<void> {
  const config: ProducerGlobalConfig & Record<string, unknown> = {
    'bootstrap.servers': realBrokers ?? 'unused:1',
    ...(realBrokers ? {} : { 'test.mock.num.brokers': 1 }),
    'linger.ms': 20,
  }
  const producer = new Producer(config)
  let brokers = realBrokers
  producer.on('event.log', ({ message }: { message: string }) => {
    brokers ??= /replaced with (\S+)/.exec(message)?.[1]
  })
  await new Promise<void>((resolve, reject) =>
    producer.connect({ timeout: 10_000 }, (error) => (error ? reject(error) : resolve())),
  )
  producer.setPollInBackground(true)
  const value = Buffer.alloc(100, 'x')
  for (let partition = 0; partition < partitions; partition++) {
    producer.produce(topic, partition, value, 'first', 0, undefined, [
      { source: 'soak' },
      { first: '' },
    ])
  }
  await new Promise((resolve) => producer.flush(10_000, resolve))
  console.log(brokers)
  let sequence = 0
  let wanted = 0
  process.on('message', (count: number) => {
    wanted += count
  })
  for (;;) {
    for (; wanted > 0; wanted--, sequence++) {
      const headers = [{ source: 'soak' }, { sequence: String(sequence) }]
      // The opaque argument is left out: without delivery reports the package never frees it, not even null.
      const key = `key ${sequence}`
      producer.produce(topic, sequence % partitions, value, key, 0, undefined, headers)
    }
    await Bun.sleep(1)
  }
}

async function createTopic(brokers: string, topic: string): Promise<void> {
  const admin = new KafkaJS.Kafka({ 'bootstrap.servers': brokers }).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }] })
  await admin.disconnect()
}

async function soak(): Promise<boolean> {
  const topic = `soak-${crypto.randomUUID()}`
  if (realBrokers) await createTopic(realBrokers, topic)
  const child = Bun.spawn([process.execPath, import.meta.filename], {
    env: { ...process.env, SOAK_TOPIC: topic },
    stdout: 'pipe',
    ipc() {},
  })
  try {
    const { value: line } = await child.stdout.getReader().read()
    const brokers = new TextDecoder().decode(line).trim()
    child.send(ahead)
    const samples = await consume(brokers, topic, (count) => child.send(count))
    const third = Math.floor(samples.length / 3)
    const middle = median(samples.slice(third, 2 * third))
    const last = median(samples.slice(2 * third))
    const levelsOff = last <= middle * 1.1
    console.log(
      `Median of the middle third ${middle.toFixed(0)} MB, of the last ${last.toFixed(0)} MB: ` +
        `${levelsOff ? 'levels off' : 'does not level off'} (limit: 1.1 times the middle's)`,
    )
    return levelsOff
  } finally {
    child.kill()
  }
}

/** Returns the resident memory in MB after each `sampleEvery` records. */
async function consume(
  brokers: string,
  topic: string,
  onConsumed: (count: number) => void,
): Promise<number[]> {
  const consumer = new KafkaConsumer(
    {
      'bootstrap.servers': brokers,
      'group.id': topic,
      'enable.auto.commit': false,
    },
    { 'auto.offset.reset': 'earliest' },
  )
  await new Promise<void>((resolve, reject) =>
    consumer.connect({ timeout: 10_000 }, (error) => (error ? reject(error) : resolve())),
  )
  consumer.setDefaultConsumeTimeout(100)
  consumer.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition })))

  const samples: number[] = []
  let count = 0
  let headers = 0
  let started = performance.now()
  console.log('   records  records/s  RSS (MB)  JavaScript heap (MB)')
  while (samples.length * sampleEvery < total) {
    const messages = await new Promise<{ headers?: unknown[] }[]>((resolve, reject) =>
      consumer.consume(batchSize, (error, batch) => (error ? reject(error) : resolve(batch))),
    )
    count += messages.length
    onConsumed(messages.length)
    for (const message of messages) headers += message.headers?.length ?? 0
    if (count < (samples.length + 1) * sampleEvery) continue
    const rate = sampleEvery / ((performance.now() - started) / 1000)
    Bun.gc(true)
    const { rss, heapUsed } = process.memoryUsage()
    samples.push(rss / 2 ** 20)
    const columns = [count, rate, rss / 2 ** 20, heapUsed / 2 ** 20]
    console.log(columns.map((figure) => figure.toFixed(0).padStart(10)).join(''))
    started = performance.now()
  }
  if (headers !== 2 * count) throw new Error(`Cannot trust the records: ${headers} headers`)
  return samples
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
