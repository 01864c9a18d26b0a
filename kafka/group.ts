import { getLogger } from '@logtape/logtape'
import { asKafkaConsumeError, KafkaConsumeError } from '../src/errors.ts'
import type {
  Delivery,
  GroupOptions,
  GroupSession,
  KafkaRecord,
  PartitionLag,
  PartitionOffset,
  PartitionState,
  PollLimits,
} from '../src/stream/source.ts'
import { type Consumer, call, type Message, type Settings } from './client.ts'
import { Ledger } from './ledger.ts'
import { ReadyRecords } from './ready-records.ts'

const log = getLogger(['hono-kafka-consume', 'group'])

/** Records held ready for the next caller; when there are more, partitions are paused. */
const READY_RECORDS = 1_000
const READY_BYTES = 8 * 1024 * 1024
/** Milliseconds that one call of the client waits for a first record. */
const READ_WAIT_MS = 100
/** The same while paused, when only changes of membership can come. */
const PAUSED_WAIT_MS = 250
/** Milliseconds for the group to assign partitions and for them to answer. */
const JOIN_TIMEOUT_MS = 30_000
/** Callers waiting at a time; one more is refused. */
const MAX_POLLS = 10_000
const RETRY_MS = 1_000
/** How long answers on their way may hold up leaving. */
const LAST_DELIVERIES_MS = 3_000

const ASSIGN = -175
const REVOKE = -174

/**
 * Settings of a member of a group.
 *
 * @param quick Use the newer protocol (KIP-848): librdkafka's own broker holds the first member of
 * a classic group for 3 s. Real clusters get the classic one, which those before Kafka 4 need.
 */
export function groupSettings(groupId: string, quick: boolean): Settings {
  const classic = {
    // Partitions that stay with a member are not taken from it while others move.
    'partition.assignment.strategy': 'cooperative-sticky',
    'session.timeout.ms': 10_000,
    'heartbeat.interval.ms': 1_000,
  }
  return {
    ...(quick ? { 'group.protocol': 'consumer' } : classic),
    'group.id': groupId,
    'enable.auto.commit': false,
    'enable.auto.offset.store': false,
    'enable.partition.eof': true,
    'fetch.wait.max.ms': 100,
    'queued.max.messages.kbytes': 16 * 1024,
    'fetch.queue.backoff.ms': 5,
    'fetch.error.backoff.ms': 100,
  }
}

/** How the cluster makes and frees the consumer of a group. */
export interface GroupHost {
  /** A connected consumer. */
  connect(
    rebalance: (error: { code: number }, partitions: PartitionOffset[]) => void,
  ): Promise<Consumer>
  /** Leaves the group and frees the consumer. */
  disconnect(consumer: Consumer): Promise<void>
  /** All partitions of the topics. */
  partitions(): Promise<ReadonlyArray<{ topic: string; partition: number }>>
}

interface Poll {
  readonly limits: PollLimits
  resolve(delivery: Delivery): void
  reject(error: KafkaConsumeError): void
  /** When an empty answer is due, in `performance.now()`'s time; unset until partitions have answered. */
  due: number | undefined
  readonly since: number
}

/** One partition that this member owns. */
interface Owned {
  readonly topic: string
  readonly partition: number
  /** Whether it has answered: with a record, or that it has none. */
  answered: boolean
  /** The next offset that the client will give us; -1 while unknown. */
  position: number
  /** Where its end was seen; -1 if it was not. */
  end: number
}

/**
 * One member of a consumer group, shared by all callers. Reads a little ahead into a bounded
 * buffer, hands records to callers in turn, takes them back from callers that went away, and
 * commits what was delivered without a hole.
 */
export class Group implements GroupSession {
  readonly #host: GroupHost
  readonly #options: GroupOptions
  readonly #ledger = new Ledger()
  readonly #owned = new Map<string, Owned>()
  readonly #polls: Poll[] = []
  #all: ReadonlyArray<{ topic: string; partition: number }> = []
  readonly #ready = new ReadyRecords()
  #consumer: Consumer | undefined
  #assigned = false
  #paused = false
  /** Whether the last read brought fewer records than it might have. */
  #drained = false
  #closing = false
  #failure: KafkaConsumeError | undefined
  #commits: Promise<void> = Promise.resolve()
  #commitAsked = false
  /** Deliveries that are neither done nor given back. */
  #deliveries = 0
  readonly #loop: Promise<void>
  readonly #changed = new Set<() => void>()

  constructor(host: GroupHost, options: GroupOptions) {
    this.#host = host
    this.#options = options
    this.#loop = this.#run()
  }

  /** Resolves when the group is left for good. */
  get ended(): Promise<void> {
    return this.#loop
  }

  async ready(signal?: AbortSignal): Promise<void> {
    const until = performance.now() + JOIN_TIMEOUT_MS
    while (!this.#assigned || !this.#answered()) {
      if (this.#closing) throw closing()
      if (this.#failure) throw this.#failure
      signal?.throwIfAborted()
      if (performance.now() > until) throw tooLate()
      await this.#change(signal)
    }
  }

  poll(limits: PollLimits, signal?: AbortSignal): Promise<Delivery> {
    if (this.#closing) return Promise.reject(closing())
    if (this.#failure) return Promise.reject(this.#failure)
    if (this.#polls.length >= MAX_POLLS) {
      return Promise.reject(
        new KafkaConsumeError(
          'TOO_MANY_POLLS',
          `Cannot read as a group: ${MAX_POLLS} callers are waiting already`,
        ),
      )
    }
    return new Promise((resolve, reject) => {
      const poll: Poll = { limits, resolve, reject, due: undefined, since: performance.now() }
      this.#polls.push(poll)
      signal?.addEventListener(
        'abort',
        () => {
          const index = this.#polls.indexOf(poll)
          if (index < 0) return
          this.#polls.splice(index, 1)
          reject(new KafkaConsumeError('INTERNAL', 'Cannot read as a group: the caller went away'))
        },
        { once: true },
      )
      this.#serve()
      // Those in front may have long been counting; this one's time begins with its own call.
      if (this.#polls[0]?.due !== undefined) this.#count(poll)
    })
  }

  /** A poll's timeout begins. */
  #count(poll: Poll): void {
    if (poll.due !== undefined) return
    poll.due = performance.now() + poll.limits.timeout
    // The loop looks after each read; this is for waits that end between two reads.
    setTimeout(() => this.#serve(), poll.limits.timeout + 1)
  }

  commit(offsets: readonly PartitionOffset[]): Promise<void> {
    // In line with the others: who leaves the group or a partition waits for these.
    const committed = this.#commits.then(() => this.#commit([...offsets]))
    this.#commits = committed.catch(() => {})
    return committed
  }

  lag(): PartitionLag[] {
    const ready = this.#ready.first()
    return [...this.#owned.values()].map((owned) => {
      const { topic, partition } = owned
      const end = Math.max(this.#highWatermark(owned), owned.end, -1)
      const name = `${topic}:${partition}`
      const next = this.#ledger.delivered(topic, partition) ?? ready.get(name) ?? owned.position
      return { topic, partition, end, lag: end < 0 || next < 0 ? -1 : Math.max(0, end - next) }
    })
  }

  async close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true
      for (const poll of this.#polls.splice(0)) poll.reject(closing())
      this.#announce()
    }
    await this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#closing) {
      try {
        await this.#join()
        while (!this.#closing) await this.#read()
      } catch (error) {
        if (this.#closing) break
        this.#fail(asKafkaConsumeError(error))
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
      if (!this.#closing) await this.#leave()
    }
    await this.#lastDeliveries()
    this.#commitDelivered()
    await this.#commits
    await this.#leave()
  }

  /** Answers that are on their way when the group is left: what arrives is still to be committed. */
  async #lastDeliveries(): Promise<void> {
    const until = performance.now() + LAST_DELIVERIES_MS
    while (this.#deliveries > 0 && performance.now() < until) await this.#change()
  }

  async #join(): Promise<void> {
    this.#all = await this.#host.partitions()
    const consumer = await this.#host.connect((error, partitions) =>
      this.#rebalance(consumer, error.code, partitions),
    )
    this.#consumer = consumer
    this.#failure = undefined
    consumer.on('partition.eof', ({ topic, partition, offset }) => {
      const owned = this.#owned.get(`${topic}:${partition}`)
      if (!owned) return
      owned.answered = true
      owned.end = offset
      if (offset > owned.position) owned.position = offset
    })
    consumer.subscribe([...this.#options.topics])
  }

  async #leave(): Promise<void> {
    const consumer = this.#consumer
    this.#consumer = undefined
    this.#disown([...this.#owned.values()])
    this.#assigned = false
    this.#paused = false
    if (consumer) await this.#host.disconnect(consumer)
  }

  #fail(error: KafkaConsumeError): void {
    if (error.code !== this.#failure?.code) {
      log.warn('Cannot read as group {group}: {error}', {
        group: this.#options.groupId,
        error: error.detail ?? error.message,
      })
    }
    this.#failure = error
    for (const poll of this.#polls.splice(0)) poll.reject(error)
    this.#announce()
  }

  async #read(): Promise<void> {
    const consumer = this.#consumer as Consumer
    const [next] = this.#polls
    const capacity = Math.max(READY_RECORDS, next?.limits.maxRecords ?? 0)
    const bytes = Math.max(READY_BYTES, next?.limits.maxBytes ?? 0)
    const full = this.#ready.length >= capacity || this.#ready.bytes >= bytes
    // Paused, the client still serves changes of membership: without that, others could not join.
    if (full && !this.#paused && !next) this.#pause(true)
    else if (!full && this.#paused) this.#pause(false)
    consumer.setDefaultConsumeTimeout(this.#paused ? PAUSED_WAIT_MS : READ_WAIT_MS)
    const limit = this.#paused
      ? 1
      : Math.max(1, Math.min(READY_RECORDS, capacity - this.#ready.length))
    const records = (await call<Message[]>('Cannot read from Kafka', (done) =>
      consumer.consume(limit, done),
    )) as unknown as KafkaRecord[]
    this.#drained = !this.#paused && records.length < limit
    for (const record of records) {
      const owned = this.#owned.get(`${record.topic}:${record.partition}`)
      // What was on its way when its partition was taken from us, others deliver.
      if (!owned) continue
      owned.answered = true
      owned.position = record.offset + 1
      this.#ready.push(record)
    }
    this.#announce()
    this.#serve()
  }

  #pause(pause: boolean): void {
    const partitions = [...this.#owned.values()].map(({ topic, partition }) => ({
      topic,
      partition,
    }))
    if (pause) this.#consumer?.pause(partitions)
    else this.#consumer?.resume(partitions)
    this.#paused = pause
    this.#drained = false
  }

  #rebalance(consumer: Consumer, code: number, partitions: PartitionOffset[]): void {
    if (code === ASSIGN && consumer === this.#consumer) {
      if (this.#paused) this.#pause(false)
      if (!attempt(() => consumer.incrementalAssign(partitions))) return
      for (const { topic, partition } of partitions) {
        const owned = { topic, partition, answered: false, position: -1, end: -1 }
        this.#owned.set(`${topic}:${partition}`, owned)
      }
      this.#assigned = true
      this.#announce()
    } else if (code === REVOKE) {
      // Another member goes on from what is committed: commit what is delivered first.
      this.#disown(partitions, !consumer.assignmentLost())
      // Also a consumer that is leaving waits for this: it could not leave otherwise.
      void this.#commits.then(() => attempt(() => consumer.incrementalUnassign(partitions)))
    }
  }

  /** These partitions are no longer ours: what is at hand of them, their next owner delivers. */
  #disown(partitions: ReadonlyArray<{ topic: string; partition: number }>, commit = false): void {
    if (partitions.length === 0) return
    // What may be committed is asked now: the ledger forgets it with the partitions.
    if (commit && this.#options.commitStrategy === 'auto')
      this.#commitNext(this.#ledger.committable())
    for (const { topic, partition } of partitions) {
      this.#owned.delete(`${topic}:${partition}`)
      this.#ledger.forget(topic, partition)
    }
    this.#ready.keep(({ topic, partition }) => this.#owned.has(`${topic}:${partition}`))
  }

  #serve(): void {
    while (this.#polls.length > 0) {
      const poll = this.#polls[0] as Poll
      const now = performance.now()
      if (this.#ready.length > 0) {
        const short =
          this.#ready.length < poll.limits.maxRecords && this.#ready.bytes < poll.limits.maxBytes
        // More is at hand in Kafka than here: one more read brings it.
        if (short && !this.#drained && !this.#isAtEnd()) return
        this.#polls.shift()
        poll.resolve(this.#deliver(poll.limits))
        continue
      }
      const answered = this.#assigned && this.#answered()
      if (!answered && now - poll.since > JOIN_TIMEOUT_MS) {
        this.#polls.shift()
        poll.reject(tooLate())
        continue
      }
      if (answered && poll.due === undefined) {
        for (const waiting of this.#polls) this.#count(waiting)
      }
      const late = this.#polls.findIndex(({ due }) => due !== undefined && due <= now)
      if (late < 0) return
      const [empty] = this.#polls.splice(late, 1) as [Poll]
      empty.resolve(this.#deliver(empty.limits))
    }
  }

  #deliver(limits: PollLimits): Delivery {
    const records = this.#ready.take(limits)
    const owners = new Set(this.#owned.values())
    for (const { topic, partition, offset } of records) this.#ledger.take(topic, partition, offset)
    let open = true
    const waiting = new Set(records)
    const settle = () => {
      if (!open) return false
      open = false
      this.#deliveries--
      this.#announce()
      return true
    }
    this.#deliveries++
    return {
      records,
      partitions: this.#states(),
      confirm: (some) => {
        if (!open) return
        this.#delivered(some.filter((record) => waiting.delete(record)))
        if (waiting.size === 0) settle()
      },
      done: () => {
        if (settle()) this.#delivered([...waiting])
      },
      giveBack: () => {
        if (settle()) this.#takeBack([...waiting], owners)
      },
    }
  }

  #delivered(records: readonly KafkaRecord[]): void {
    let late = 0
    for (const { topic, partition, offset } of records) {
      if (!this.#ledger.settle(topic, partition, offset)) late++
    }
    if (late > 0) {
      log.warn('{late} records of group {group} will be delivered again by another member', {
        late,
        group: this.#options.groupId,
      })
    }
    this.#commitDelivered()
  }

  /** @param owners Who owned the records when they went out: a partition that went and returned is read anew. */
  #takeBack(records: readonly KafkaRecord[], owners: ReadonlySet<Owned>): void {
    const ours = records.filter(({ topic, partition }) => {
      const owned = this.#owned.get(`${topic}:${partition}`)
      return owned !== undefined && owners.has(owned)
    })
    if (ours.length === 0 || this.#closing) return
    this.#ready.putBack(ours)
    this.#serve()
  }

  #commitDelivered(): void {
    if (this.#options.commitStrategy === 'off' || this.#commitAsked) return
    this.#commitAsked = true
    this.#commits = this.#commits.then(async () => {
      this.#commitAsked = false
      await this.#commitOrKeep(this.#ledger.committable())
    })
  }

  #commitNext(offsets: PartitionOffset[]): void {
    this.#commits = this.#commits.then(() => this.#commitOrKeep(offsets))
  }

  /** What cannot be committed now goes with the next commit, or with the last one. */
  async #commitOrKeep(offsets: PartitionOffset[]): Promise<void> {
    if (offsets.length === 0) return
    try {
      await this.#commit(offsets)
    } catch (thrown) {
      const error = asKafkaConsumeError(thrown)
      for (const { topic, partition } of offsets) this.#ledger.uncommit(topic, partition)
      log.warn('Cannot commit for group {group}: {error}', {
        group: this.#options.groupId,
        error: error.detail ?? error.message,
      })
    }
  }

  async #commit(offsets: PartitionOffset[]): Promise<void> {
    const consumer = this.#consumer
    if (!consumer) throw this.#failure ?? (this.#closing ? closing() : tooLate())
    await call('Cannot commit offsets', (done) =>
      consumer.commitCb(offsets, (error) => done(error, undefined)),
    )
  }

  /** Whether every partition of ours has told what it has. */
  #answered(): boolean {
    for (const owned of this.#owned.values()) if (!owned.answered) return false
    return true
  }

  /** Whether the buffer reaches up to the end of every partition, as of the last fetch. */
  #isAtEnd(): boolean {
    for (const owned of this.#owned.values()) {
      if (owned.position < this.#highWatermark(owned) && owned.position !== owned.end) return false
    }
    return true
  }

  #highWatermark({ topic, partition }: Owned): number {
    return this.#consumer?.getWatermarkOffsets(topic, partition).highOffset ?? -1
  }

  #states(): PartitionState[] {
    return this.#all.map(({ topic, partition }) => {
      const owned = this.#owned.get(`${topic}:${partition}`)
      if (!owned) return { topic, partition, highWatermark: -1, lastStableOffset: -1 }
      const highWatermark = Math.max(this.#highWatermark(owned), owned.end, -1)
      // The client gives decided records only, so an end below the high watermark is where an
      // undecided transaction begins.
      const lastStableOffset = owned.end === owned.position ? owned.end : highWatermark
      return { topic, partition, highWatermark, lastStableOffset }
    })
  }

  #announce(): void {
    for (const wake of this.#changed) wake()
    this.#changed.clear()
  }

  #change(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, READ_WAIT_MS)
      this.#changed.add(() => {
        clearTimeout(timer)
        resolve()
      })
      signal?.addEventListener('abort', () => resolve(), { once: true })
    })
  }
}

/** A change of membership may come too late, when the consumer has been disconnected meanwhile. */
function attempt(change: () => void): boolean {
  try {
    change()
    return true
  } catch (error) {
    log.debug('A change of membership came to nothing: {error}', { error })
    return false
  }
}

function closing(): KafkaConsumeError {
  return new KafkaConsumeError(
    'SHUTTING_DOWN',
    'Cannot read as a group: the server is shutting down',
  )
}

function tooLate(): KafkaConsumeError {
  return new KafkaConsumeError(
    'KAFKA_TIMEOUT',
    `Cannot read as a group: Kafka assigned no partitions within ${JOIN_TIMEOUT_MS / 1000} s`,
    { retryAfter: 2 },
  )
}
