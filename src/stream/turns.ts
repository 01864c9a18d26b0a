/**
 * Bytes that all streams together write in one turn of the event loop, more or less: about a
 * millisecond's work. Requests are accepted and answered between turns.
 */
const TURN_BYTES = 1024 * 1024
/** Bytes that a write counts as beside its own: a small write costs as much time as 4 KiB to copy. */
const WRITE_COST = 4 * 1024

/** A stream that has more to send. */
export interface TurnTask {
  /** Whether the stream waits for its turn. Only {@link Turns} sets it. */
  isQueued: boolean
  /** It is the stream's turn: it goes on until {@link Turns.isOver}. */
  onTurn(): void
}

/**
 * Shares the event loop between streams that have much to send and everything else. A stream writes
 * at once while the turn has room, and queues for a later turn otherwise.
 *
 * Overflow policy: each stream is in the queue at most once, so that the queue is as long as there
 * are streams.
 */
class Turns {
  #left = TURN_BYTES
  /** Tasks whose turn comes next, from an index on: those before it have had their turn. */
  #current: TurnTask[] = []
  #index = 0
  /** Tasks that wait until all of the current ones have had their turn. */
  #later: TurnTask[] = []
  #isScheduled = false

  /** Whether this turn has no room for a further write. */
  get isOver(): boolean {
    return this.#left <= 0
  }

  /** Counts a write. */
  count(bytes: number): void {
    this.#left -= bytes + WRITE_COST
    this.#schedule()
  }

  /** Lets a stream go on: now, or in its turn. */
  run(task: TurnTask): void {
    if (this.#left > 0 && !this.#hasWaiting) task.onTurn()
    else this.queue(task)
  }

  /** Lets a stream go on in a later turn. */
  queue(task: TurnTask): void {
    if (task.isQueued) return
    task.isQueued = true
    this.#later.push(task)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    onNextTurn(this.#begin)
  }

  readonly #begin = () => {
    this.#isScheduled = false
    this.#left = TURN_BYTES
    while (!this.isOver && this.#hasWaiting) this.#next().onTurn()
    if (this.#hasWaiting) this.#schedule()
    else this.#forget()
  }

  /** Lets go of streams that have had their turn, which may have ended. */
  #forget(): void {
    this.#current = []
    this.#index = 0
  }

  get #hasWaiting(): boolean {
    return this.#index < this.#current.length || this.#later.length > 0
  }

  #next(): TurnTask {
    if (this.#index === this.#current.length) {
      this.#current = this.#later
      this.#later = []
      this.#index = 0
    }
    const task = this.#current[this.#index++] as TurnTask
    task.isQueued = false
    return task
  }
}

/** One for the process: its event loop is what streams share. */
export const turns = new Turns()

/** Calls back when the runtime has looked at its sockets, or soon after. */
export function onNextTurn(callback: () => void): void {
  // While Deno has other work, it looks at sockets no sooner than at timers.
  if ('Deno' in globalThis) setTimeout(callback, 1)
  else setImmediate(callback)
}
