import { getLogger } from '@logtape/logtape'
import { asKafkaConsumeError, type ErrorCode, KafkaConsumeError } from '../src/errors.ts'
import type {
  Delivery,
  Gap,
  GroupOptions,
  GroupSession,
  KafkaRecord,
  MemberStats,
  PartitionOffset,
  PartitionState,
  PollLimits,
} from '../src/stream/source.ts'
import { type Beginning, beginningOf } from './beginning.ts'
import { type Consumer, call, type Message } from './client.ts'
import { Commits } from './commits.ts'
import { type ClientError, isPassing } from './errors.ts'
import { type Dealer, HandedOut } from './handed-out.ts'
import { OwnedPartition } from './owned-partition.ts'
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
/** Milliseconds after which topics are looked at that may be others of the same names. */
const LOOK_MS = 5_000
const SEEK_TIMEOUT_MS = 2_000
/** How long answers on their way may hold up leaving. */
const LAST_DELIVERIES_MS = 3_000

/** librdkafka's `rd_kafka_resp_err_t`. */
const ASSIGN = -175
const REVOKE = -174
const FATAL = -150
const FENCED = 82

type Partition = { readonly topic: string; readonly partition: number }

/** What a group needs of its cluster. */
export interface GroupHost {
  /** A connected consumer. */
  connect(
    rebalance: (error: { code: number }, partitions: PartitionOffset[]) => void,
  ): Promise<Consumer>
  /** Leaves the group and frees the consumer. */
  disconnect(consumer: Consumer): Promise<void>
  /** All partitions of the topics. */
  partitions(): Promise<readonly Partition[]>
  /** What the group has committed; -1 where it has nothing. In the order of what was asked. */
  committed(consumer: Consumer, partitions: readonly Partition[]): Promise<PartitionOffset[]>
  /** The first offsets that are kept, or the ends; in the order of what was asked. */
  offsets(
    partitions: readonly Partition[],
    query: 'earliest' | 'latest',
  ): Promise<PartitionOffset[]>
  /** The ids of topics that exist, by their names; of none where brokers know no ids. */
  topicIds(): Promise<ReadonlyMap<string, string>>
  /** Whether a member of the group has our instance id. */
  isInstanceTaken(): Promise<boolean>
}

interface Poll {
  readonly limits: PollLimits
  resolve(delivery: Delivery): void
  reject(error: KafkaConsumeError): void
  /** When an empty answer is due, in `performance.now()`'s time; unset until partitions have answered. */
  due: number | undefined
  readonly since: number
}

/**
 * One member of a consumer group, shared by all callers. Reads a little ahead into a bounded
 * buffer, hands records to callers in turn, takes them back from callers that went away, and
 * commits what was delivered without a hole.
 */
export class Group implements GroupSession {
  readonly #host: GroupHost
  readonly #options: GroupOptions
  readonly #owned = new Map<string, OwnedPartition>()
  readonly #polls: Poll[] = []
  #all: readonly Partition[] = []
  /** The partitions that there were when the group was first joined. */
  #first: ReadonlySet<string> | undefined
  /** Ids of topics that were created anew since: a broker may be late to know. */
  readonly #formerIds = new Set<string>()
  /** When topics are compared next, in `performance.now()`'s time. */
  #lookAt = 0
  /** Partitions of topics that were created anew, and are yet to be read from their beginning. */
  #outdated: OwnedPartition[] = []
  readonly #ready = new ReadyRecords()
  /** What the group has missed, to be told with the next answer. */
  #gaps: Gap[] = []
  #consumer: Consumer | undefined
  #assigned = false
  /** Ends that the read under way has seen. */
  readonly #ends: PartitionOffset[] = []
  #paused = false
  /** Whether the last read brought fewer records than it might have. */
  #drained = false
  #closing = false
  #failure: KafkaConsumeError | undefined
  /** The failure that the log knows of: it stays over attempts, until the group reads again. */
  #told: ErrorCode | undefined
  /** Why partitions that were assigned cannot be read. */
  #obstacle: KafkaConsumeError | undefined
  #left = Promise.withResolvers<undefined>()
  readonly #commits: Commits
  /** Partitions that are being given up. */
  #releasing: Promise<unknown> = Promise.resolve()
  readonly #dealer: Dealer = {
    delivered: (late) => {
      this.#announce()
      if (this.#options.commitStrategy === 'off') return
      this.#doubt(late)
      this.#commits.soon(() => this.#owned.values())
    },
    returned: (records, gaps) => this.#takeBack(records, gaps),
  }
  #handedBack = 0
  #uncertain = 0
  readonly #loop: Promise<void>
  readonly #changed = new Set<() => void>()

  constructor(host: GroupHost, options: GroupOptions) {
    this.#host = host
    this.#options = options
    this.#commits = new Commits(options.groupId, () => {
      if (this.#consumer) return this.#consumer
      throw this.#failure ?? (this.#closing ? closing() : tooLate())
    })
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

  stats(): MemberStats {
    const ready = this.#ready.first()
    const partitions = [...this.#owned.values()].map((owned) => {
      const { topic, partition, position, ledger } = owned
      const end = Math.max(this.#highWatermark(owned), owned.end, -1)
      const next = ledger.delivered ?? ready.get(nameOf(owned)) ?? position
      return { topic, partition, end, next }
    })
    return { partitions, handedBack: this.#handedBack, uncertain: this.#uncertain }
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
    return this.#commits.commit(offsets)
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
      } catch (thrown) {
        if (this.#closing) break
        const error = this.#explain(asKafkaConsumeError(thrown))
        this.#fail(error)
        const isFenced = error.code === 'GROUP_MEMBER_FENCED'
        await this.#leave(isFenced)
        do await this.#rest(RETRY_MS)
        while (isFenced && !this.#closing && (await this.#isInstanceTaken()))
      }
    }
    await this.#leave()
  }

  async #join(): Promise<void> {
    this.#all = await this.#host.partitions()
    this.#first ??= new Set(this.#all.map(nameOf))
    const consumer = await this.#host.connect((error, partitions) => {
      if (error.code === ASSIGN) void this.#assign(consumer, partitions)
      else if (error.code === REVOKE) void this.#revoke(consumer, partitions)
    })
    this.#consumer = consumer
    this.#left = Promise.withResolvers()
    this.#failure = undefined
    this.#obstacle = undefined
    consumer.on('partition.eof', (end) => this.#onEnd(end))
    consumer.subscribe([...this.#options.topics])
  }

  /** @param isLost Whether Kafka has taken the partitions from us already. */
  async #leave(isLost = false): Promise<void> {
    const consumer = this.#consumer
    this.#left.resolve(undefined)
    const released = this.#release(this.#disown([...this.#owned.values()]), isLost)
    await this.#whileAsking(consumer, Promise.all([released, this.#releasing]))
    this.#consumer = undefined
    this.#assigned = false
    this.#paused = false
    if (consumer) await this.#host.disconnect(consumer)
  }

  /** The client tells what became of commits only while it is asked for records. */
  async #whileAsking(consumer: Consumer | undefined, work: Promise<unknown>): Promise<void> {
    let isOver = false
    const over = work.finally(() => {
      isOver = true
    })
    while (consumer && !isOver) {
      // What it brings belongs to nobody here any more.
      const asked = call('Cannot read from Kafka', (done) => consumer.consume(1, done))
      await asked.catch(() => this.#change())
    }
    await over
  }

  /** A member whose instance id another one has taken is told of it by a fatal error only. */
  #explain(error: KafkaConsumeError): KafkaConsumeError {
    const { instanceId } = this.#options
    const cause = error.cause as Partial<ClientError> | undefined
    if (instanceId === undefined || (cause?.code !== FATAL && cause?.code !== FENCED)) return error
    return new KafkaConsumeError(
      'GROUP_MEMBER_FENCED',
      `Cannot read as a group: another member has the group instance id "${instanceId}"`,
      { cause, retryAfter: 5 },
    )
  }

  /** To join again while the other one is there would only fence it in turn. */
  async #isInstanceTaken(): Promise<boolean> {
    try {
      return await this.#host.isInstanceTaken()
    } catch (error) {
      log.debug('Cannot ask for the members of {group}: {error}', {
        group: this.#options.groupId,
        error,
      })
      return true
    }
  }

  #fail(error: KafkaConsumeError): void {
    if (error.code !== this.#told) {
      log.warn('Cannot read as group {group}: {error}', {
        group: this.#options.groupId,
        error: error.detail ?? error.message,
      })
    }
    this.#told = error.code
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
    if (performance.now() > this.#lookAt) {
      this.#lookAt = performance.now() + LOOK_MS
      void this.#look()
    }
    if (this.#outdated.length > 0) await this.#renew(consumer)
    const records = await this.#consume(consumer, limit)
    this.#drained = !this.#paused && records.length < limit
    let owned: OwnedPartition | undefined
    for (const record of records) {
      if (!owned?.is(record)) owned = this.#owned.get(nameOf(record))
      // What was on its way when its partition was taken from us, others deliver.
      if (!owned) continue
      if (record.offset !== owned.position) owned = this.#jump(owned, record.offset)
      owned.answered = true
      owned.position = record.offset + 1
      this.#ready.push(record)
    }
    for (const end of this.#ends.splice(0)) this.#reach(end)
    this.#announce()
    this.#serve()
  }

  async #consume(consumer: Consumer, limit: number): Promise<readonly KafkaRecord[]> {
    if (this.#obstacle) throw this.#obstacle
    try {
      // The client's messages have the shape of a record, and more that nobody looks at.
      return (await call<Message[]>('Cannot read from Kafka', (done) =>
        consumer.consume(limit, done),
      )) as unknown as KafkaRecord[]
    } catch (thrown) {
      const error = asKafkaConsumeError(thrown)
      if (!isPassing(error)) throw error
      // The client goes on by itself, as when the group's coordinator moves.
      log.debug('{error}', { error: error.detail ?? error.message })
      await this.#rest(READ_WAIT_MS)
      return []
    }
  }

  /** Ends are told before the records of their batch, which they may lie behind. */
  #onEnd(end: PartitionOffset): void {
    const owned = this.#owned.get(nameOf(end))
    if (owned && end.offset < owned.position) this.#jump(owned, end.offset)
    this.#ends.push(end)
  }

  /** The client has seen the end of a partition. */
  #reach({ topic, partition, offset }: PartitionOffset): void {
    const owned = this.#owned.get(nameOf({ topic, partition }))
    if (!owned) return
    owned.answered = true
    owned.end = offset
    if (offset <= owned.position) return
    this.#jump(owned, offset)
    owned.position = offset
  }

  /**
   * The client goes on elsewhere than where it was expected.
   *
   * @returns the partition to go on with: another one where its topic was created anew.
   */
  #jump(owned: OwnedPartition, offset: number): OwnedPartition {
    const { topic, partition } = owned
    const low = this.#consumer?.getWatermarkOffsets(topic, partition).lowOffset ?? -1
    const gap = owned.gapBefore(offset, low)
    if (!gap) return owned
    if (gap.reason === 'retention') {
      this.#miss(gap)
      return owned
    }
    return this.#beginAnew(owned, offset)
  }

  /** What is at hand of the old topic, nobody can commit any more. */
  #beginAnew(owned: OwnedPartition, to: number): OwnedPartition {
    const { topic, partition, position } = owned
    const dropped = this.#ready.drop((record) => owned.is(record))
    owned.state = 'released'
    const anew = new OwnedPartition(topic, partition, to)
    this.#owned.set(nameOf(anew), anew)
    const from = Math.min(position, ...dropped.map(({ offset }) => offset))
    if (from !== to) this.#miss({ topic, partition, from, to, reason: 'out-of-range' })
    return anew
  }

  /**
   * A topic that was created anew and has more records than the one before is read on where that
   * one was: the client does not look at its id.
   */
  async #look(): Promise<void> {
    try {
      const ids = await this.#host.topicIds()
      for (const owned of this.#owned.values()) {
        const id = ids.get(owned.topic)
        if (id === undefined || id === owned.topicId || this.#formerIds.has(id)) continue
        if (owned.topicId === undefined) owned.topicId = id
        else this.#outdated.push(owned)
      }
      for (const { topicId } of this.#outdated) this.#formerIds.add(topicId as string)
    } catch (error) {
      log.debug('Cannot compare topics: {error}', { error })
    }
  }

  /** Between two reads, so that none has brought records of where it was before. */
  async #renew(consumer: Consumer): Promise<void> {
    const outdated = this.#outdated.filter(({ state }) => state === 'owned')
    this.#outdated = []
    const firsts = await this.#host.offsets(outdated, 'earliest')
    for (const [index, owned] of outdated.entries()) {
      // It may have gone while they were asked for.
      if (owned.state !== 'owned') continue
      const { offset } = firsts[index] as PartitionOffset
      const place = { topic: owned.topic, partition: owned.partition, offset }
      this.#beginAnew(owned, offset)
      await call('Cannot read from Kafka', (done) =>
        consumer.seek(place, SEEK_TIMEOUT_MS, (error) => done(error, undefined)),
      )
    }
  }

  #miss(gap: Gap): void {
    log.warn('Group {group} missed {from} to {to} of {topic}:{partition}: {reason}', {
      group: this.#options.groupId,
      ...gap,
    })
    this.#gaps.push(gap)
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

  async #assign(consumer: Consumer, partitions: readonly PartitionOffset[]): Promise<void> {
    const beginnings = await Promise.race([
      this.#findBeginnings(consumer, partitions),
      this.#left.promise,
    ])
    if (this.#paused) this.#pause(false)
    // A consumer that is leaving takes them as well: it could not leave otherwise.
    const isAssigned = attempt(() => consumer.incrementalAssign([...(beginnings ?? partitions)]))
    if (!isAssigned || !beginnings || consumer !== this.#consumer) return
    for (const { topic, partition, offset, topicId, gap } of beginnings) {
      this.#owned.set(
        nameOf({ topic, partition }),
        new OwnedPartition(topic, partition, offset, topicId),
      )
      if (gap) this.#miss(gap)
    }
    if (this.#options.commitStrategy === 'auto') {
      // Whoever reads it next, after a crash of ours, is to begin there, too.
      const ofNow = beginnings.filter(({ isOfNow }) => isOfNow)
      void this.#commits.tryCommit(
        ofNow.map(({ topic, partition, offset }) => ({ topic, partition, offset })),
      )
    }
    this.#assigned = true
    this.#told = undefined
    this.#announce()
    // Other members' partitions may be new, too.
    this.#host.partitions().then(
      (all) => {
        this.#all = all
      },
      () => {},
    )
  }

  /** @returns nothing when the member left meanwhile, or cannot read them. */
  async #findBeginnings(
    consumer: Consumer,
    partitions: readonly Partition[],
  ): Promise<Array<Beginning & { topicId: string | undefined }> | undefined> {
    if (partitions.length === 0) return []
    while (consumer === this.#consumer) {
      try {
        const ids = await this.#host.topicIds()
        // Ends come last, so that what is committed does not lie behind them.
        const committed = await this.#host.committed(consumer, partitions)
        const firsts = await this.#host.offsets(partitions, 'earliest')
        const ends = await this.#host.offsets(partitions, 'latest')
        return partitions.map(({ topic, partition }, index) => {
          const name = nameOf({ topic, partition })
          const standing = {
            topic,
            partition,
            committed: (committed[index] as PartitionOffset).offset,
            first: (firsts[index] as PartitionOffset).offset,
            end: (ends[index] as PartitionOffset).offset,
            remembered: this.#commits.known(topic, partition),
            isAdded: this.#first?.has(name) === false,
          }
          const beginning = beginningOf(standing, this.#options.autoOffsetReset)
          return { ...beginning, topicId: ids.get(topic) }
        })
      } catch (thrown) {
        const error = asKafkaConsumeError(thrown)
        if (!isPassing(error)) {
          this.#obstacle = error
          return undefined
        }
        log.debug('{error}', { error: error.detail ?? error.message })
        await this.#rest(RETRY_MS)
      }
    }
    return undefined
  }

  async #revoke(consumer: Consumer, partitions: readonly PartitionOffset[]): Promise<void> {
    const released = this.#release(this.#disown(partitions), consumer.assignmentLost())
    this.#releasing = Promise.all([this.#releasing, released])
    await released
    // Also a consumer that is leaving waits for this: it could not leave otherwise.
    attempt(() => consumer.incrementalUnassign([...partitions]))
  }

  /** These partitions are no longer ours: what is at hand of them, their next owner delivers. */
  #disown(partitions: readonly Partition[]): OwnedPartition[] {
    const gone = partitions.flatMap((partition) => this.#owned.get(nameOf(partition)) ?? [])
    for (const owned of gone) {
      owned.state = 'leaving'
      this.#owned.delete(nameOf(owned))
    }
    // They are found again by whoever reads the partition next.
    this.#gaps = this.#gaps.filter((gap) => this.#owned.has(nameOf(gap)))
    this.#ready.drop((record) => !this.#owned.has(nameOf(record)))
    return gone
  }

  /**
   * Gives partitions up: their next owner goes on from what is committed, so what is delivered is
   * committed first, and answers that are on their way get some time to arrive.
   *
   * @param isLost Whether Kafka has given them to another member already.
   */
  async #release(gone: readonly OwnedPartition[], isLost: boolean): Promise<void> {
    const { commitStrategy } = this.#options
    if (!isLost) {
      const until = performance.now() + LAST_DELIVERIES_MS
      while (gone.some(({ held }) => held > 0) && performance.now() < until) await this.#change()
    }
    if (isLost || commitStrategy === 'off') await this.#commits.settled()
    else await this.#commits.finish(gone)
    for (const owned of gone) owned.state = 'released'
    if (commitStrategy === 'auto') {
      this.#doubt(gone.reduce((sum, { ledger }) => sum + ledger.uncertain, 0))
    }
  }

  /** Records that were delivered and are not committed have gone to another member. */
  #doubt(records: number): void {
    if (records === 0) return
    this.#uncertain += records
    log.warn('{records} records of group {group} may be delivered again by another member', {
      records,
      group: this.#options.groupId,
    })
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
    const records = new Map<KafkaRecord, OwnedPartition>()
    let owned: OwnedPartition | undefined
    for (const record of this.#ready.take(limits)) {
      if (!owned?.is(record)) owned = this.#owned.get(nameOf(record)) as OwnedPartition
      records.set(record, owned)
    }
    const gaps = this.#gaps
    this.#gaps = []
    return new HandedOut({ records, gaps, partitions: this.#states() }, this.#dealer)
  }

  #takeBack(records: readonly KafkaRecord[], gaps: readonly Gap[]): void {
    this.#gaps = [...gaps.filter((gap) => this.#owned.has(nameOf(gap))), ...this.#gaps]
    this.#announce()
    if (records.length === 0 || this.#closing) return
    this.#handedBack += records.length
    this.#ready.putBack(records)
    this.#serve()
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

  #highWatermark({ topic, partition }: OwnedPartition): number {
    return this.#consumer?.getWatermarkOffsets(topic, partition).highOffset ?? -1
  }

  #states(): PartitionState[] {
    return this.#all.map(({ topic, partition }) => {
      const owned = this.#owned.get(nameOf({ topic, partition }))
      if (!owned) return { topic, partition, highWatermark: -1, lastStableOffset: -1 }
      const highWatermark = Math.max(this.#highWatermark(owned), owned.end, -1)
      // The client gives decided records only, so an end below the high watermark is where an
      // undecided transaction begins.
      const lastStableOffset = owned.end === owned.position ? owned.end : highWatermark
      return { topic, partition, highWatermark, lastStableOffset }
    })
  }

  /** Waits, but not beyond the group's end. */
  async #rest(milliseconds: number): Promise<void> {
    const until = performance.now() + milliseconds
    while (!this.#closing && performance.now() < until) await this.#change()
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

function nameOf({ topic, partition }: Partition): string {
  return `${topic}:${partition}`
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
