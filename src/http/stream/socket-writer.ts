import type { WSContext } from 'hono/ws'
import { describeError, type KafkaConsumeError } from '../../core/errors.ts'
import { logOf } from '../../core/log.ts'
import type { StreamWriter } from './stream-encoder.ts'

/** Bytes that may be buffered for a client; more is written when the buffer has drained. */
const HIGH_WATER_BYTES = 256 * 1024
const DRAIN_MS = 20

const log = logOf('socket')

/** Close codes of RFC 6455, https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 */
export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  unsupportedData: 1003,
  invalidPayload: 1007,
  policyViolation: 1008,
  internalError: 1011,
  tryAgainLater: 1013,
} as const

/** The close frame of a connection that the server ends: after an error, or in good order. */
export function closeFrameFor(
  error: KafkaConsumeError | undefined,
): [code: number, reason: string] {
  if (!error) return [CLOSE.goingAway, 'the stream ends here, come back for more']
  return [error.retryable ? CLOSE.tryAgainLater : CLOSE.internalError, error.code]
}

/** The text frame that reports an error, before the close frame. */
export function errorFrame(error: KafkaConsumeError, showDetail: boolean): string {
  return JSON.stringify({
    failure: { ...describeError(error, showDetail), retryable: error.retryable },
  })
}

/** Members of the runtimes' sockets that Hono does not expose: Bun's, and those of Deno and `ws`. */
interface RawSocket {
  send(text: string): number | undefined
  cork?(write: () => void): unknown
  getBufferedAmount?(): number
  readonly bufferedAmount?: number
  ping?(): void
  terminate?(): void
}

/** Writes text frames to one client. An empty list is a ping, where the runtime can send one. */
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
    try {
      if (texts.length === 0) this.#raw.ping?.()
      // Without a cork, Bun writes each frame to the kernel by itself.
      if (texts.length > 1 && this.#raw.cork) this.#raw.cork(() => this.#send(texts))
      else this.#send(texts)
    } catch (error) {
      log.warn('Cannot write to a WebSocket: {error}', { error })
      // Without this frame the next one would leave a hole in the stream.
      this.abort()
    }
    while (!this.#closed && this.#buffered() > HIGH_WATER_BYTES) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_MS))
    }
  }

  #send(texts: readonly string[]): void {
    for (const text of texts) {
      // Bun returns 0 for a frame that it dropped, because it exceeds the server's buffer limit.
      if (this.#raw.send(text) === 0 && text !== '') {
        this.close(CLOSE.internalError, 'a record is larger than the server may send')
        return
      }
    }
  }

  onAbort(listener: () => void): void {
    if (this.#closed) listener()
    else this.#abort = listener
  }

  /** The connection has ended. */
  ended(): void {
    this.#closed = true
    this.#abort?.()
  }

  abort(): void {
    // A client that does not read would not read a close frame either.
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
