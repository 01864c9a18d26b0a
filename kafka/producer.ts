import type { MessageHeader } from '@confluentinc/kafka-javascript'
import { getLogger } from '@logtape/logtape'
import { asKafkaConsumeError, KafkaConsumeError } from '../src/core/errors.ts'
import {
  headerEntry,
  type Producer,
  type ProducerProfile,
  type ProducerRecord,
  type RecordMetadata,
} from '../src/port/kafka.ts'
import { call, type Metadata, once, type ProducerClient, type Settings } from './client/client.ts'
import {
  type ClientError,
  FATAL,
  fatalIn,
  fromClient,
  isPassing,
  isUnknownTopic,
  notLoaded,
} from './client/errors.ts'

const log = getLogger(['hono-kafka-consume', 'producer'])

const MIB = 1024 * 1024
const ACTION = 'Cannot write to Kafka'

/** What waits for Kafka at a time; more is refused. A batch is taken whole where nothing waits. */
const MAX_WAITING = 20_000
const MAX_WAITING_BYTES = 32 * MIB
const CONNECT_TIMEOUT_MS = 5_000
/** How long Kafka may take to confirm a record, with all retries. */
const DELIVERY_TIMEOUT_MS = 10_000
/** How long closing waits for what is on its way. */
const FLUSH_MS = 5_000
const DISCONNECT_MS = 5_000

/** What a client that is lost says of records that were not sent: librdkafka's `__PURGE_QUEUE`. */
const OF_LOST = new Set([FATAL, -152])

type Result = RecordMetadata | KafkaConsumeError

/**
 * Settings of a producer. But for `leader` it is idempotent: a retry neither doubles a record nor
 * changes the order within a partition.
 */
export function producerSettings(writing: ProducerProfile): Settings {
  const isForAll = writing !== 'leader'
  return {
    'enable.idempotence': isForAll,
    acks: isForAll ? -1 : 1,
    ...(writing === 'each' && { 'batch.num.messages': 1 }),
    'message.timeout.ms': DELIVERY_TIMEOUT_MS,
    'request.timeout.ms': DELIVERY_TIMEOUT_MS / 2,
    // The client's default is the CRC32 of the key; other clients' records with the same key would
    // go to another partition.
    partitioner: 'murmur2_random',
    'linger.ms': 2,
    // For how long a topic that is unknown may be a new one.
    'topic.metadata.propagation.max.ms': 2_000,
    // The broker's own limit decides, and a topic may have a higher one than the client's default.
    'message.max.bytes': 512 * MIB,
    dr_cb: true,
  }
}

/** How the cluster makes the client of a producer. */
export interface ProducerHost {
  /** Rejects at once while Kafka is known to be away. */
  reachable(): Promise<unknown>
  /**
   * The partitions of a topic, by Kafka's metadata.
   * @throws KafkaConsumeError UNKNOWN_TOPIC when it does not exist.
   */
  partitions(topic: string): Promise<ReadonlyArray<{ readonly partition: number }>>
  /** A client that is not connected yet. */
  create(): ProducerClient
}

/** A record on its way. */
interface Pending {
  readonly bytes: number
  readonly result: Promise<Result>
  /** Where the record is to go; no partition where its key chooses one. */
  readonly topic: string
  readonly partition: number | undefined
  settle(result: Result): void
  /** Who is to report of it; unset until it was handed over. */
  client: ProducerClient | undefined
}

/**
 * Writes records and learns of each whether Kafka has it. Its client is made with the first
 * record, and anew after an error that ends the life of a client.
 *
 * Overflow policy: a batch that does not fit beside what waits already is refused whole.
 */
export class ConfirmingProducer implements Producer {
  readonly #host: ProducerHost
  #connecting: Promise<ProducerClient> | undefined
  /** The one that is to be used, or will be when it is connected. */
  #current: ProducerClient | undefined
  /** Those that will never write again, and why. */
  readonly #lost = new WeakMap<ProducerClient, ClientError>()
  readonly #pending = new Set<Pending>()
  readonly #asked = new Map<string, ReturnType<ProducerHost['partitions']>>()
  #bytes = 0
  readonly #tellLoss = once((error) => log.warn('The producer is made anew: {error}', { error }))
  #closed: Promise<void> | undefined

  constructor(host: ProducerHost) {
    this.#host = host
  }

  async send(records: readonly ProducerRecord[]): Promise<Result[]> {
    if (this.#closed) throw closing()
    const sizes = records.map(sizeOf)
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    const isFull =
      this.#pending.size + records.length > MAX_WAITING || this.#bytes + bytes > MAX_WAITING_BYTES
    if (isFull && this.#pending.size > 0) {
      throw new KafkaConsumeError(
        'TOO_MANY_RECORDS',
        `Cannot write to Kafka: ${this.#pending.size} records are waiting already`,
        { retryAfter: 1 },
      )
    }
    // A place is taken before anything is waited for: others see it.
    const places = records.map((record, index) => this.#place(record, sizes[index] as number))
    try {
      await this.#host.reachable()
      const client = await this.#connected()
      if (this.#closed) throw closing()
      const loss = this.#lost.get(client)
      if (loss) throw fromClient(loss, ACTION)
      for (let i = 0; i < records.length; i++) {
        this.#produce(client, records[i] as ProducerRecord, places[i] as Pending)
      }
    } catch (error) {
      for (const place of places) this.#free(place)
      throw error
    }
    return Promise.all(places.map(({ result }) => result))
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  #place({ topic, partition }: ProducerRecord, bytes: number): Pending {
    const { promise, resolve } = Promise.withResolvers<Result>()
    const pending: Pending = {
      bytes,
      result: promise,
      topic,
      partition,
      settle: (result) => {
        this.#free(pending)
        resolve(result)
      },
      client: undefined,
    }
    this.#pending.add(pending)
    this.#bytes += bytes
    return pending
  }

  #free(pending: Pending): void {
    if (this.#pending.delete(pending)) this.#bytes -= pending.bytes
  }

  #produce(client: ProducerClient, record: ProducerRecord, pending: Pending): void {
    const { topic, partition = null, key, value, timestamp = 0, headers = [] } = record
    pending.client = client
    try {
      client.produce(
        topic,
        partition,
        value && bufferOf(value),
        key && bufferOf(key),
        Math.max(0, timestamp), // 0 is now
        pending,
        // The client's type leaves out null, which our addon takes for a header without a value.
        headers.map((header) => {
          const [name, bytes] = headerEntry(header)
          return { [name]: bytes && bufferOf(bytes) } as MessageHeader
        }),
      )
    } catch (error) {
      this.#fail(pending, error as ClientError)
    }
  }

  #fail(pending: Pending, error: ClientError): void {
    const { client } = pending
    if (client && error.code === FATAL) this.#abandon(client, error)
    // Why that is so comes by the client's log: its records are told of when it is given up.
    const isOfLost = client && this.#lost.has(client) && OF_LOST.has(error.code ?? 0)
    if (isOfLost) return
    const failure = fromClient(error, ACTION)
    if (isUnknownTopic(failure)) void this.#verify(failure, pending).then(pending.settle)
    else pending.settle(failure)
  }

  /**
   * That a topic or a partition does not exist is for Kafka's metadata to say: a broker that has just
   * started has yet to load its topics.
   */
  async #verify(error: KafkaConsumeError, { topic, partition = -1 }: Pending): Promise<Result> {
    try {
      const known = await this.#partitionsOf(topic)
      const isMissing = partition >= 0 && !known.some((each) => each.partition === partition)
      return isMissing ? error : notLoaded(ACTION, error)
    } catch (thrown) {
      const known = asKafkaConsumeError(thrown)
      return isPassing(known) ? known : error
    }
  }

  /** One question for all records of a topic that fail together. */
  #partitionsOf(topic: string): ReturnType<ProducerHost['partitions']> {
    const asked =
      this.#asked.get(topic) ??
      this.#host.partitions(topic).finally(() => this.#asked.delete(topic))
    this.#asked.set(topic, asked)
    return asked
  }

  /** A client that will never write again: the next record gets a new one. */
  #abandon(client: ProducerClient, error: ClientError): void {
    if (error.code !== FATAL || !this.#lost.has(client)) this.#lost.set(client, error)
    if (this.#current !== client) return
    this.#current = undefined
    this.#connecting = undefined
    void disconnect(client).then(() => this.#giveUp(client))
  }

  /** Nobody reports any more of what the client still had. */
  #giveUp(client: ProducerClient): void {
    const error = this.#lost.get(client) as ClientError
    this.#tellLoss(error.message)
    for (const pending of this.#pending) {
      if (pending.client === client) pending.settle(fromClient(error, ACTION))
    }
  }

  #connected(): Promise<ProducerClient> {
    const connecting = this.#connecting ?? this.#connect()
    this.#connecting = connecting
    connecting.catch(() => {
      if (this.#connecting === connecting) this.#connecting = undefined
    })
    return connecting
  }

  async #connect(): Promise<ProducerClient> {
    const client = this.#host.create()
    this.#current = client
    // Of what is on its way no report would come.
    client.on('event.log', (line) => {
      const loss = fatalIn(line)
      if (loss) this.#abandon(client, loss)
    })
    client.on('delivery-report', (error, report) => {
      const pending = report.opaque as Pending
      if (error) this.#fail(pending, error)
      else {
        const { topic, partition, offset } = report
        pending.settle({ topic, partition, offset: offset < 0 ? null : offset })
      }
    })
    try {
      await call<Metadata>('Cannot connect to Kafka', (done) =>
        client.connect({ allTopics: false, timeout: CONNECT_TIMEOUT_MS }, done),
      )
    } catch (error) {
      await disconnect(client)
      throw error
    }
    client.setPollInBackground(true)
    return client
  }

  async #close(): Promise<void> {
    const client = await this.#connecting?.catch(() => undefined)
    // A report that comes while the client goes away would be lost, though Kafka has the record.
    const arrived = Promise.all(
      [...this.#pending].filter(({ client }) => client).map(({ result }) => result),
    )
    let late: ReturnType<typeof setTimeout> | undefined
    const patience = new Promise((resolve) => {
      late = setTimeout(resolve, FLUSH_MS)
    })
    if (client) await Promise.race([arrived, patience])
    clearTimeout(late)
    if (client) await disconnect(client)
    for (const pending of this.#pending) pending.settle(closing())
  }
}

/** Never fails; takes at most some seconds. */
function disconnect(client: ProducerClient): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(resolve, DISCONNECT_MS)
    const done = () => {
      clearTimeout(late)
      resolve()
    }
    if (client.isConnected()) client.disconnect(1, done)
    else done()
  })
}

/** Bytes that a record holds in the queue, more or less. */
function sizeOf({ key, value, headers = [] }: ProducerRecord): number {
  let bytes = 128 + (key?.length ?? 0) + (value?.length ?? 0)
  for (const header of headers) {
    const [name, value] = headerEntry(header)
    bytes += name.length + (value?.length ?? 0)
  }
  return bytes
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

function closing(): KafkaConsumeError {
  return new KafkaConsumeError(
    'SHUTTING_DOWN',
    'Cannot write to Kafka: the server is shutting down',
  )
}
