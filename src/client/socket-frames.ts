/** The frames of one WebSocket connection, in a queue between the network and the loop that reads them. */
import type { Gap } from '../port/kafka.ts'
import { jsonOf, KafkaStreamError, type ReportedError, reportedError } from './errors.ts'
import type { ReceivedRecord } from './record.ts'

/** A frame that the server sends. */
export interface SocketFrame extends Partial<ReceivedRecord> {
  readonly gap?: Gap
  /** Whether there are no more records before the end that the client gave. */
  readonly ended?: boolean
  readonly failure?: ReportedError
}

/** Close codes after which a retry cannot succeed: the server rejects what this client does. */
const FINAL_CODES = [1003, 1007, 1008, 1009, 1011]

export class SocketFrames {
  readonly #socket: WebSocket
  readonly #maxWaiting: number
  readonly #waiting: SocketFrame[] = []
  readonly #signal: AbortSignal | undefined
  #end: KafkaStreamError | undefined
  #hasOpened = false
  #wake: (() => void) | undefined
  readonly #onAbort = () => this.#wake?.()

  /** @param maxWaiting Frames in the queue beyond which the connection is closed. */
  constructor(
    socket: WebSocket,
    maxWaiting: number,
    { signal, onOpen }: { readonly signal?: AbortSignal; readonly onOpen?: () => void },
  ) {
    this.#socket = socket
    this.#maxWaiting = maxWaiting
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort)
    socket.onopen = () => {
      this.#hasOpened = true
      onOpen?.()
    }
    socket.onmessage = ({ data }) => this.#onMessage(data)
    // The event `close` follows each `error`.
    socket.onclose = ({ code, reason }) => this.#onEnd(closedError(code, reason))
  }

  /** Whether the handshake has succeeded. */
  get hasOpened(): boolean {
    return this.#hasOpened
  }

  /** The next frame. @throws KafkaStreamError after the last one; the signal's reason. */
  async next(): Promise<SocketFrame> {
    for (;;) {
      this.#signal?.throwIfAborted()
      const frame = this.#waiting.shift()
      if (frame) return frame
      if (this.#end) throw this.#end
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  close(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#socket.onmessage = null
    this.#socket.close(1000)
  }

  /** An error in an event handler would reach no loop. */
  #onMessage(text: string): void {
    try {
      this.#onFrame(Object(jsonOf(text)))
    } catch (error) {
      this.#onEnd(error as KafkaStreamError)
      this.close()
    }
  }

  #onFrame(frame: SocketFrame): void {
    if (frame.failure) {
      this.#onEnd(reportedError(JSON.stringify(frame.failure)))
      return
    }
    this.#waiting.push(frame)
    this.#wake?.()
    if (this.#waiting.length <= this.#maxWaiting) return
    // The records behind the queue come again on the next connection.
    this.#onEnd(closedError(1000, 'the loop reads more slowly than records come'))
    this.close()
  }

  #onEnd(error: KafkaStreamError): void {
    this.#end ??= error
    this.#wake?.()
  }
}

function closedError(code: number, reason: string): KafkaStreamError {
  const state = `the connection was closed with code ${code}${reason && `: ${reason}`}`
  const retryable = !FINAL_CODES.includes(code)
  return new KafkaStreamError('DISCONNECTED', `Cannot read the socket: ${state}`, { retryable })
}
