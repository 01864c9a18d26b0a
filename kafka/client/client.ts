import { createRequire } from 'node:module'
import type * as Confluent from '@confluentinc/kafka-javascript'
import { getLogger } from '@logtape/logtape'
import { assertAddon } from '../../native/addon.ts'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import type { PartitionOffset } from '../../src/port/kafka.ts'
import { type ClientError, connectionErrorIn, fromClient, type LogLine } from './errors.ts'

export type Client = typeof Confluent
export type Metadata = Confluent.Metadata
export type Message = Confluent.Message
export type TopicDescription = Confluent.TopicDescription

/** The part of the client's consumer that its declarations keep private, and that we need. */
interface Unlisted {
  /** Makes `consume(n)` wait for a first record only, and then take what is there. */
  setDefaultIsTimeoutOnlyForFirstMessage(only: boolean): void
  incrementalAssign(partitions: PartitionOffset[]): void
  incrementalUnassign(partitions: PartitionOffset[]): void
  /** Whether the partitions were taken without waiting for us, as after a pause that was too long. */
  assignmentLost(): boolean
}
export type Consumer = Confluent.KafkaConsumer & Unlisted

export type ProducerClient = Confluent.Producer

const log = getLogger(['hono-kafka-consume', 'client'])

const REQUEST_TIMEOUT_MS = 5_000
/** Milliseconds for which another broker may still accept what one has refused. */
const REFUSAL_GRACE_MS = 500
/** The same line of a client is logged once in this time. */
const SAME_LINE_MS = 30_000
/** Different lines that are remembered for that. */
const MAX_LINES = 100
/** librdkafka's `RD_KAFKA_RESP_ERR_UNKNOWN`. */
const UNKNOWN = -1
/** librdkafka's `RD_KAFKA_RESP_ERR__TIMED_OUT`. */
const TIMED_OUT = -185

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

/**
 * A consumer that is not connected yet. What its client reports goes to the log.
 *
 * @throws KafkaConsumeError INVALID_OPTIONS for settings that librdkafka does not know or take.
 */
export function createConsumer(settings: Settings, topicSettings: Settings = {}): Consumer {
  const { KafkaConsumer } = loadClient()
  const consumer = create(
    () => new KafkaConsumer(settings as Confluent.ConsumerGlobalConfig, topicSettings) as Consumer,
  )
  consumer.setDefaultIsTimeoutOnlyForFirstMessage(true)
  const tell = once((message) => log.debug('{message}', { message }))
  consumer.on('event.log', ({ message }) => tell(message))
  consumer.on('event.error', ({ message }) => tell(message))
  return consumer
}

/** A producer that is not connected yet. What its client reports goes to the log. */
export function createProducer(settings: Settings): ProducerClient {
  const { Producer } = loadClient()
  const producer = create(() => new Producer(settings as Confluent.ProducerGlobalConfig))
  const tell = once((message) => log.debug('{message}', { message }))
  producer.on('event.log', ({ message }) => tell(message))
  producer.on('event.error', ({ message }) => tell(message))
  return producer
}

/** @throws KafkaConsumeError INVALID_OPTIONS for settings that librdkafka does not know or take. */
function create<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    throw refusedSettings(error as ClientError)
  }
}

/** librdkafka repeats itself, some hundred times a second where TLS fails. */
export function once(tell: (message: string) => void): (message: string) => void {
  const told = new Map<string, number>()
  return (message) => {
    // How long the connection lasted differs each time.
    const line = message.replace(/ \(after .*\)$/, '')
    const now = performance.now()
    if (now - (told.get(line) ?? -SAME_LINE_MS) < SAME_LINE_MS) return
    if (told.size >= MAX_LINES) told.clear()
    told.set(line, now)
    tell(message)
  }
}

/** Its words repeat values, which may be secrets, so only the name is taken from them. */
function refusedSettings({ message }: ClientError): KafkaConsumeError {
  const unknown = /^No such configuration property: "([^"]*)"/.exec(message)?.[1]
  const name = unknown ?? /property:? "([^"]*)"/.exec(message)?.[1]
  const state = unknown === undefined ? 'does not take this value' : 'has no such property'
  if (name === undefined) return refusedTogether(message)
  return new KafkaConsumeError(
    'INVALID_OPTIONS',
    `Cannot use librdkafka option "${name}": librdkafka ${state}`,
  )
}

/** Whether no client came about: a code that librdkafka gives for nothing else. */
function isOfSettings(error: unknown): error is KafkaConsumeError {
  if (!(error instanceof KafkaConsumeError)) return false
  return (error.cause as ClientError | undefined)?.code === UNKNOWN
}

function refusedTogether(detail: string | undefined): KafkaConsumeError {
  return new KafkaConsumeError(
    'INVALID_OPTIONS',
    'Cannot connect to Kafka: librdkafka does not take these settings together',
    detail === undefined ? {} : { detail },
  )
}

/**
 * Connects, which ends when the first broker has told which brokers there are, or soon after one
 * has refused us.
 *
 * @param timeout Milliseconds.
 * @throws KafkaConsumeError
 */
export async function connectClient(consumer: Consumer, timeout: number): Promise<void> {
  const action = 'Cannot connect to Kafka'
  let timer: ReturnType<typeof setTimeout> | undefined
  const refusal = Promise.withResolvers<never>()
  const listen = (line: LogLine) => {
    const error = connectionErrorIn(line)
    // A broker that is away may come back before the timeout.
    if (!error || error.code === 'KAFKA_UNAVAILABLE') return
    timer ??= setTimeout(() => refusal.reject(error), REFUSAL_GRACE_MS)
  }
  consumer.on('event.log', listen)
  const connecting = call<Metadata>(action, (done) =>
    consumer.connect({ allTopics: false, timeout } as Confluent.MetadataOptions, done),
  )
  connecting.catch(() => {})
  try {
    await Promise.race([connecting, refusal.promise])
  } catch (error) {
    throw isOfSettings(error) ? refusedTogether(error.detail) : error
  } finally {
    clearTimeout(timer)
    consumer.off('event.log', listen)
  }
}

/** For questions that only an administrator's client asks, on the connections of a consumer. */
export function adminOf(consumer: Consumer): Confluent.IAdminClient {
  return loadClient().AdminClient.createFrom(consumer)
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
 * Commits, and resolves when Kafka has. The answer comes only while the consumer is asked for
 * records, and only with `offset_commit_cb: true` among its settings. (The client's own `commitCb`
 * calls back when the commit was queued.)
 *
 * @param offsets Of one topic: the client tells of an error only if no partition was committed.
 * @param timeout Milliseconds.
 * @throws KafkaConsumeError
 */
export function commitOffsets(
  consumer: Consumer,
  offsets: readonly PartitionOffset[],
  timeout: number,
): Promise<void> {
  const asked = textOf(offsets)
  return call('Cannot commit offsets', (done) => {
    const finish = (error?: ClientError | null) => {
      clearTimeout(timer)
      consumer.off('offset.commit', heard as never)
      done(error, undefined)
    }
    const heard = (error: ClientError | undefined, answered: readonly PartitionOffset[]) => {
      if (textOf(answered) === asked) finish(error)
    }
    const timer = setTimeout(() => finish({ code: TIMED_OUT, message: 'no answer' }), timeout)
    consumer.on('offset.commit', heard as never)
    try {
      consumer.commit([...offsets])
    } catch (error) {
      finish(error as ClientError)
    }
  })
}

function textOf(offsets: readonly PartitionOffset[]): string {
  const texts = offsets.map(({ topic, partition, offset }) => `${topic}:${partition}=${offset}`)
  return texts.sort().join(',')
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
  const admin = adminOf(client)
  try {
    const { groups } = await call<Described>('Cannot read the members of a group', (done) =>
      admin.describeGroups([groupId], { timeout: REQUEST_TIMEOUT_MS }, done as never),
    )
    return groups[0]?.members ?? []
  } finally {
    admin.disconnect()
  }
}

/** What `describeGroups` calls back with; its declarations leave that open. */
interface Described {
  readonly groups: readonly Confluent.GroupDescription[]
}
