import { KafkaConsumeError } from '../../src/core/errors.ts'
import type { Delivery, PollLimits } from '../../src/port/kafka.ts'

/** Polls that wait at a time; one more is refused. */
const MAX_POLLS = 10_000

/** The most records of one poll, which are in memory at once. */
const MAX_POLL_RECORDS = 10_000

/**
 * Whether a poll with these limits comes to an end. A part of a record is never taken, the Kafka client reads
 * nothing where it is asked for records without a number, and a time that is not a number is never over:
 * the polls behind such a poll would wait for ever.
 */
export function canEnd({ maxRecords, maxBytes, timeout }: PollLimits): boolean {
  const isWhole = Number.isInteger(maxRecords) && maxRecords >= 1 && maxRecords <= MAX_POLL_RECORDS
  return isWhole && !Number.isNaN(maxBytes) && !Number.isNaN(timeout)
}

/** A client's poll that waits for records. */
export interface WaitingPoll {
  readonly limits: PollLimits
  /** `performance.now()` when the poll came. */
  readonly since: number
  resolve(delivery: Delivery): void
  reject(error: KafkaConsumeError): void
}

interface Waiting extends WaitingPoll {
  /**
   * When an empty delivery is due, in `performance.now()`'s time; unset until partitions have
   * answered.
   */
  due: number | undefined
  timer: ReturnType<typeof setTimeout> | undefined
}

/** The polls that wait for records of a group, in the order in which they are served. */
export class PollQueue {
  readonly #waiting: Waiting[] = []
  readonly #onDue: () => void

  /** @param onDue Called when an empty delivery is due. */
  constructor(onDue: () => void) {
    this.#onDue = onDue
  }

  /** The poll that is served next. */
  get first(): WaitingPoll | undefined {
    return this.#waiting[0]
  }

  /** @throws KafkaConsumeError TOO_MANY_POLLS, INVALID_PARAMETER, or what it is rejected with. */
  add(limits: PollLimits, signal?: AbortSignal): Promise<Delivery> {
    if (!canEnd(limits)) return Promise.reject(wrongLimits(limits))
    if (this.#waiting.length >= MAX_POLLS) {
      return Promise.reject(
        new KafkaConsumeError(
          'TOO_MANY_POLLS',
          `Cannot read as a group: ${MAX_POLLS} clients are waiting already`,
        ),
      )
    }
    if (signal?.aborted) return Promise.reject(wentAway())
    return new Promise((resolve, reject) => {
      const since = performance.now()
      const poll: Waiting = { limits, resolve, reject, since, due: undefined, timer: undefined }
      // The timeouts of earlier polls may have begun long ago; this poll's begins with itself.
      if (this.#waiting[0]?.due !== undefined) this.#startTimeout(poll)
      this.#waiting.push(poll)
      signal?.addEventListener(
        'abort',
        () => {
          const index = this.#waiting.indexOf(poll)
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

  /** Starts the timeout of every poll whose timeout has not started. */
  startTimeouts(): void {
    // Polls behind one whose timeout has begun started theirs when they came.
    if (this.#waiting[0]?.due !== undefined) return
    for (const poll of this.#waiting) this.#startTimeout(poll)
  }

  /** Removes and returns the first poll whose timeout is over. */
  takeDue(): WaitingPoll | undefined {
    const now = performance.now()
    const index = this.#waiting.findIndex(({ due }) => due !== undefined && due <= now)
    return index < 0 ? undefined : this.#take(index, 1)[0]
  }

  rejectFirst(error: KafkaConsumeError): void {
    for (const poll of this.#take(0, 1)) poll.reject(error)
  }

  reject(error: KafkaConsumeError): void {
    for (const poll of this.#take(0, this.#waiting.length)) poll.reject(error)
  }

  #startTimeout(poll: Waiting): void {
    if (poll.due !== undefined) return
    poll.due = performance.now() + poll.limits.timeout
    poll.timer = setTimeout(this.#onDue, poll.limits.timeout + 1)
  }

  /** Removes polls from the queue. */
  #take(index: number, count: number): Waiting[] {
    const taken = this.#waiting.splice(index, count)
    for (const { timer } of taken) clearTimeout(timer)
    return taken
  }
}

function wrongLimits({ maxRecords, maxBytes, timeout }: PollLimits): KafkaConsumeError {
  return new KafkaConsumeError(
    'INVALID_PARAMETER',
    `Cannot read as a group: ${maxRecords} records, ${maxBytes} bytes and ${timeout} ms are not limits`,
  )
}

function wentAway(): KafkaConsumeError {
  return new KafkaConsumeError('INTERNAL', 'Cannot read as a group: the client left')
}
