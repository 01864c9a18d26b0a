import { createRequire } from 'node:module'
import type * as Confluent from '@confluentinc/kafka-javascript'
import { getLogger } from '@logtape/logtape'
import { assertAddon } from '../native/addon.ts'
import { KafkaConsumeError } from '../src/errors.ts'
import type { PartitionOffset } from '../src/stream/source.ts'
import { type ClientError, fromClient } from './errors.ts'

export type Client = typeof Confluent
export type Metadata = Confluent.Metadata
export type Message = Confluent.Message

/** The part of the client's consumer that its declarations keep private, and that we need. */
interface Unlisted {
  /** Makes `consume(n)` wait for a first record only, and then take what is there. */
  setDefaultIsTimeoutOnlyForFirstMessage(only: boolean): void
  commitCb(offsets: PartitionOffset[], done: (error: ClientError | null) => void): void
  incrementalAssign(partitions: PartitionOffset[]): void
  incrementalUnassign(partitions: PartitionOffset[]): void
  /** Whether the partitions were taken without waiting for us, as after a pause that was too long. */
  assignmentLost(): boolean
}
export type Consumer = Confluent.KafkaConsumer & Unlisted

export type ProducerClient = Confluent.Producer

const log = getLogger(['hono-kafka-consume', 'client'])

const REQUEST_TIMEOUT_MS = 5_000

let loaded: Client | undefined

/**
 * Confluent's client. It is required, not imported, so that a missing addon is an error to catch.
 *
 * @throws KafkaConsumeError INTERNAL, whose message names the command that mends it.
 */
export function loadClient(): Client {
  if (loaded) return loaded
  try {
    assertAddon()
  } catch (error) {
    throw new KafkaConsumeError('INTERNAL', (error as Error).message, { cause: error })
  }
  loaded = createRequire(import.meta.url)('@confluentinc/kafka-javascript') as Client
  return loaded
}

/** Settings of librdkafka by their own names (its CONFIGURATION.md). */
export type Settings = Record<string, unknown>

/** A consumer that is not connected yet. What its client reports goes to the log. */
export function createConsumer(settings: Settings, topicSettings: Settings = {}): Consumer {
  const { KafkaConsumer } = loadClient()
  const consumer = new KafkaConsumer(
    settings as Confluent.ConsumerGlobalConfig,
    topicSettings,
  ) as Consumer
  consumer.setDefaultIsTimeoutOnlyForFirstMessage(true)
  consumer.on('event.log', ({ message }) => log.debug('{message}', { message }))
  consumer.on('event.error', ({ code, message }) => log.debug('{message}', { code, message }))
  return consumer
}

/** A producer that is not connected yet. What its client reports goes to the log. */
export function createProducer(settings: Settings): ProducerClient {
  const { Producer } = loadClient()
  const producer = new Producer(settings as Confluent.ProducerGlobalConfig)
  producer.on('event.log', ({ message }) => log.debug('{message}', { message }))
  producer.on('event.error', ({ code, message }) => log.debug('{message}', { code, message }))
  return producer
}

/**
 * Connects, which ends when the first broker has told which brokers there are.
 *
 * @param timeout Milliseconds.
 * @throws KafkaConsumeError
 */
export async function connectClient(consumer: Consumer, timeout: number): Promise<void> {
  await call<Metadata>('Cannot connect to Kafka', (done) =>
    consumer.connect({ allTopics: false, timeout } as Confluent.MetadataOptions, done),
  )
}

/** Leaves whatever the consumer is in, and frees it. Never fails; takes at most some seconds. */
export function disconnectClient(consumer: Consumer): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(resolve, 5_000)
    consumer.disconnect(() => {
      clearTimeout(late)
      resolve()
    })
  })
}

/**
 * A call of the client that ends in a callback, as a promise.
 *
 * @param action "Cannot …": the beginning of the error's message.
 * @throws KafkaConsumeError
 */
export function call<T>(
  action: string,
  start: (done: (error: ClientError | null | undefined, result: T) => void) => unknown,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => reject(fromClient(error as ClientError, action))
    try {
      start((error, result) => (error ? fail(error) : resolve(result)))
    } catch (error) {
      fail(error)
    }
  })
}

/**
 * The members of a consumer group, as its coordinator knows them.
 *
 * @param client Any connected one.
 * @throws KafkaConsumeError
 */
export async function membersOf(
  groupId: string,
  client: Consumer,
): Promise<readonly Confluent.MemberDescription[]> {
  const admin = loadClient().AdminClient.createFrom(client)
  const { groups } = await call<Described>('Cannot read the members of a group', (done) =>
    admin.describeGroups([groupId], { timeout: REQUEST_TIMEOUT_MS }, done as never),
  )
  return groups[0]?.members ?? []
}

/** What `describeGroups` calls back with; its declarations leave that open. */
interface Described {
  readonly groups: readonly Confluent.GroupDescription[]
}
