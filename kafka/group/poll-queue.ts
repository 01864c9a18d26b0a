import { KafkaConsumeError } from '../../src/core/errors.ts'
import type { Delivery, PollLimits } from '../../src/port/kafka.ts'

/** Callers waiting at a time; one more is refused. */
const MAX_CALLERS = 10_000

/** Someone who waits for records. */
export interface WaitingPoll {
  readonly limits: PollLimits
  /** `performance.now()` when it asked. */
  readonly since: number
  resolve(delivery: Delivery): void
  reject(error: KafkaConsumeError): void
}

interface Waiting extends WaitingPoll {
  /** When an empty answer is due, in `performance.now()`'s time; unset until partitions have answered. */
  due: number | undefined
  timer: ReturnType<typeof setTimeout> | undefined
}

/** Those who wait for records of a group, in the order in which they are served. */
export class PollQueue {
  readonly #waiting: Waiting[] = []
  readonly #onDue: () => void

  /** @param onDue Called when an empty answer is due. */
  constructor(onDue: () => void) {
    this.#onDue = onDue
  }

  /** Who is served next. */
  get first(): WaitingPoll | undefined {
    return this.#waiting[0]
  }

  /** @throws KafkaConsumeError TOO_MANY_POLLS, or what it is rejected with. */
  add(limits: PollLimits, signal?: AbortSignal): Promise<Delivery> {
    if (this.#waiting.length >= MAX_CALLERS) {
      return Promise.reject(
        new KafkaConsumeError(
          'TOO_MANY_POLLS',
          `Cannot read as a group: ${MAX_CALLERS} callers are waiting already`,
        ),
      )
    }
    if (signal?.aborted) return Promise.reject(wentAway())
    return new Promise((resolve, reject) => {
      const since = performance.now()
      const caller: Waiting = { limits, resolve, reject, since, due: undefined, timer: undefined }
      // Those in front may have long been counting; this one's time begins with its own call.
      if (this.#waiting[0]?.due !== undefined) this.#count(caller)
      this.#waiting.push(caller)
      signal?.addEventListener(
        'abort',
        () => {
          const index = this.#waiting.indexOf(caller)
          if (index < 0) return
          this.#take(index, 1)
          reject(wentAway())
        },
        { once: true },
      )
    })
  }

  takeFirst(): void {
    this.#take(0, 1)
  }

  /** Everybody's timeout begins, unless it has begun before. */
  count(): void {
    // Those behind one that is counting count since they came.
    if (this.#waiting[0]?.due !== undefined) return
    for (const caller of this.#waiting) this.#count(caller)
  }

  /** The first one whose timeout is over. */
  takeDue(): WaitingPoll | undefined {
    const now = performance.now()
    const index = this.#waiting.findIndex(({ due }) => due !== undefined && due <= now)
    return index < 0 ? undefined : this.#take(index, 1)[0]
  }

  reject(error: KafkaConsumeError): void {
    for (const caller of this.#take(0, this.#waiting.length)) caller.reject(error)
  }

  #count(caller: Waiting): void {
    if (caller.due !== undefined) return
    caller.due = performance.now() + caller.limits.timeout
    caller.timer = setTimeout(this.#onDue, caller.limits.timeout + 1)
  }

  /** They wait no more. */
  #take(index: number, count: number): Waiting[] {
    const taken = this.#waiting.splice(index, count)
    for (const { timer } of taken) clearTimeout(timer)
    return taken
  }
}

function wentAway(): KafkaConsumeError {
  return new KafkaConsumeError('INTERNAL', 'Cannot read as a group: the caller went away')
}
