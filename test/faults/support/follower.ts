import { EventSource } from 'eventsource'
import type { StreamedRecord } from '../../support/sse.ts'

/** How soon a client asks again that was answered with an error, which ends an `EventSource`. */
const REOPEN = 500

/** The records that a client got, and those that it did not get. */
export interface Tally {
  received: number
  /** Offsets that were skipped. */
  lost: number
  /** Records that came a second time. */
  doubled: number
  /** Records that are not the ones that were written there. */
  wrong: number
  /** Gaps that were announced. */
  gaps: number
}

/** The tally of clients that lose and double nothing. */
export function tallyOf(received: number): Tally {
  return { received, lost: 0, doubled: 0, wrong: 0, gaps: 0 }
}

/**
 * A client of a stream as a careful program writes it, on the `eventsource` package: it resumes with
 * its last id, also after an answer that ends an `EventSource` for good. Holds every record against
 * the one that was due.
 */
export class Follower implements Disposable {
  readonly tally = tallyOf(0)
  /** Connections that were opened. */
  opened = 0
  /** The next offset of each partition. */
  readonly #next: number[]
  readonly #url: string
  #source: EventSource
  #lastId = ''
  #reopening: ReturnType<typeof setTimeout> | undefined

  /** @param url Of a stream that a `Writer` fills, without parameters; it is read from its beginning. */
  constructor(url: string, partitions: number) {
    this.#url = url
    this.#next = Array.from({ length: partitions }, () => 0)
    this.#source = this.#open(`${url}?start=earliest`)
  }

  /** The records that came, each counted once. */
  get complete(): number {
    return this.#next.reduce((sum, next) => sum + next, 0)
  }

  #open(url: string): EventSource {
    const source = new EventSource(url)
    source.onopen = () => {
      this.opened++
    }
    source.onmessage = ({ data, lastEventId }) => {
      this.#lastId = lastEventId
      this.#take(JSON.parse(data) as StreamedRecord)
    }
    source.addEventListener('gap', ({ lastEventId }) => {
      this.#lastId = lastEventId
      this.tally.gaps++
    })
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return
      const resume = this.#lastId === '' ? 'start=earliest' : `last_event_id=${this.#lastId}`
      this.#reopening = setTimeout(() => {
        this.#source = this.#open(`${this.#url}?${resume}`)
      }, REOPEN)
    }
    return source
  }

  #take({ partition, offset, value }: StreamedRecord): void {
    const due = this.#next[partition] ?? 0
    this.tally.received++
    if (offset < due) this.tally.doubled++
    else this.tally.lost += offset - due
    if (Number(value) !== offset * this.#next.length + partition) this.tally.wrong++
    if (offset >= due) this.#next[partition] = offset + 1
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#reopening)
    this.#source.close()
  }
}

/** Clients on one address, from the beginning of a topic to its end. */
export class Followers implements Disposable {
  readonly #followers: Follower[]

  constructor(count: number, url: string, partitions: number) {
    this.#followers = Array.from({ length: count }, () => new Follower(url, partitions))
  }

  /** How far the slowest has come. */
  get slowest(): number {
    return Math.min(...this.#followers.map(({ complete }) => complete))
  }

  /** Connections opened by the one that opened fewest. */
  get opened(): number {
    return Math.min(...this.#followers.map(({ opened }) => opened))
  }

  /** All their tallies in one. */
  get tally(): Tally {
    const sum = tallyOf(0)
    for (const { tally } of this.#followers) {
      for (const name of Object.keys(sum) as (keyof Tally)[]) sum[name] += tally[name]
    }
    return sum
  }

  [Symbol.dispose](): void {
    for (const follower of this.#followers) follower[Symbol.dispose]()
  }
}
