/** When a client connects again: after the server's `retry`, or later while connections fail. */
import { KafkaStreamError } from './errors.ts'
import type { ReceiveOptions } from './record.ts'

const MAX_DELAY_MS = 30_000
/** The longest `Retry-After` that is obeyed: gateways with a monthly quota send one of weeks. */
const MAX_RETRY_AFTER_SECONDS = 86_400

/** The longest time of a timer: a longer one would overflow, and fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** The waits between the connections of one client. */
export class Retries {
  /** The server's `retry` in ms. */
  interval = 1_000
  /** Connections since the last one that brought an event, after which the next wait is short. */
  failed = 0

  /**
   * Waits before the next connection.
   *
   * @throws The error, where a retry cannot succeed; the signal's reason.
   */
  async wait(
    error: unknown,
    { signal, onRetry }: Pick<ReceiveOptions<undefined>, 'signal' | 'onRetry'>,
  ): Promise<void> {
    signal?.throwIfAborted()
    if (!(error instanceof KafkaStreamError && error.retryable)) throw error
    // A random share keeps clients that lost one server from coming back at once.
    const random = Math.random()
    const own = Math.min(this.interval * 2 ** this.failed++, MAX_DELAY_MS) * (0.5 + random / 2)
    const asked = Math.min(error.retryAfter ?? 0, MAX_RETRY_AFTER_SECONDS) * (1 + random / 4)
    const delay = Math.round(Math.max(own, asked * 1_000))
    onRetry?.(error, delay)
    await sleep(delay, signal)
    signal?.throwIfAborted()
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
