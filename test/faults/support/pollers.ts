import type { StreamedRecord } from '../../support/sse.ts'
import { sleep } from '../../support/wait.ts'

/** How soon a client asks again that got no answer. */
const RETRY = 50

/** A record that came to a client. */
interface Arrival extends Pick<StreamedRecord, 'partition' | 'offset'> {
  /** The client's address. */
  readonly url: string
  /** In `performance.now()`'s time. */
  readonly at: number
}

/** A record that came once more. */
export interface Repeat {
  readonly first: Arrival
  readonly again: Arrival
}

/** The records that all clients of a group got together. */
export interface GroupTally {
  readonly received: number
  /** Records that came more than once. */
  readonly doubled: number
  /** Records that are not the ones that were written there. */
  readonly wrong: number
  /** Requests that were answered with an error, or not at all. */
  readonly failed: number
}

/**
 * Clients that read as a group by GET, again and again, each on one address. They never give up on
 * an answer: a client that leaves during the answer may miss records that count as delivered.
 */
export class Pollers implements AsyncDisposable {
  readonly #partitions: number
  readonly #query: string
  /** The first arrival of each record, by partition and offset. */
  readonly #seen: Map<number, Arrival>[]
  readonly repeats: Repeat[] = []
  readonly #loops: Promise<void>[] = []
  /** Answers with records, by client. */
  readonly answers: number[] = []
  /** The records that came, by the client's address. */
  readonly #arrivals = new Map<string, Arrival[]>()
  #distinct = 0
  #wrong = 0
  #failed = 0
  #isOver = false
  /** The last answer that was no 200, or why there was none. */
  lastFailure = ''

  /** @param partitions Of the topic, which a `Writer` fills. */
  constructor(partitions: number, maxRecords: number) {
    this.#partitions = partitions
    this.#query = `format=records&timeout=500&max_records=${maxRecords}`
    this.#seen = Array.from({ length: partitions }, () => new Map())
  }

  /** Another client. */
  add(url: string): void {
    const client = this.answers.push(0) - 1
    const arrivals = this.#arrivals.get(url) ?? []
    this.#arrivals.set(url, arrivals)
    this.#loops.push(this.#poll(url, client, arrivals))
  }

  /** How many records the clients of an address have got from these offsets on, by partition. */
  receivedFrom(url: string, offsets: readonly number[]): number {
    const arrivals = this.#arrivals.get(url) ?? []
    return arrivals.filter(({ partition, offset }) => offset >= (offsets[partition] ?? 0)).length
  }

  /** How many records the clients of an address have got in a time, by `performance.now()`. */
  receivedBetween(url: string, from: number, to: number): number {
    const arrivals = this.#arrivals.get(url) ?? []
    return arrivals.filter(({ at }) => from <= at && at < to).length
  }

  /** Records that came, each counted once. */
  get distinct(): number {
    return this.#distinct
  }

  get tally(): GroupTally {
    const doubled = this.repeats.length
    const received = this.#distinct + doubled
    return { received, doubled, wrong: this.#wrong, failed: this.#failed }
  }

  async #poll(url: string, client: number, arrivals: Arrival[]): Promise<void> {
    while (!this.#isOver) {
      const records = await this.#get(`${url}?${this.#query}`)
      if (records === undefined) await sleep(RETRY)
      else if (records.length > 0) {
        this.answers[client] = (this.answers[client] ?? 0) + 1
        const at = performance.now()
        for (const { partition, offset, value } of records) {
          const arrival = { partition, offset, url, at }
          arrivals.push(arrival)
          this.#take(arrival)
          if (Number(value) !== offset * this.#partitions + partition) this.#wrong++
        }
      }
    }
  }

  async #get(url: string): Promise<readonly StreamedRecord[] | undefined> {
    try {
      const response = await fetch(url)
      const text = await response.text()
      if (response.status === 200) {
        return (JSON.parse(text) as { records: readonly StreamedRecord[] }).records
      }
      this.lastFailure = text
    } catch (error) {
      // Its server is being started again.
      this.lastFailure = String(error)
    }
    this.#failed++
    return undefined
  }

  #take(arrival: Arrival): void {
    const seen = this.#seen[arrival.partition] as Map<number, Arrival>
    const first = seen.get(arrival.offset)
    if (first) {
      this.repeats.push({ first, again: arrival })
      return
    }
    seen.set(arrival.offset, arrival)
    this.#distinct++
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#loops)
  }
}
