/** Gauges that the threads of a process share: each writes its own part, and reads all parts. */
import type { Gauge } from '../core/gauge.ts'
import { logOf } from '../core/log.ts'
import type { Messenger } from './messenger.ts'

/**
 * Gauges that exist at a time. Overflow policy: a further gauge counts in each thread for itself, which
 * is logged.
 */
const MAX_GAUGES = 65_536

const log = logOf('threads')

/** The parts of all gauges: for each gauge one number of each thread. */
export function gaugeMemory(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(MAX_GAUGES * threads * 8)
}

/** Gives gauges their places in the memory, in the thread that starts the others. */
export class GaugePlaces {
  readonly #parts: Float64Array
  readonly #threads: number
  readonly #gauges = new Map<string, { readonly place: number; readonly users: Set<number> }>()
  readonly #free: number[] = []
  #next = 0
  #hasWarned = false

  constructor(memory: SharedArrayBuffer, threads: number) {
    this.#parts = new Float64Array(memory)
    this.#threads = threads
  }

  /** Answers for a thread. */
  serve(messenger: Messenger, thread: number): void {
    messenger.handle({
      gauge: (name: string) => this.#acquire(name, thread),
      releaseGauge: (name: string) => this.#release(name, thread),
    })
  }

  /** Counts nothing of a thread any more. */
  forget(thread: number): void {
    for (const name of [...this.#gauges.keys()]) this.#release(name, thread)
  }

  #acquire(name: string, thread: number): number | undefined {
    const found = this.#gauges.get(name)
    if (found) {
      found.users.add(thread)
      return found.place
    }
    const place = this.#free.pop() ?? (this.#next < MAX_GAUGES ? this.#next++ : undefined)
    if (place === undefined) {
      if (!this.#hasWarned) {
        log.warn('More than {count} limits are in use: further ones hold for each thread', {
          count: MAX_GAUGES,
        })
      }
      this.#hasWarned = true
      return undefined
    }
    this.#gauges.set(name, { place, users: new Set([thread]) })
    return place
  }

  #release(name: string, thread: number): void {
    const gauge = this.#gauges.get(name)
    if (!gauge?.users.delete(thread)) return
    this.#parts[gauge.place * this.#threads + thread] = 0
    if (gauge.users.size > 0) return
    this.#gauges.delete(name)
    this.#free.push(gauge.place)
  }
}

/** The gauges of one thread. */
export class SharedGauges {
  readonly #messenger: Messenger
  readonly #parts: Float64Array
  readonly #threads: number
  readonly #thread: number
  /** Gauges whose places are not known yet. */
  readonly #pending = new Set<Promise<void>>()
  /** The users of each name: the thread gives the place back with the last one. */
  readonly #users = new Map<string, number>()

  constructor(messenger: Messenger, memory: SharedArrayBuffer, threads: number, thread: number) {
    this.#messenger = messenger
    this.#parts = new Float64Array(memory)
    this.#threads = threads
    this.#thread = thread
  }

  /** A gauge. It counts this thread alone for the moment in which its place is not known yet. */
  make(name: string): Gauge {
    this.#users.set(name, (this.#users.get(name) ?? 0) + 1)
    const gauge = new SharedGauge(this.#parts, this.#threads, this.#thread, () =>
      this.#release(name),
    )
    const located = this.#messenger
      .request<number | undefined>('gauge', name)
      .then((place) => gauge.begin(place))
      .catch(() => undefined)
      .finally(() => {
        gauge.counting = undefined
        this.#pending.delete(located)
      })
    gauge.counting = located
    this.#pending.add(located)
    return gauge
  }

  /** Resolves when the gauges that were made count all threads. */
  async ready(): Promise<void> {
    await Promise.all(this.#pending)
  }

  #release(name: string): void {
    const users = (this.#users.get(name) ?? 0) - 1
    if (users > 0) {
      this.#users.set(name, users)
      return
    }
    this.#users.delete(name)
    this.#messenger.notify('releaseGauge', name)
  }
}

class SharedGauge implements Gauge {
  counting: Promise<void> | undefined
  #own = 0
  readonly #parts: Float64Array
  readonly #threads: number
  readonly #thread: number
  readonly #onRelease: () => void
  /** The index of the first thread's part. */
  #at: number | undefined
  #isReleased = false

  constructor(parts: Float64Array, threads: number, thread: number, onRelease: () => void) {
    this.#parts = parts
    this.#threads = threads
    this.#thread = thread
    this.#onRelease = onRelease
  }

  begin(place: number | undefined): void {
    if (place === undefined || this.#isReleased) return
    this.#at = place * this.#threads
    this.#write(this.#own)
  }

  /** A number of 8 bytes is read and written as a whole, and each part has one thread that writes it. */
  get value(): number {
    if (this.#at === undefined) return this.#own
    let sum = 0
    for (let i = 0; i < this.#threads; i++) sum += this.#parts[this.#at + i] as number
    return sum
  }

  get others(): readonly number[] {
    if (this.#at === undefined) return []
    const parts = [...this.#parts.subarray(this.#at, this.#at + this.#threads)]
    return parts.filter((_, thread) => thread !== this.#thread)
  }

  add(change: number): void {
    this.#own += change
    this.#write(change)
  }

  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.add(-this.#own)
    this.#at = undefined
    this.#onRelease()
  }

  #write(change: number): void {
    if (this.#at === undefined) return
    const index = this.#at + this.#thread
    this.#parts[index] = (this.#parts[index] as number) + change
  }
}
