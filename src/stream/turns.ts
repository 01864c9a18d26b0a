/**
 * Bytes that all streams together write in one turn of the event loop, more or less: about a
 * millisecond's work. Requests are accepted and answered between turns.
 */
const TURN_BYTES = 1024 * 1024
/** Bytes that a write counts as beside its own: a small write costs as much time as 4 KiB to copy. */
const WRITE_COST = 4 * 1024

/** A stream that has more to send. */
export interface TurnTask {
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
  readonly #queue = new Set<TurnTask>()
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
    if (this.#left > 0 && this.#queue.size === 0) task.onTurn()
    else this.queue(task)
  }

  /** Lets a stream go on in a later turn. */
  queue(task: TurnTask): void {
    this.#queue.add(task)
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
    for (const task of this.#queue) {
      if (this.isOver) break
      this.#queue.delete(task)
      task.onTurn()
    }
    if (this.#queue.size > 0) this.#schedule()
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
