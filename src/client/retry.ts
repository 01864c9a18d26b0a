/** When a client connects again: after the server's `retry`, or later while connections fail. */
import { KafkaStreamError } from './errors.ts'

const MAX_DELAY_MS = 30_000
/** The longest `Retry-After` that is obeyed: gateways with a monthly quota send one of weeks. */
const MAX_RETRY_AFTER_SECONDS = 86_400

/** The longest time of a timer: a longer one would overflow, and fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** The waits between the connections of one client. */
export class Retries {
  /** The server's `retry` in ms. */
  interval = 1_000
  #failed = 0

  /** Makes the next wait short. Called when a connection has brought an event. */
  reset(): void {
    this.#failed = 0
  }

  /**
   * Waits before the next connection.
   *
   * @throws The error, where a retry cannot succeed; the signal's reason.
   */
  async wait(
    error: unknown,
    signal: AbortSignal | undefined,
    onRetry: ((error: Error, delay: number) => void) | undefined,
  ): Promise<void> {
    signal?.throwIfAborted()
    if (!(error instanceof KafkaStreamError && error.retryable)) throw error
    const delay = this.#delay(error.retryAfter)
    onRetry?.(error, delay)
    await sleep(delay, signal)
    signal?.throwIfAborted()
  }

  /** A random share of the delay keeps clients that lost one server from coming back at once. */
  #delay(retryAfter = 0): number {
    const longest = Math.min(this.interval * 2 ** this.#failed++, MAX_DELAY_MS)
    const own = longest * (0.5 + Math.random() / 2)
    const asked = Math.min(retryAfter, MAX_RETRY_AFTER_SECONDS) * 1_000
    return Math.round(Math.max(own, asked * (1 + Math.random() / 4)))
  }
}

/** Resolves after some milliseconds, or when the signal aborts. */
function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, signal?.aborted ? 0 : ms)
    signal?.addEventListener('abort', end)
  })
}
