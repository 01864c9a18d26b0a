import type { MessageHeader } from '@confluentinc/kafka-javascript'
import { settledWithin } from '../src/core/deadline.ts'
import { asKafkaConsumeError, KafkaConsumeError, shuttingDownError } from '../src/core/errors.ts'
import { logOf } from '../src/core/log.ts'
import { headerEntry } from '../src/port/kafka.ts'
import type { OpenProducer } from '../src/port/open-producer.ts'
import type { ProducerRecord, RecordMetadata } from '../src/port/producer.ts'
import { call, type Metadata, type ProducerClient, withoutRepetition } from './client/client.ts'
import {
  type ClientError,
  FATAL,
  fatalIn,
  fromClient,
  isPassing,
  isUnknownTopic,
  notLoaded,
} from './client/errors.ts'

const log = logOf('producer')

const MIB = 1024 * 1024
const ACTION = 'Cannot write to Kafka'

const CONNECT_TIMEOUT_MS = 5_000
/** Milliseconds between two attempts to connect, while records wait for a connection. */
const RECONNECT_MS = 500
/** Milliseconds for which closing waits for records that were sent. */
const FLUSH_MS = 5_000
const DISCONNECT_MS = 5_000

/** librdkafka's `__PURGE_QUEUE`, for records that were not sent before the client was disconnected. */
const PURGED = -152
/** Errors of the records of a client after its fatal error. */
const AFTER_FATAL = new Set([FATAL, PURGED])

type Result = RecordMetadata | KafkaConsumeError

/** The cluster, as a producer sees it. */
export interface ProducerHost {
  /** Rejects at once during an outage. */
  reachable(): Promise<unknown>
  /**
   * The partitions of a topic, by Kafka's metadata.
   * @throws KafkaConsumeError UNKNOWN_TOPIC when it does not exist.
   */
  partitions(topic: string): Promise<ReadonlyArray<{ readonly partition: number }>>
  /** A client that is not connected yet. */
  create(): ProducerClient
}

/** Limits of records that wait for Kafka. When none waits, a batch of any size is accepted. */
export interface PendingLimits {
  readonly records: number
  /** Bytes of keys, values and headers, and of what holds them. */
  readonly bytes: number
  /** Milliseconds for which records wait for a connection. Default: an outage refuses them at once. */
  readonly patience?: number | undefined
}

const LIMITS: PendingLimits = { records: 20_000, bytes: 32 * MIB }

/** A record that Kafka has not confirmed yet. */
interface Pending {
  readonly bytes: number
  readonly result: Promise<Result>
  /** The record's topic and partition; no partition where its key chooses one. */
  readonly topic: string
  readonly partition: number | undefined
  settle(result: Result): void
  /** The client that is to report its delivery; unset until `produce` was called. */
  client: ProducerClient | undefined
}

/**
 * Writes records and reports for each whether Kafka has it. The first record creates the client; after
 * a fatal error the next record creates another one.
 *
 * Overflow policy: a batch that does not fit beside the waiting records is refused whole.
 */
export class ConfirmingProducer implements OpenProducer {
  readonly #host: ProducerHost
  readonly #limits: PendingLimits
  #connecting: Promise<ProducerClient> | undefined
  /** The client for new records, connected or about to be. */
  #current: ProducerClient | undefined
  /** Clients after a fatal error, which never write again, with that error. */
  readonly #lost = new WeakMap<ProducerClient, ClientError>()
  /** Clients that are given up. A client that still connects is not disconnected yet. */
  readonly #ended = new WeakMap<ProducerClient, Promise<void> | undefined>()
  readonly #pending = new Set<Pending>()
  readonly #requests = new Map<string, ReturnType<ProducerHost['partitions']>>()
  #bytes = 0
  readonly #reportLoss = withoutRepetition((error) =>
    log.warn('The producer is replaced after a fatal error: {error}', { error }),
  )
  /** The attempts to connect for records that wait for a connection. */
  #persisting: Promise<ProducerClient> | undefined
  #closed: Promise<void> | undefined
  #isGivenUp = false

  constructor(host: ProducerHost, limits = LIMITS) {
    this.#host = host
    this.#limits = limits
  }

  async send(records: readonly ProducerRecord[]): Promise<Result[]> {
    return this.accept(records).outcome
  }

  accept(records: readonly ProducerRecord[]): { readonly outcome: Promise<Result[]> } {
    if (this.#closed) throw shuttingDownError('write to Kafka')
    const sizes = records.map(sizeOf)
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    const isFull =
      this.#pending.size + records.length > this.#limits.records ||
      this.#bytes + bytes > this.#limits.bytes
    if (isFull && this.#pending.size > 0) {
      throw new KafkaConsumeError(
        'TOO_MANY_RECORDS',
        `Cannot write to Kafka: ${this.#pending.size} records are waiting already`,
        { retryAfter: 1 },
      )
    }
    // Records are counted before the first await, so that concurrent calls respect the limit.
    const pending = records.map((record, index) => this.#add(record, sizes[index] as number))
    return { outcome: this.#write(records, pending) }
  }

  async #write(records: readonly ProducerRecord[], pending: readonly Pending[]): Promise<Result[]> {
    try {
      const client = await this.#reach()
      const loss = this.#lost.get(client)
      if (loss) throw fromClient(loss, ACTION)
      for (let i = 0; i < records.length; i++) {
        this.#produce(client, records[i] as ProducerRecord, pending[i] as Pending)
      }
      if (this.#closed) flush(client)
    } catch (error) {
      for (const each of pending) this.#remove(each)
      throw error
    }
    return Promise.all(pending.map(({ result }) => result))
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  #add({ topic, partition }: ProducerRecord, bytes: number): Pending {
    const { promise, resolve } = Promise.withResolvers<Result>()
    const pending: Pending = {
      bytes,
      result: promise,
      topic,
      partition,
      settle: (result) => {
        this.#remove(pending)
        resolve(result)
      },
      client: undefined,
    }
    this.#pending.add(pending)
    this.#bytes += bytes
    return pending
  }

  #remove(pending: Pending): void {
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
        Math.max(0, timestamp), // 0 means now
        pending,
        // The client's type leaves out null, which our addon writes as a header without a value.
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
    // The client's log has the reason of a fatal error; #settleLost settles the records with it.
    const isLost = client && this.#lost.has(client) && AFTER_FATAL.has(error.code ?? 0)
    if (isLost) return
    const translated = fromClient(error, ACTION)
    if (isUnknownTopic(translated)) void this.#verify(translated, pending).then(pending.settle)
    else pending.settle(translated)
  }

  /**
   * Asks Kafka's metadata whether a topic or partition exists: a broker that has just started denies
   * topics that it has yet to load.
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

  /** Records of a topic that fail together share one request. */
  #partitionsOf(topic: string): ReturnType<ProducerHost['partitions']> {
    const request =
      this.#requests.get(topic) ??
      this.#host.partitions(topic).finally(() => this.#requests.delete(topic))
    this.#requests.set(topic, request)
    return request
  }

  /** Gives up a client after a fatal error: the next record gets a new one. */
  #abandon(client: ProducerClient, error: ClientError): void {
    if (error.code !== FATAL || !this.#lost.has(client)) this.#lost.set(client, error)
    if (this.#current !== client) return
    this.#current = undefined
    this.#connecting = undefined
    void this.#end(client).then(() => this.#settleLost(client))
  }

  /** Settles the records of a lost client, which will not report them any more. */
  #settleLost(client: ProducerClient): void {
    const error = this.#lost.get(client) as ClientError
    this.#reportLoss(error.message)
    for (const pending of this.#pending) {
      if (pending.client === client) pending.settle(fromClient(error, ACTION))
    }
  }

  /** @throws KafkaConsumeError when Kafka cannot be reached, at once or after the producer's patience. */
  async #reach(): Promise<ProducerClient> {
    const { patience } = this.#limits
    if (patience === undefined) {
      await this.#host.reachable()
      const client = await this.#connected()
      if (this.#closed) throw shuttingDownError('write to Kafka')
      return client
    }
    const persisting = this.#persist()
    if (await settledWithin(persisting, patience)) return persisting
    // The cluster's connection knows why.
    await this.#host.reachable()
    throw notInTime()
  }

  /** Connects, however often that takes, for all records that wait: they go on in their order. */
  #persist(): Promise<ProducerClient> {
    this.#persisting ??= this.#attempt().finally(() => {
      this.#persisting = undefined
    })
    return this.#persisting
  }

  async #attempt(): Promise<ProducerClient> {
    while (true) {
      try {
        return await this.#connected()
      } catch (error) {
        const isHopeless = !isPassing(asKafkaConsumeError(error))
        if (isHopeless || this.#isGivenUp || this.#pending.size === 0) throw error
      }
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS))
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
    // After a fatal error the client reports nothing about records that were sent: its log has the error.
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
      await this.#end(client)
      throw error
    }
    // A fatal error or a close may have ended the client while it connected. Confluent's client would
    // then call librdkafka by a null pointer, which ends the process.
    if (this.#ended.has(client)) {
      await this.#end(client)
      const loss = this.#lost.get(client)
      throw loss ? fromClient(loss, ACTION) : shuttingDownError('write to Kafka')
    }
    client.setPollInBackground(true)
    return client
  }

  async #close(): Promise<void> {
    const waits = this.#limits.patience !== undefined
    const connecting = this.#connecting?.catch(() => undefined)
    // Records that may wait for a connection are waited for below.
    if (connecting && !waits) await settledWithin(connecting, FLUSH_MS)
    if (waits && this.#current) flush(this.#current)
    // A delivery report that comes while the client disconnects is lost, although Kafka has the record.
    const delivered = Promise.all(
      [...this.#pending].filter(({ client }) => client || waits).map(({ result }) => result),
    )
    await settledWithin(delivered, FLUSH_MS)
    this.#isGivenUp = true
    if (this.#current) await this.#end(this.#current)
    for (const pending of this.#pending) pending.settle(shuttingDownError('write to Kafka'))
  }

  /** Gives up a client: it is disconnected once. Never rejects; takes at most 5 s. */
  #end(client: ProducerClient): Promise<void> {
    const ending =
      this.#ended.get(client) ?? (client.isConnected() ? disconnect(client) : undefined)
    this.#ended.set(client, ending)
    return ending ?? Promise.resolve()
  }
}

/** Sends records that wait for others to be sent with, whatever `linger.ms` says. */
function flush(client: ProducerClient): void {
  if (client.isConnected()) client.flush(FLUSH_MS, () => {})
}

/** Disconnects a connected client. Never rejects; takes at most 5 s. */
function disconnect(client: ProducerClient): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(resolve, DISCONNECT_MS)
    client.disconnect(1, () => {
      clearTimeout(late)
      resolve()
    })
  })
}

/** Bytes of a pending record in memory, more or less. */
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

function notInTime(): KafkaConsumeError {
  return new KafkaConsumeError('KAFKA_TIMEOUT', `${ACTION}: no broker was reached in time`)
}
