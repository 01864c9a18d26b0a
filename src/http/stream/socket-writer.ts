import type { WSContext } from 'hono/ws'
import type { KafkaConsumeError } from '../../core/errors.ts'
import { describeError } from '../response/error-response.ts'
import type { StreamWriter } from './live-stream.ts'

/** Bytes that may wait in the runtime for a client before it is given more. */
const HIGH_WATER_BYTES = 256 * 1024
const DRAIN_MS = 20

/** Why a connection ends; see https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 */
export const CLOSE = {
  goingAway: 1001,
  unsupportedData: 1003,
  invalidPayload: 1007,
  policyViolation: 1008,
  internalError: 1011,
  tryAgainLater: 1013,
} as const

/** How a connection ends that the server has had enough of: with what it could not do, or just so. */
export function closeFrameFor(
  failure: KafkaConsumeError | undefined,
): [code: number, reason: string] {
  if (!failure) return [CLOSE.goingAway, 'the stream ends here, come back for more']
  return [failure.retryable ? CLOSE.tryAgainLater : CLOSE.internalError, failure.code]
}

/** The last frame before such an end. */
export function errorFrame(error: KafkaConsumeError, show: boolean): string {
  return JSON.stringify({ failure: { ...describeError(error, show), retryable: error.retryable } })
}

/** What the runtimes' own sockets have beside Hono's: Bun's, and the web's of Deno and of `ws`. */
interface RawSocket {
  send(text: string): number | undefined
  getBufferedAmount?(): number
  readonly bufferedAmount?: number
  ping?(): void
  terminate?(): void
}

/** Text frames to one client. An empty list of them is a ping, where the runtime lets us send one. */
export class SocketWriter implements StreamWriter<readonly string[]> {
  readonly #ws: WSContext
  readonly #raw: RawSocket
  #abort: (() => void) | undefined
  #closed = false

  constructor(ws: WSContext) {
    this.#ws = ws
    this.#raw = ws.raw as RawSocket
  }

  get isClosed(): boolean {
    return this.#closed
  }

  async write(texts: readonly string[]): Promise<void> {
    if (this.#closed) return
    if (texts.length === 0) this.#raw.ping?.()
    for (const text of texts) {
      // Bun answers 0 for what it has dropped, over the server's limit of buffered bytes.
      if (this.#raw.send(text) === 0 && text !== '') {
        this.close(CLOSE.internalError, 'a record is larger than the server may send')
        return
      }
    }
    while (!this.#closed && this.#buffered() > HIGH_WATER_BYTES) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_MS))
    }
  }

  onAbort(listener: () => void): void {
    if (this.#closed) listener()
    else this.#abort = listener
  }

  /** The connection has ended, by whomever. */
  ended(): void {
    this.#closed = true
    this.#abort?.()
  }

  abort(): void {
    // A client that reads nothing would not read a close frame either.
    if (this.#raw.terminate) this.#raw.terminate()
    else this.#ws.close(CLOSE.policyViolation, 'nothing was read for too long')
    this.ended()
  }

  close(code: number, reason: string): void {
    if (this.#closed) return
    this.#ws.close(code, reason)
    this.ended()
  }

  #buffered(): number {
    return this.#raw.getBufferedAmount?.() ?? this.#raw.bufferedAmount ?? 0
  }
}
