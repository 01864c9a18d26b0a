/** The Kafka cluster of the benchmark, and topics in it. */

import {
  type Consumer,
  call,
  connectClient,
  createConsumer,
  disconnectClient,
  loadClient,
  type Metadata,
} from '../kafka/client/client.ts'
import { startBroker } from '../tools/kafka/broker.ts'

const CONNECT_MS = 10_000
const ADMIN_MS = 10_000
const LEADERS_MS = 20_000

/** Runs work with the Kafka of BENCH_KAFKA_BROKERS, or with one that is started before and stopped after it. */
export async function withKafka<T>(work: (brokers: string) => Promise<T>): Promise<T> {
  const given = process.env['BENCH_KAFKA_BROKERS']
  if (given) return work(given)
  // If this process is killed, the next start of any cluster removes this one.
  const broker = await startBroker({ name: `bench-${process.pid}`, port: 0, owned: true })
  try {
    return await work(broker.bootstrapServers)
  } finally {
    await broker.stop()
  }
}

/** A broker, and the partitions that it leads. */
interface Leader {
  readonly host: string
  readonly port: number
  readonly partitions: number[]
}

/** A topic that only the benchmark writes to, so that it knows where its partitions end. */
export class Topic {
  readonly name: string
  readonly partitions: number
  readonly valueBytes: number
  readonly leaders: readonly Leader[]
  #records = 0

  constructor(name: string, partitions: number, valueBytes: number, leaders: readonly Leader[]) {
    this.name = name
    this.partitions = partitions
    this.valueBytes = valueBytes
    this.leaders = leaders
  }

  /** Must be called after records were written, evenly over the partitions. */
  grew(records: number): void {
    this.#records += records
  }

  get start(): Array<{ topic: string; partition: number; offset: number }> {
    return Array.from({ length: this.partitions }, (_, partition) => ({
      topic: this.name,
      partition,
      offset: 0,
    }))
  }

  get end(): Array<{ topic: string; partition: number; offset: number }> {
    const offset = this.#records / this.partitions
    return this.start.map((position) => ({ ...position, offset }))
  }
}

/** The compression with which a broker stores batches, however they were sent. */
export type Compression = 'lz4'

/** Creates topics, and deletes them at the end. */
export class Topics {
  readonly #brokers: string
  readonly #made: string[] = []

  constructor(brokers: string) {
    this.#brokers = brokers
  }

  /** @param compression Default: none, as batches are sent. */
  async create(partitions: number, valueBytes: number, compression?: Compression): Promise<Topic> {
    const name = `bench-${crypto.randomUUID()}`
    await this.#admin((admin) =>
      call<void>(`Cannot create topic ${name}`, (done) =>
        admin.createTopic(
          {
            topic: name,
            num_partitions: partitions,
            replication_factor: -1,
            config: { 'compression.type': compression ?? 'producer' },
          },
          ADMIN_MS,
          (error) => done(error, undefined),
        ),
      ),
    )
    this.#made.push(name)
    return new Topic(name, partitions, valueBytes, await this.#leaders(name, partitions))
  }

  /** Deletes the topics. Never rejects: the figures are worth more than a clean cluster. */
  async remove(): Promise<void> {
    const names = this.#made.splice(0)
    if (names.length === 0) return
    await this.#admin((admin) =>
      Promise.all(
        names.map((name) =>
          call<void>(`Cannot delete topic ${name}`, (done) =>
            admin.deleteTopic(name, ADMIN_MS, (error) => done(error, undefined)),
          ),
        ),
      ),
    ).catch((error: Error) => console.error(error.message))
  }

  async #admin<T>(
    work: (admin: ReturnType<ReturnType<typeof loadClient>['AdminClient']['create']>) => Promise<T>,
  ): Promise<T> {
    const admin = loadClient().AdminClient.create({ 'bootstrap.servers': this.#brokers })
    try {
      return await work(admin)
    } finally {
      admin.disconnect()
    }
  }

  /** Waits until every partition has a leader that answers. */
  async #leaders(name: string, partitions: number): Promise<Leader[]> {
    const consumer = createConsumer({ 'bootstrap.servers': this.#brokers, 'group.id': 'bench' })
    await connectClient(consumer, CONNECT_MS)
    try {
      const deadline = performance.now() + LEADERS_MS
      for (;;) {
        const leaders = await askForLeaders(consumer, name)
        const led = leaders.flatMap((leader) => leader.partitions).length
        // A broker refuses requests to a partition until it learns that it is the leader.
        if (led === partitions && (await areLed(consumer, name, partitions))) return leaders
        if (performance.now() > deadline) {
          throw new Error(
            `Cannot use topic ${name}: ${led} of ${partitions} partitions have a leader, not all of which answer`,
          )
        }
        await Bun.sleep(100)
      }
    } finally {
      await disconnectClient(consumer)
    }
  }
}

/** Whether the leader of every partition answers. */
function areLed(consumer: Consumer, name: string, partitions: number): Promise<boolean> {
  const asked = Array.from({ length: partitions }, (_, partition) =>
    call<unknown>(`Cannot read partition ${partition} of ${name}`, (done) =>
      consumer.queryWatermarkOffsets(name, partition, ADMIN_MS, done),
    ),
  )
  return Promise.all(asked).then(
    () => true,
    () => false,
  )
}

async function askForLeaders(consumer: Consumer, name: string): Promise<Leader[]> {
  const metadata = await call<Metadata>(`Cannot read topic ${name}`, (done) =>
    consumer.getMetadata({ topic: name, allTopics: false, timeout: ADMIN_MS } as object, done),
  )
  const partitions = metadata.topics.find((topic) => topic.name === name)?.partitions ?? []
  return metadata.brokers
    .map(({ id, host, port }) => ({
      host,
      port,
      partitions: partitions.filter(({ leader }) => leader === id).map((each) => each.id),
    }))
    .filter((leader) => leader.partitions.length > 0)
}
