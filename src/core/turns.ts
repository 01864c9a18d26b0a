/**
 * Bytes that all streams together write in one turn of the event loop, more or less: about a
 * millisecond's work. Requests are accepted and answered between turns.
 */
const TURN_BYTES = 1024 * 1024
/** Bytes that a write counts as beside its own: a small write costs as much time as 4 KiB to copy. */
const WRITE_COST = 4 * 1024
/** Milliseconds of the filters of all clients together in one turn of the event loop, more or less. */
const FILTER_TURN_MS = 4

/** A stream that has more to send, or whatever else has much to do. */
export interface TurnTask {
  /** Whether the task waits for its turn. Only {@link Turns} sets it. */
  isQueued: boolean
  /** It is the task's turn: it goes on until {@link Turns.isOver}. */
  onTurn(): void
}

/**
 * Shares the event loop between tasks that have much to do of one kind and everything else. A task
 * goes on at once while the turn has room, and queues for a later turn otherwise, behind all others.
 *
 * Overflow policy: each task is in the queue at most once, so that the queue is as long as there
 * are clients.
 */
class Turns {
  readonly #room: number
  readonly #overhead: number
  #left: number
  /** Tasks whose turn comes next, from an index on: those before it have had their turn. */
  #current: TurnTask[] = []
  #index = 0
  /** Tasks that wait until all of the current ones have had their turn. */
  #later: TurnTask[] = []
  #isScheduled = false

  /**
   * @param room What there may be in one turn.
   * @param overhead What each piece counts as beside its own.
   */
  constructor(room: number, overhead: number) {
    this.#room = room
    this.#overhead = overhead
    this.#left = room
  }

  /** Whether this turn has no room for a further piece. */
  get isOver(): boolean {
    return this.#left <= 0
  }

  /** Counts a piece. */
  count(amount: number): void {
    this.#left -= amount + this.#overhead
    this.#schedule()
  }

  /** Lets a task go on: now, or in its turn. */
  run(task: TurnTask): void {
    if (this.#left > 0 && !this.#hasWaiting) task.onTurn()
    else this.queue(task)
  }

  /** Resolves when a piece of work was done in its turn; rejects with what it throws. */
  whenDone(work: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const onTurn = () => {
        try {
          resolve(work())
        } catch (error) {
          reject(error)
        }
      }
      this.run({ isQueued: false, onTurn })
    })
  }

  /** Lets a task go on in a later turn. */
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
    this.#left = this.#room
    while (!this.isOver && this.#hasWaiting) this.#next().onTurn()
    if (this.#hasWaiting) this.#schedule()
    else this.#forget()
  }

  /** Lets go of tasks that have had their turn, which may have ended. */
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

/** The bytes that streams write. One for the process: its event loop is what they share. */
export const turns = new Turns(TURN_BYTES, WRITE_COST)

/** The milliseconds that filters take, those of streams and of single reads. */
export const filterTurns = new Turns(FILTER_TURN_MS, 0)

/** Calls back when the runtime has looked at its sockets, or soon after. */
export function onNextTurn(callback: () => void): void {
  // While Deno has other work, it looks at sockets no sooner than at timers.
  if ('Deno' in globalThis) setTimeout(callback, 1)
  else setImmediate(callback)
}
