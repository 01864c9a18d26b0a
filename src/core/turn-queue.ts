/**
 * Shares of the event loop: streams and filters of many clients take turns, so that requests are
 * accepted and answered between them.
 */

/**
 * Bytes that all streams together write in one turn of the event loop, more or less: about a
 * millisecond's work.
 */
const TURN_BYTES = 1024 * 1024
/** Bytes that each write counts in addition: a small write costs as much time as 4 KiB to copy. */
const WRITE_COST_BYTES = 4 * 1024
/** Milliseconds of the filters of all clients together in one turn of the event loop, more or less. */
const FILTER_TURN_MS = 4

/** A task that may take longer than one turn, such as a stream that has more to send. */
export interface TurnTask {
  /** Whether the task waits for its turn. Only {@link TurnQueue} sets it. */
  isQueued: boolean
  /** Works until {@link TurnQueue.isOver}. The queue calls it at the task's turn. */
  advance(): void
}

/**
 * Divides work of one kind into turns of the event loop. A task continues at once while the current
 * turn has budget left; otherwise it queues for a later turn, behind all others.
 *
 * Overflow policy: each task is in the queue at most once, so that the queue is no longer than the
 * number of clients.
 */
class TurnQueue {
  readonly #budget: number
  readonly #overhead: number
  #left: number
  /** Tasks of the current round. Those before {@link #index} have had their turn. */
  #current: TurnTask[] = []
  #index = 0
  /** Tasks of the next round: they wait until all of the current round have had their turn. */
  #later: TurnTask[] = []
  #isScheduled = false

  /**
   * @param budget The work of one turn, in bytes or milliseconds.
   * @param overhead The cost of each piece of work in addition to its own amount.
   */
  constructor(budget: number, overhead: number) {
    this.#budget = budget
    this.#overhead = overhead
    this.#left = budget
  }

  /** Whether the budget of this turn is used up. */
  get isOver(): boolean {
    return this.#left <= 0
  }

  /** Counts a piece of work against the budget of this turn. */
  count(amount: number): void {
    this.#left -= amount + this.#overhead
    this.#schedule()
  }

  /** Continues a task: now if the budget allows and no other task waits, else in its turn. */
  runOrQueue(task: TurnTask): void {
    if (this.#left > 0 && !this.#hasWaiting) task.advance()
    else this.queue(task)
  }

  /** Does a piece of work in its turn. Resolves when it is done; rejects with what it throws. */
  whenDone(work: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const advance = () => {
        try {
          resolve(work())
        } catch (error) {
          reject(error)
        }
      }
      this.runOrQueue({ isQueued: false, advance })
    })
  }

  /** Continues a task in a later turn. */
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
    this.#left = this.#budget
    while (!this.isOver && this.#hasWaiting) this.#next().advance()
    if (this.#hasWaiting) this.#schedule()
    else this.#forgetDone()
  }

  /** Drops the references to tasks that have had their turn, so that ended streams can be freed. */
  #forgetDone(): void {
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

/** Turns of writing, in bytes: one queue for all streams of the process, since they share its event loop. */
export const writeTurns = new TurnQueue(TURN_BYTES, WRITE_COST_BYTES)

/** Turns of filtering, in milliseconds: one queue for all streams and single reads of the process. */
export const filterTurns = new TurnQueue(FILTER_TURN_MS, 0)

/** Calls back when the runtime has polled its sockets, or soon after. */
function onNextTurn(callback: () => void): void {
  // While Deno has other work, it polls its sockets no sooner than it runs timers.
  if ('Deno' in globalThis) setTimeout(callback, 1)
  else setImmediate(callback)
}

/** Turns after which each runtime has polled its sockets. */
const SOCKET_TURNS = 'Bun' in globalThis || 'Deno' in globalThis ? 2 : 3

/** The wait of callers that came in this turn. */
let socketsPolling: Promise<void> | undefined

/**
 * Resolves when the runtime has polled its sockets since this call. Only then does it report a client
 * that has left, even one that left before its request was read. Callers of one turn share the wait.
 */
export function yieldToSocketEvents(): Promise<void> {
  socketsPolling ??= new Promise((resolve) => {
    onNextTurn(() => {
      socketsPolling = undefined
      resolveAfter(SOCKET_TURNS - 1, resolve)
    })
  })
  return socketsPolling
}

function resolveAfter(turns: number, resolve: () => void): void {
  if (turns === 0) resolve()
  else onNextTurn(() => resolveAfter(turns - 1, resolve))
}
