/** When a client connects again: after the server's `retry`, or later while connections fail. */
import { KafkaStreamError } from './errors.ts'

const MAX_DELAY_MS = 30_000

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
    signal?.throwIfAborted()
    await sleep(delay, signal)
  }

  /** A random share of the delay keeps clients that lost one server from coming back at once. */
  #delay(retryAfter = 0): number {
    const longest = Math.min(this.interval * 2 ** this.#failed++, MAX_DELAY_MS)
    const own = longest * (0.5 + Math.random() / 2)
    return Math.round(Math.max(own, retryAfter * 1_000 * (1 + Math.random() / 4)))
  }
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', abort, { once: true })
  })
}
