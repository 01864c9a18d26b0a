import { KafkaConsumeError } from '../errors.ts'
import type { MessageDeserializer } from '../record/encode.ts'
import type { Preparation } from '../record/preparation.ts'
import { type CursorEntry, PartitionTable } from './cursor.ts'
import { Replays } from './replays.ts'
import type { OffsetQuery, PartitionOffset, Source } from './source.ts'
import { type Filter, Subscription } from './subscription.ts'
import { isAtOrBelow, Tail } from './tail.ts'

/** How long a tail goes on without readers: a client that reconnects or polls finds it warm. */
const LINGER_MS = 30_000

/** Where reading begins. */
export type Position =
  | { readonly start: OffsetQuery }
  | { readonly cursor: readonly CursorEntry[]; readonly parameter: string }

/** What makes the frames of two routes the same, so that they can share a tail. */
export interface FeedOptions {
  readonly topics: readonly string[]
  readonly messageDeserializer: MessageDeserializer
  /** Absent: records are encoded as they are, without waiting. */
  readonly preparation?: Preparation | undefined
  readonly ringBytes: number
  readonly maxReplays: number
}

/** Figures of a feed, as they are now or since its start. */
export interface FeedStats {
  /** The same for all routes that share the feed, and for no other of this process. */
  readonly id: number
  readonly topics: readonly string[]
  /** Readers: streams and single reads from a position. */
  readonly readers: number
  /** Bytes of the newest records that are kept; none are while nobody reads. */
  readonly ringBytes: number
  /** What they may be. */
  readonly maxRingBytes: number
  /** Consumers of readers that are behind the ring, each its own. */
  readonly replays: number
  readonly maxReplays: number
  /** Streams that wait for one. */
  readonly waiting: number
  /** Readers that were slower than the ring, since the start. */
  readonly fallenBehind: number
  /** Where following has come to in each partition; empty while nobody reads. */
  readonly ends: readonly PartitionOffset[]
}

let feeds = 0

/**
 * The records of a set of topics on one cluster, for any number of readers: one tail, started with
 * the first reader and stopped some time after the last, and the replays of readers behind it.
 */
export class Feed {
  readonly replays: Replays
  readonly #source: Source
  readonly #options: FeedOptions
  readonly #id = feeds++
  #tail: Promise<Tail> | undefined
  /** The same once it follows. */
  #following: Tail | undefined
  #readers = 0
  #linger: ReturnType<typeof setTimeout> | undefined
  #ends: Ends | undefined

  constructor(source: Source, options: FeedOptions) {
    this.#source = source
    this.#options = options
    this.replays = new Replays(source, options.maxReplays)
  }

  get preparation(): Preparation | undefined {
    return this.#options.preparation
  }

  /** Starts the tail, so that the first reader finds it running. */
  async warm(): Promise<void> {
    await this.#enter()
    this.#leave()
  }

  /**
   * A reader from a position on. The caller closes it.
   *
   * @param filter Made when the partitions are known; it may refuse one that does not exist.
   * @throws KafkaConsumeError UNKNOWN_TOPIC, INVALID_CURSOR, TOO_MANY_REPLAYS, or why Kafka cannot be read.
   */
  async subscribe(
    position: Position,
    filter: (table: PartitionTable) => Filter | undefined,
  ): Promise<Subscription> {
    this.preparation?.assertAble()
    const tail = await this.#enter()
    let subscription: Subscription | undefined
    try {
      const vector = await this.#resolve(position, tail.table)
      subscription = new Subscription({
        tail,
        replays: this.replays,
        vector,
        isCertain: 'start' in position || (await this.#isWithin(vector, tail)),
        deserializer: this.#options.messageDeserializer,
        preparation: this.preparation,
        filter: filter(tail.table),
        onClose: () => this.#leave(),
      })
      await subscription.open()
      return subscription
    } catch (error) {
      if (subscription) await subscription.close()
      else this.#leave()
      throw error
    }
  }

  stats(): FeedStats {
    const tail = this.#following
    return {
      id: this.#id,
      topics: this.#options.topics,
      readers: this.#readers,
      ringBytes: tail?.bytes ?? 0,
      maxRingBytes: this.#options.ringBytes,
      replays: this.replays.count,
      maxReplays: this.replays.limit,
      waiting: this.replays.waiting,
      fallenBehind: this.replays.fallenBehind,
      ends: tail ? tail.table.offsets(tail.head) : [],
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#linger)
    const tail = this.#tail
    this.#tail = undefined
    this.#following = undefined
    await (await tail?.catch(() => undefined))?.stop()
  }

  async #enter(): Promise<Tail> {
    clearTimeout(this.#linger)
    this.#readers++
    this.#tail ??= this.#startTail()
    const tail = this.#tail
    try {
      const following = await tail
      if (this.#tail === tail) this.#following = following
      return following
    } catch (error) {
      if (this.#tail === tail) this.#tail = undefined
      this.#leave()
      throw error
    }
  }

  #leave(): void {
    this.#readers--
    if (this.#readers > 0) return
    clearTimeout(this.#linger)
    this.#linger = setTimeout(() => void this.close(), LINGER_MS)
  }

  /** Whether a client's cursor names offsets that exist; the tail has seen most of them. */
  async #isWithin(vector: Float64Array, tail: Tail): Promise<boolean> {
    return isAtOrBelow(vector, tail.head) || isAtOrBelow(vector, await (this.#ends as Ends).now())
  }

  async #startTail(): Promise<Tail> {
    const table = new PartitionTable(await this.#source.partitions(this.#options.topics))
    this.#ends = new Ends(this.#source, table)
    const tail = new Tail(
      this.#source,
      table,
      await this.#ends.now(),
      this.#options.messageDeserializer,
      this.#options.ringBytes,
      this.preparation,
    )
    await tail.start()
    return tail
  }

  async #resolve(position: Position, table: PartitionTable): Promise<Float64Array> {
    if ('start' in position) {
      if (position.start === 'latest') return (this.#ends as Ends).now()
      return table.vector(await this.#source.offsets(table.partitions, position.start))
    }
    const { cursor, parameter } = position
    const vector = new Float64Array(table.size).fill(-1)
    const times = new Map<number, Array<{ topic: string; partition: number }>>()
    for (const entry of cursor) {
      const { topic, partition } = entry
      const index = table.indexOf(topic, partition)
      if (index < 0) {
        const known = table.hasTopic(topic)
        throw new KafkaConsumeError(
          'INVALID_CURSOR',
          known
            ? `Cannot use ${parameter}: topic "${topic}" has no partition ${partition}`
            : `Cannot use ${parameter}: topic "${topic}" is not among those of this route`,
        )
      }
      if ('offset' in entry) vector[index] = entry.offset
      else times.set(entry.timestamp, [...(times.get(entry.timestamp) ?? []), entry])
    }
    for (const [time, partitions] of times) {
      for (const { topic, partition, offset } of await this.#source.offsets(partitions, time)) {
        vector[table.indexOf(topic, partition)] = offset
      }
    }
    // A partition that a cursor does not name is newer than the cursor: all of it is still to come.
    const unnamed = table.partitions.filter((_, index) => vector[index] === -1)
    if (unnamed.length > 0) {
      for (const { topic, partition, offset } of await this.#source.offsets(unnamed, 'earliest')) {
        vector[table.indexOf(topic, partition)] = offset
      }
    }
    return vector
  }
}

/**
 * Asks for the ends of all partitions, one request at a time for any number of callers. Each gets
 * an answer to a question that was put after the call, so that it is the end as of then.
 */
class Ends {
  readonly #source: Source
  readonly #table: PartitionTable
  #asking: Promise<unknown> | undefined
  #next: Promise<Float64Array> | undefined

  constructor(source: Source, table: PartitionTable) {
    this.#source = source
    this.#table = table
  }

  now(): Promise<Float64Array> {
    this.#next ??= this.#askAfter(this.#asking)
    return this.#next
  }

  async #askAfter(asking: Promise<unknown> | undefined): Promise<Float64Array> {
    // Also a moment when nobody asks: callers of the same instant share one question.
    await asking?.catch(() => undefined)
    const answer = this.#source.offsets(this.#table.partitions, 'latest')
    this.#asking = answer
    this.#next = undefined
    return this.#table.vector(await answer)
  }
}
