import type * as Confluent from '@confluentinc/kafka-javascript'
import { AddonError, assertAddon, requireClient, setupAdvice } from '../../native/addon.ts'
import { KafkaConsumeError, shuttingDownError } from '../../src/core/errors.ts'
import { logOf } from '../../src/core/log.ts'
import { partitionKey, type TopicPartition } from '../../src/core/topic-partition.ts'
import type { PartitionOffset } from '../../src/port/kafka.ts'
import { addon } from './addon.ts'
import {
  type ClientError,
  connectionErrorIn,
  fromClient,
  isPassing,
  type LogLine,
  UNRESOLVED,
} from './errors.ts'

export type Client = typeof Confluent
export type Metadata = Confluent.Metadata
export type Message = Confluent.Message
export type TopicDescription = Confluent.TopicDescription
export type MemberDescription = Confluent.MemberDescription

/** Methods of the client's consumer that its declarations leave out. */
interface Unlisted {
  /** Makes `consume(n)` wait for a first record only, and then take the records that were fetched. */
  setDefaultIsTimeoutOnlyForFirstMessage(only: boolean): void
  incrementalAssign(partitions: PartitionOffset[]): void
  incrementalUnassign(partitions: PartitionOffset[]): void
  /** Whether the group has given our partitions to others without our consent, as after a pause that was too long. */
  assignmentLost(): boolean
}
export type Consumer = Confluent.KafkaConsumer & Unlisted

export type ProducerClient = Confluent.Producer

const log = logOf('client')

const REQUEST_TIMEOUT_MS = 5_000
/** Milliseconds for which another broker may still accept what one has refused. */
const REFUSAL_GRACE_MS = 500
/** Milliseconds in which a repeated line of a client is logged once. */
const REPEATED_LINE_MS = 30_000
/** Different lines that are remembered, to recognize repeated ones. */
const MAX_LINES = 100
/** librdkafka's `RD_KAFKA_RESP_ERR_UNKNOWN`. */
const UNKNOWN = -1
/** librdkafka's `RD_KAFKA_RESP_ERR__TIMED_OUT`. */
const TIMED_OUT = -185

let loaded: Client | undefined

/**
 * Loads Confluent's client. `require` instead of `import` makes a missing addon an error to catch.
 *
 * @throws KafkaConsumeError INTERNAL, whose message names the command that compiles the addon.
 */
export function loadClient(): Client {
  if (loaded) return loaded
  try {
    assertAddon()
  } catch (cause) {
    // The runtime's own errors name paths, as on Deno without --allow-read: only the log has them.
    const unreadable = 'Cannot load the Kafka client: its files cannot be read'
    const message = cause instanceof AddonError ? cause.publicMessage : unreadable
    throw new KafkaConsumeError('INTERNAL', message, { cause })
  }
  const client = requireClient() as Client
  assertCurrent()
  loaded = client
  return loaded
}

/** The exports that `native/` adds to the addon. */
const ADDITIONS = [
  'LayoutReader',
  'RecordReader',
  'describeTopicConfiguration',
  'describeReplicaSizes',
]

/** @throws KafkaConsumeError INTERNAL when the addon was compiled from older sources than these. */
function assertCurrent(): void {
  if (ADDITIONS.every((name) => name in addon())) return
  throw new KafkaConsumeError(
    'INTERNAL',
    `Cannot load the Kafka client: its addon is older than this package. ${setupAdvice()}`,
  )
}

/** librdkafka's settings by name (its CONFIGURATION.md). */
export type Settings = Record<string, unknown>

/**
 * A consumer that is not connected yet. Its messages and errors go to the log.
 *
 * @throws KafkaConsumeError INVALID_OPTIONS for settings that librdkafka does not know or take.
 */
export function createConsumer(settings: Settings, topicSettings: Settings = {}): Consumer {
  const { KafkaConsumer } = loadClient()
  const consumer = create(
    () => new KafkaConsumer(settings as Confluent.ConsumerGlobalConfig, topicSettings) as Consumer,
  )
  consumer.setDefaultIsTimeoutOnlyForFirstMessage(true)
  const report = withoutRepetition((message) => log.debug('{message}', { message }))
  consumer.on('event.log', ({ message }) => report(message))
  consumer.on('event.error', ({ message }) => report(message))
  return consumer
}

/**
 * A producer that is not connected yet. Its messages and errors go to the log.
 *
 * @throws KafkaConsumeError INVALID_OPTIONS for settings that librdkafka does not know or take.
 */
export function createProducer(settings: Settings): ProducerClient {
  const { Producer } = loadClient()
  const producer = create(() => new Producer(settings as Confluent.ProducerGlobalConfig))
  const report = withoutRepetition((message) => log.debug('{message}', { message }))
  producer.on('event.log', ({ message }) => report(message))
  producer.on('event.error', ({ message }) => report(message))
  return producer
}

/** @throws KafkaConsumeError INVALID_OPTIONS for settings that librdkafka does not know or take. */
function create<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    throw settingsError(error as ClientError)
  }
}

/**
 * Passes a message on, unless it was passed on within the last 30 s: librdkafka repeats itself, some
 * hundred times a second where TLS fails.
 */
export function withoutRepetition(report: (message: string) => void): (message: string) => void {
  const reported = new Map<string, number>()
  return (message) => {
    // The time for which the connection lasted differs each time.
    const line = message.replace(/ \(after .*\)$/, '')
    const now = performance.now()
    if (now - (reported.get(line) ?? -REPEATED_LINE_MS) < REPEATED_LINE_MS) return
    if (reported.size >= MAX_LINES) reported.clear()
    reported.set(line, now)
    report(message)
  }
}

/** librdkafka's message repeats the value, which may be a secret, so only the name is taken from it. */
function settingsError({ message }: ClientError): KafkaConsumeError {
  const unknown = /^No such configuration property: "([^"]*)"/.exec(message)?.[1]
  const name = unknown ?? /property:? "([^"]*)"/.exec(message)?.[1]
  const state = unknown === undefined ? 'does not take this value' : 'has no such property'
  if (name === undefined) return conflictingSettings(message)
  return new KafkaConsumeError(
    'INVALID_OPTIONS',
    `Cannot use librdkafka option "${name}": librdkafka ${state}`,
  )
}

/** Whether librdkafka could not create a client: it uses this code for nothing else. */
function isSettingsError(error: unknown): error is KafkaConsumeError {
  if (!(error instanceof KafkaConsumeError)) return false
  return (error.cause as ClientError | undefined)?.code === UNKNOWN
}

function conflictingSettings(detail: string | undefined): KafkaConsumeError {
  return new KafkaConsumeError(
    'INVALID_OPTIONS',
    'Cannot connect to Kafka: librdkafka does not take these settings together',
    detail === undefined ? {} : { detail },
  )
}

/**
 * Connects a consumer. Resolves when the first broker has sent the cluster's metadata; rejects soon
 * after a broker has refused us, and at the timeout where no broker answers or a host name does not
 * resolve.
 *
 * @param timeout Milliseconds.
 * @throws KafkaConsumeError
 */
export async function connectClient(consumer: Consumer, timeout: number): Promise<void> {
  const action = 'Cannot connect to Kafka'
  let timer: ReturnType<typeof setTimeout> | undefined
  let unresolved: KafkaConsumeError | undefined
  const refusal = Promise.withResolvers<never>()
  const listen = (line: LogLine) => {
    const error = connectionErrorIn(line)
    if (error?.state === UNRESOLVED) unresolved = error
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
    if (isSettingsError(error)) throw conflictingSettings(error.detail)
    throw unresolved && isPassing(error as KafkaConsumeError) ? unresolved : error
  } finally {
    clearTimeout(timer)
    consumer.off('event.log', listen)
  }
}

/** Requests of administration that use the connections of a consumer, and are not answered yet. */
const adminRequests = new WeakMap<Consumer, Set<Promise<unknown>>>()
/** Consumers that are disconnected or about to be. */
const ended = new WeakSet<Consumer>()

/**
 * Sends a request of administration on the connections of a consumer.
 *
 * Confluent's client does not keep the consumer from being freed meanwhile, which would end the process.
 * So the consumer is disconnected once its requests are answered, and takes no further ones.
 *
 * @param action "Cannot …": the beginning of the error's message.
 * @throws KafkaConsumeError
 */
export async function administer<T>(
  action: string,
  consumer: Consumer,
  request: (
    admin: Confluent.IAdminClient,
    done: (error: ClientError | null | undefined, result: T) => void,
  ) => unknown,
): Promise<T> {
  if (ended.has(consumer)) throw shuttingDownError('read from Kafka')
  const open = adminRequests.get(consumer) ?? new Set()
  adminRequests.set(consumer, open)
  const answer = call<T>(action, (done) => {
    const admin = loadClient().AdminClient.createFrom(consumer)
    request(admin, (error, result) => {
      admin.disconnect()
      done(error, result)
    })
  })
  open.add(answer)
  try {
    return await answer
  } finally {
    open.delete(answer)
  }
}

/** Disconnects and frees a consumer, which leaves its group. Never rejects; takes at most 5 s. */
export function disconnectClient(consumer: Consumer): Promise<void> {
  ended.add(consumer)
  const open = [...(adminRequests.get(consumer) ?? [])]
  return new Promise((resolve) => {
    const late = setTimeout(resolve, 5_000)
    const disconnect = () =>
      consumer.disconnect(() => {
        clearTimeout(late)
        resolve()
      })
    if (open.length === 0) disconnect()
    else void Promise.allSettled(open).then(disconnect)
  })
}

/**
 * Turns a call of the client with a callback into a promise.
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
 * Commits offsets; resolves when Kafka has committed them. The answer comes only while the consumer is
 * polled, and only with `offset_commit_cb: true` among its settings. (The client's own `commitCb`
 * calls back when the commit is queued.)
 *
 * @param offsets Offsets of one topic: the client reports an error only if no partition was committed.
 * @param timeout Milliseconds.
 * @throws KafkaConsumeError
 */
export function commitOffsets(
  consumer: Consumer,
  offsets: readonly PartitionOffset[],
  timeout: number,
): Promise<void> {
  const wanted = keyOf(offsets)
  return call('Cannot commit offsets', (done) => {
    const finish = (error?: ClientError | null) => {
      clearTimeout(timer)
      consumer.off('offset.commit', onCommit as never)
      done(error, undefined)
    }
    const onCommit = (error: ClientError | undefined, answered: readonly PartitionOffset[]) => {
      if (keyOf(answered) === wanted) finish(error)
    }
    const timer = setTimeout(() => finish({ code: TIMED_OUT, message: 'no answer' }), timeout)
    consumer.on('offset.commit', onCommit as never)
    try {
      consumer.commit([...offsets])
    } catch (error) {
      finish(error as ClientError)
    }
  })
}

/** Recognizes the answer to a commit: the client passes on nothing else that identifies it. */
function keyOf(offsets: readonly PartitionOffset[]): string {
  const keys = offsets.map((position) => `${partitionKey(position)}=${position.offset}`)
  return keys.sort().join(',')
}

/** librdkafka's `RD_KAFKA_CONSUMER_GROUP_STATE_STABLE`. */
const STABLE = 3

/**
 * The members of a consumer group, as its coordinator knows them.
 *
 * @param client Any connected consumer.
 * @returns also whether the group is stable: each member has its partitions, and none joins or leaves.
 * @throws KafkaConsumeError
 */
export async function membersOf(
  groupId: string,
  client: Consumer,
): Promise<{ readonly members: readonly MemberDescription[]; readonly isStable: boolean }> {
  const { groups } = await administer<DescribedGroups>(
    'Cannot read the members of a group',
    client,
    (admin, done) =>
      admin.describeGroups([groupId], { timeout: REQUEST_TIMEOUT_MS }, done as never),
  )
  return { members: groups[0]?.members ?? [], isStable: groups[0]?.state === STABLE }
}

/**
 * The offsets that a consumer group has committed, as its coordinator knows them; -1 for none.
 *
 * @param client Any connected consumer.
 * @throws KafkaConsumeError
 */
export async function committedOffsets(
  groupId: string,
  partitions: readonly TopicPartition[],
  client: Consumer,
): Promise<readonly PartitionOffset[]> {
  // A group may have committed offsets of transactions that are not decided yet.
  const options = { timeout: REQUEST_TIMEOUT_MS, requireStableOffsets: false }
  const wanted = [{ groupId, partitions: [...partitions] }]
  const [answer] = await administer<
    ReadonlyArray<{ readonly partitions: readonly PartitionOffset[] }>
  >('Cannot read committed offsets', client, (admin, done) =>
    admin.listConsumerGroupOffsets(wanted as never, options, done as never),
  )
  return answer?.partitions ?? []
}

/** The result of `describeGroups`, which its declarations leave open. */
interface DescribedGroups {
  readonly groups: readonly Confluent.GroupDescription[]
}
