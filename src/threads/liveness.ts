/**
 * Tells threads that are blocked from those that work: a working thread counts up in memory that it
 * shares with the one that watches. A blocked thread, as in an endless loop, does not.
 */

/** Milliseconds after which a working thread counts up. */
const BEAT_MS = 500
/** Milliseconds between two checks. */
const CHECK_MS = 1_000
/**
 * Checks in a row without a change, after which a thread is blocked. Checks are counted instead of time:
 * a process that was suspended has blocked no thread.
 */
const MAX_UNCHANGED = 15

/** Seconds after which a blocked thread is found. */
export const BLOCKED_SECONDS = (MAX_UNCHANGED * CHECK_MS) / 1_000

/** The counters of all threads. */
export function livenessMemory(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * Int32Array.BYTES_PER_ELEMENT)
}

/** Counts up for this thread, as long as it works. */
export function showLiveness(memory: SharedArrayBuffer, thread: number): void {
  const beats = new Int32Array(memory)
  setInterval(() => Atomics.add(beats, thread, 1), BEAT_MS)
}

interface WatchedThread {
  beat: number
  unchanged: number
}

/** Watches the other threads. */
export class LivenessChecks {
  readonly #beats: Int32Array
  readonly #watched = new Map<number, WatchedThread>()
  readonly #onBlocked: (thread: number) => void
  readonly #checking: ReturnType<typeof setInterval>

  /** @param onBlocked Called when a thread is blocked, and again when it still is after as long. */
  constructor(memory: SharedArrayBuffer, onBlocked: (thread: number) => void) {
    this.#beats = new Int32Array(memory)
    this.#onBlocked = onBlocked
    this.#checking = setInterval(() => this.#check(), CHECK_MS)
  }

  watch(thread: number): void {
    this.#watched.set(thread, { beat: this.#beatOf(thread), unchanged: 0 })
  }

  forget(thread: number): void {
    this.#watched.delete(thread)
  }

  stop(): void {
    clearInterval(this.#checking)
  }

  #check(): void {
    for (const [thread, watched] of this.#watched) {
      const beat = this.#beatOf(thread)
      watched.unchanged = beat === watched.beat ? watched.unchanged + 1 : 0
      watched.beat = beat
      if (watched.unchanged < MAX_UNCHANGED) continue
      watched.unchanged = 0
      this.#onBlocked(thread)
    }
  }

  #beatOf(thread: number): number {
    return Atomics.load(this.#beats, thread)
  }
}
