import { getLogger } from '@logtape/logtape'
import { asKafkaConsumeError, KafkaConsumeError } from '../../src/core/errors.ts'
import { partitionKey, type TopicPartition } from '../../src/core/topic-partition.ts'
import type {
  Gap,
  GroupOptions,
  KafkaRecord,
  PartitionOffset,
  PartitionPosition,
  PartitionState,
} from '../../src/port/kafka.ts'
import { type Consumer, call, type Message } from '../client/client.ts'
import { isPassing, isUnknownTopic } from '../client/errors.ts'
import { gapIn } from '../consumer/gaps.ts'
import { Commits } from './commits.ts'
import { OwnedPartition } from './owned-partition.ts'
import type { ReadyRecords } from './ready-records.ts'
import type { Signal } from './signal.ts'
import type { WatchedMember } from './stall-detector.ts'
import { type StartOffset, startOffsetOf } from './start-offset.ts'

const log = getLogger(['hono-kafka-consume', 'group'])

/** Milliseconds that one call of the client waits for a first record. */
const READ_WAIT_MS = 100
/** The same while paused, when only changes of membership can come. */
const PAUSED_WAIT_MS = 250
const RETRY_MS = 1_000
const ROUSE_TIMEOUT_MS = 1_000
/** Milliseconds after which topics are looked at that may be others of the same names. */
const LOOK_MS = 5_000
const SEEK_TIMEOUT_MS = 2_000
/** How long answers on their way may hold up partitions that go. */
const LAST_DELIVERIES_MS = 3_000
/** How long a client that closes is offered the answer that it waits for. */
const CLOSING_MS = 5_000

const NO_IDS: ReadonlyMap<string, string> = new Map()

/** What the protocol's ListOffsets calls the end. */
const LATEST = -1
/** librdkafka's `rd_kafka_resp_err_t`. */
const ASSIGN = -175
const REVOKE = -174

/** What a group needs of its cluster. */
export interface GroupHost {
  /** A connected consumer. */
  connect(
    rebalance: (error: { code: number }, partitions: PartitionOffset[]) => void,
  ): Promise<Consumer>
  /** Leaves the group and frees the consumer. */
  disconnect(consumer: Consumer): Promise<void>
  /** All partitions of the topics. */
  partitions(): Promise<readonly TopicPartition[]>
  /** What the group has committed; -1 where it has nothing. In the order of what was asked. */
  committed(consumer: Consumer, partitions: readonly TopicPartition[]): Promise<PartitionOffset[]>
  /** The first offsets that are kept, or the ends; in the order of what was asked. */
  offsets(
    partitions: readonly TopicPartition[],
    query: 'earliest' | 'latest',
  ): Promise<PartitionOffset[]>
  /** The ids of topics that exist, by their names; of none where brokers know no ids. */
  topicIds(): Promise<ReadonlyMap<string, string>>
  /** Whether a member of the group has our instance id. */
  isInstanceTaken(): Promise<boolean>
}

/** A partition that was assigned: where it is read from, and what is known of its topic. */
interface AssignedBeginning extends StartOffset {
  readonly topicId: string | undefined
  /** Up to here its transactions are decided. */
  readonly stable: number
}

/**
 * The consumer of a group's member: the partitions that it owns, where they are read and what is
 * committed of them. It is joined and left again and again; what it has committed it remembers.
 */
export class GroupMember implements WatchedMember {
  readonly commits: Commits
  readonly #host: GroupHost
  readonly #options: GroupOptions
  readonly #changes: Signal
  readonly #ready: ReadyRecords
  readonly #owned = new Map<string, OwnedPartition>()
  #all: readonly TopicPartition[] = []
  /** The partitions that there were when the group was first joined. */
  #first: ReadonlySet<string> | undefined
  /**
   * Where partitions were first read of which the group had committed nothing, by name: the end of
   * another moment would skip what came between.
   */
  readonly #startOffsets = new Map<string, number>()
  /** Ids of topics that were created anew since: a broker may be late to know. */
  readonly #formerIds = new Set<string>()
  /** When topics are compared next, in `performance.now()`'s time. */
  #lookAt = 0
  /** Partitions of topics that were created anew, and are yet to be read from their beginning. */
  #outdated: OwnedPartition[] = []
  /** What the group has missed, to be told with the next answer. */
  #gaps: Gap[] = []
  #consumer: Consumer | undefined
  #assigned = false
  #paused = false
  /** Ends that the read under way has seen. */
  readonly #ends: PartitionOffset[] = []
  /** Why partitions that were assigned cannot be read. */
  #assignmentError: KafkaConsumeError | undefined
  #left = Promise.withResolvers<undefined>()
  /** The change of membership that is under way. */
  #answering: Promise<void> | undefined
  /** Partitions that are being given up. */
  #releasing: Promise<unknown> = Promise.resolve()
  #uncertain = 0

  /**
   * @param changes Announced when partitions come or go, and when they were read.
   * @param ready Where records go that were read, and out of which they are taken when they are not
   * ours any more.
   */
  constructor(host: GroupHost, options: GroupOptions, changes: Signal, ready: ReadyRecords) {
    this.#host = host
    this.#options = options
    this.#changes = changes
    this.#ready = ready
    this.commits = new Commits(options.groupId, () => {
      if (this.#consumer) return this.#consumer
      throw new KafkaConsumeError(
        'KAFKA_UNAVAILABLE',
        'Cannot commit offsets: the group is not joined',
      )
    })
  }

  /** Whether partitions are assigned, and each has told what it has; paused, there is plenty. */
  get isReady(): boolean {
    if (!this.#assigned) return false
    if (this.#paused) return true
    for (const owned of this.#owned.values()) if (!owned.answered) return false
    return true
  }

  /** Whether the client waits for our answer to a change of membership. */
  get isChanging(): boolean {
    return this.#answering !== undefined
  }

  get isHeldUp(): boolean {
    return this.#paused || this.isChanging
  }

  /** Whether callers have records that are neither delivered nor given back. */
  get isHeld(): boolean {
    return this.owned().some(({ held }) => held > 0)
  }

  /**
   * Whether records were delivered that whoever posts offsets has not committed: after leaving, the
   * group would deliver them again.
   */
  get isAheadOfCommits(): boolean {
    if (this.#options.commitStrategy === 'auto') return false
    return this.owned().some(({ topic, partition, begin, offsets }) => {
      const committed = Math.max(begin, this.commits.known(topic, partition))
      return (offsets.delivered ?? -1) > committed
    })
  }

  /** Records that were delivered, and may be delivered again by another member. */
  get uncertain(): number {
    return this.#uncertain
  }

  get isPaused(): boolean {
    return this.#paused
  }

  owned(): readonly OwnedPartition[] {
    return [...this.#owned.values()]
  }

  ends(partitions: readonly TopicPartition[]): Promise<PartitionOffset[]> {
    return this.#host.offsets(partitions, 'latest')
  }

  async join(): Promise<void> {
    this.#all = await this.#host.partitions()
    this.#first ??= new Set(this.#all.map(partitionKey))
    const consumer = await this.#host.connect((error, partitions) => {
      if (error.code === ASSIGN) this.#answer(consumer, this.#assign(consumer, partitions))
      else if (error.code === REVOKE) this.#answer(consumer, this.#revoke(consumer, partitions))
    })
    this.#consumer = consumer
    this.#left = Promise.withResolvers()
    this.#assignmentError = undefined
    this.#answering = undefined
    this.#ends.length = 0
    consumer.on('partition.eof', (end) => {
      if (consumer === this.#consumer) this.#onEnd(end)
    })
    consumer.subscribe([...this.#options.topics])
  }

  /** @param isLost Whether Kafka has taken the partitions from us already. */
  async leave(isLost = false): Promise<void> {
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
      await Promise.race([over, asked.catch(() => this.#changes.next())])
    }
    await over
  }

  /** The partition of a record, while it is ours. */
  ownerOf(record: TopicPartition): OwnedPartition | undefined {
    return this.#owned.get(partitionKey(record))
  }

  /** What is to be told with the next answer. */
  takeGaps(): readonly Gap[] {
    return this.#gaps.splice(0)
  }

  /** It was not told. */
  returnGaps(gaps: readonly Gap[]): void {
    this.#gaps.unshift(...gaps.filter((gap) => this.#owned.has(partitionKey(gap))))
  }

  /** Commits what is delivered. */
  commitDelivered(): void {
    if (this.#options.commitStrategy === 'auto') this.commits.soon(() => this.#owned.values())
  }

  /** Records that were delivered and are not committed have gone to another member. */
  countUncertain(records: number): void {
    if (records === 0 || this.#options.commitStrategy === 'off') return
    this.#uncertain += records
    log.warn('{records} records of group {group} may be delivered again by another member', {
      records,
      group: this.#options.groupId,
    })
  }

  /**
   * Reads the next records of our partitions, for a while if there are none. Paused, it still
   * serves changes of membership: without that, others could not join.
   *
   * @returns how many came, ours or not.
   * @throws KafkaConsumeError when the group is to be left.
   */
  async read(limit: number): Promise<number> {
    const consumer = this.#consumer as Consumer
    if (performance.now() > this.#lookAt) {
      this.#lookAt = performance.now() + LOOK_MS
      void this.#look()
    }
    if (this.#outdated.length > 0) await this.#renew(consumer)
    consumer.setDefaultConsumeTimeout(this.#paused ? PAUSED_WAIT_MS : READ_WAIT_MS)
    const records = await this.#consume(consumer, limit)
    // A read that was given up, and came back after all.
    if (consumer !== this.#consumer) return 0
    let owned: OwnedPartition | undefined
    for (const record of records) {
      if (!owned?.is(record)) owned = this.#owned.get(partitionKey(record))
      // What was on its way when its partition was taken from us, others deliver.
      if (!owned) continue
      if (record.offset !== owned.position) owned = this.#jump(owned, record.offset)
      owned.answered = true
      owned.position = record.offset + 1
      this.#ready.push(record)
    }
    for (const end of this.#ends.splice(0)) this.#reach(end)
    return records.length
  }

  /** Stops or goes on fetching; membership is served in any case. */
  pause(pause: boolean): void {
    if (pause === this.#paused) return
    this.#setPaused(pause)
    if (!pause) this.#wakeClient()
  }

  #setPaused(pause: boolean): void {
    const partitions = this.#places()
    if (pause) this.#consumer?.pause(partitions)
    else this.#consumer?.resume(partitions)
    this.#paused = pause
  }

  /**
   * The client's threads may sleep for up to a second while there is nothing to fetch, and `resume`
   * does not wake them; a question to the leaders of the partitions does.
   */
  #wakeClient(): void {
    const consumer = this.#consumer
    const asked = this.#places().map((place) => ({ ...place, offset: LATEST }))
    if (!consumer || asked.length === 0) return
    call('Cannot rouse the client', (done) =>
      consumer.offsetsForTimes(asked, ROUSE_TIMEOUT_MS, done as never),
    ).catch(() => {
      // They wake by themselves, only later.
    })
  }

  #places(): TopicPartition[] {
    return [...this.#owned.values()].map(({ topic, partition }) => ({ topic, partition }))
  }

  /** Whether every partition is read up to its end, as of the last fetch. */
  isAtEnd(): boolean {
    for (const owned of this.#owned.values()) {
      if (owned.position < this.#highWatermark(owned) && owned.position !== owned.end) return false
    }
    return true
  }

  #highWatermark({ topic, partition }: OwnedPartition): number {
    return this.#consumer?.getWatermarkOffsets(topic, partition).highOffset ?? -1
  }

  /** Of all partitions of the topics, whoever owns them. */
  states(): PartitionState[] {
    return this.#all.map(({ topic, partition }) => {
      const owned = this.#owned.get(partitionKey({ topic, partition }))
      if (!owned) return { topic, partition, highWatermark: -1, lastStableOffset: -1 }
      const highWatermark = Math.max(this.#highWatermark(owned), owned.end, -1)
      const lastStableOffset = owned.lastStableOffset(highWatermark)
      return { topic, partition, highWatermark, lastStableOffset }
    })
  }

  positions(): PartitionPosition[] {
    const ready = this.#ready.first()
    return [...this.#owned.values()].map((owned) => {
      const { topic, partition, position, offsets } = owned
      const end = Math.max(this.#highWatermark(owned), owned.end, -1)
      const next = offsets.next ?? ready.get(partitionKey(owned)) ?? position
      return { topic, partition, end, next }
    })
  }

  async #consume(consumer: Consumer, limit: number): Promise<readonly KafkaRecord[]> {
    if (this.#assignmentError) throw this.#assignmentError
    try {
      // The client's messages have the shape of a record, and more that nobody looks at.
      return (await call<Message[]>('Cannot read from Kafka', (done) =>
        consumer.consume(limit, done),
      )) as unknown as KafkaRecord[]
    } catch (thrown) {
      const error = asKafkaConsumeError(thrown)
      // Kafka's metadata decides: a broker that has just started has yet to load its topics.
      if (isUnknownTopic(error)) await this.#host.partitions()
      else if (!isPassing(error)) throw error
      // The client goes on by itself, as when the group's coordinator moves.
      log.debug('{error}', { error: error.detail ?? error.message })
      await this.#changes.rest(READ_WAIT_MS)
      return []
    }
  }

  /** Ends are told before the records of their batch, which they may lie behind. */
  #onEnd(end: PartitionOffset): void {
    const owned = this.#owned.get(partitionKey(end))
    if (owned && end.offset < owned.position) this.#jump(owned, end.offset)
    this.#ends.push(end)
  }

  /** The client has seen the end of a partition. */
  #reach({ topic, partition, offset }: PartitionOffset): void {
    const owned = this.#owned.get(partitionKey({ topic, partition }))
    if (!owned) return
    owned.answered = true
    owned.end = offset
    owned.stable = Math.max(owned.stable, offset)
    if (offset <= owned.position) return
    this.#jump(owned, offset)
    owned.offsets.skip(owned.position, offset)
    owned.position = offset
    this.commitDelivered()
  }

  /**
   * The client goes on elsewhere than where it was expected.
   *
   * @returns the partition to go on with: another one where its topic was created anew.
   */
  #jump(owned: OwnedPartition, offset: number): OwnedPartition {
    const { topic, partition, position: from } = owned
    const low = this.#consumer?.getWatermarkOffsets(topic, partition).lowOffset ?? -1
    const gap = gapIn({ topic, partition, from, to: offset, low })
    if (!gap) return owned
    if (gap.reason === 'retention') {
      this.#recordGap(gap)
      return owned
    }
    return this.#resetPartition(owned, offset)
  }

  /** What is at hand of the old topic, nobody can commit any more. */
  #resetPartition(owned: OwnedPartition, to: number): OwnedPartition {
    const { topic, partition, position } = owned
    const dropped = this.#ready.drop((record) => owned.is(record))
    owned.state = 'released'
    const anew = new OwnedPartition(topic, partition, to)
    this.#owned.set(partitionKey(anew), anew)
    const from = Math.min(position, ...dropped.map(({ offset }) => offset))
    if (from !== to) this.#recordGap({ topic, partition, from, to, reason: 'out-of-range' })
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
      this.#resetPartition(owned, offset)
      await call('Cannot read from Kafka', (done) =>
        consumer.seek(place, SEEK_TIMEOUT_MS, (error) => done(error, undefined)),
      )
    }
  }

  #recordGap(gap: Gap): void {
    log.warn('Group {group} missed {from} to {to} of {topic}:{partition}: {reason}', {
      group: this.#options.groupId,
      ...gap,
    })
    this.#gaps.push(gap)
  }

  #answer(consumer: Consumer, answer: Promise<void>): void {
    const answered = answer
      .catch((cause) => this.#obstruct(consumer, cause))
      .finally(() => {
        if (this.#answering === answered) this.#answering = undefined
      })
    this.#answering = answered
  }

  /** Makes the next read fail: the member is left. */
  #obstruct(consumer: Consumer, cause: unknown): void {
    log.debug('A change of membership came to nothing: {cause}', { cause })
    if (consumer !== this.#consumer) return
    this.#assignmentError ??= new KafkaConsumeError(
      'KAFKA_UNAVAILABLE',
      'Cannot read as a group: a change of its members failed',
      { cause },
    )
  }

  async #assign(consumer: Consumer, partitions: readonly PartitionOffset[]): Promise<void> {
    const beginnings = await Promise.race([
      this.#findBeginnings(consumer, partitions),
      this.#left.promise,
    ])
    // A consumer that is leaving takes them as well: it could not leave otherwise.
    const taken = [...(beginnings ?? partitions)]
    const isTaken = this.#change(consumer, () => consumer.incrementalAssign(taken))
    if (!isTaken) void this.#retryUnassign(consumer, taken)
    if (!isTaken || this.#assignmentError || !beginnings || consumer !== this.#consumer) return
    for (const { topic, partition, offset, topicId, stable, gap, isOfNow } of beginnings) {
      const owned = new OwnedPartition(topic, partition, offset, topicId)
      owned.stable = stable
      this.#owned.set(partitionKey(owned), owned)
      if (isOfNow) this.#startOffsets.set(partitionKey(owned), offset)
      if (gap) this.#recordGap(gap)
    }
    // The client keeps in mind what was paused when it was last taken from us.
    this.#setPaused(false)
    if (this.#options.commitStrategy === 'auto') {
      // Whoever reads it next, after a crash of ours, is to begin there, too.
      const ofNow = beginnings.filter(({ isOfNow }) => isOfNow)
      void this.commits.tryCommit(
        ofNow.map(({ topic, partition, offset }) => ({ topic, partition, offset })),
      )
    }
    this.#assigned = true
    this.#changes.notify()
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
    partitions: readonly TopicPartition[],
  ): Promise<AssignedBeginning[] | undefined> {
    if (partitions.length === 0) return []
    while (consumer === this.#consumer) {
      try {
        // Without them reading begins as well: the next look takes note of them.
        const ids = await this.#host.topicIds().catch(() => NO_IDS)
        // Ends come last, so that what is committed does not lie behind them.
        const committed = await this.#host.committed(consumer, partitions)
        const firsts = await this.#host.offsets(partitions, 'earliest')
        const ends = await this.#host.offsets(partitions, 'latest')
        return partitions.map(({ topic, partition }, index) => {
          const name = partitionKey({ topic, partition })
          const standing = {
            topic,
            partition,
            committed: (committed[index] as PartitionOffset).offset,
            first: (firsts[index] as PartitionOffset).offset,
            end: (ends[index] as PartitionOffset).offset,
            remembered: this.commits.known(topic, partition),
            started: this.#startOffsets.get(name) ?? -1,
            isAdded: this.#first?.has(name) === false,
          }
          const beginning = startOffsetOf(standing, this.#options.autoOffsetReset)
          // Consumers read what is decided: to them a partition ends where that does.
          return { ...beginning, topicId: ids.get(topic), stable: standing.end }
        })
      } catch (thrown) {
        const error = asKafkaConsumeError(thrown)
        if (!isPassing(error)) {
          this.#assignmentError = error
          return undefined
        }
        log.debug('{error}', { error: error.detail ?? error.message })
        await this.#changes.rest(RETRY_MS)
      }
    }
    return undefined
  }

  async #revoke(consumer: Consumer, partitions: readonly PartitionOffset[]): Promise<void> {
    // One that was left has given everything up: these may be another one's by now.
    if (consumer === this.#consumer) {
      const released = this.#release(this.#disown(partitions), consumer.assignmentLost())
      this.#releasing = Promise.all([this.#releasing, released])
      await released
    }
    // Also a consumer that is leaving waits for this: it could not leave otherwise.
    this.#change(consumer, () => consumer.incrementalUnassign([...partitions]))
  }

  /**
   * Answers a change of membership. The client waits for that: where it does not take the answer,
   * it would have no partitions and never get any.
   *
   * @returns whether it took it.
   */
  #change(consumer: Consumer, change: () => void): boolean {
    try {
      change()
      return true
    } catch (cause) {
      this.#obstruct(consumer, cause)
      return false
    }
  }

  /**
   * A client that was told to close waits for an answer to what it was given as well, and takes only
   * this one: it does not end before, so that it is there to be asked. Without an answer it would
   * stay a member that reads nothing, and hold all others up when members change.
   */
  async #retryUnassign(consumer: Consumer, partitions: PartitionOffset[]): Promise<void> {
    const until = performance.now() + CLOSING_MS
    while (performance.now() < until) {
      try {
        consumer.incrementalUnassign(partitions)
        return
      } catch {
        await this.#changes.next()
      }
    }
  }

  /** These partitions are no longer ours: what is at hand of them, their next owner delivers. */
  #disown(partitions: readonly TopicPartition[]): OwnedPartition[] {
    const gone = partitions.flatMap((partition) => this.#owned.get(partitionKey(partition)) ?? [])
    for (const owned of gone) {
      owned.state = 'leaving'
      this.#owned.delete(partitionKey(owned))
    }
    // They are found again by whoever reads the partition next.
    this.#gaps = this.#gaps.filter((gap) => this.#owned.has(partitionKey(gap)))
    this.#ready.drop((record) => !this.#owned.has(partitionKey(record)))
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
      while (gone.some(({ held }) => held > 0) && performance.now() < until)
        await this.#changes.next()
    }
    if (isLost || commitStrategy === 'off') await this.commits.settled()
    else await this.commits.finish(gone)
    for (const owned of gone) owned.state = 'released'
    this.countUncertain(gone.reduce((sum, { offsets }) => sum + offsets.uncertain, 0))
  }
}
