import type { StreamedRecord } from './sse.ts'
import { until, within } from './wait.ts'

/** A client of one WebSocket, on the runtime's own. It does not reconnect. */
export class SocketClient implements AsyncDisposable {
  /** Every frame, parsed. */
  readonly frames: Array<Record<string, unknown>> = []
  /** How the connection ended. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  readonly #socket: WebSocket

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => this.frames.push(JSON.parse(String(data))))
    this.closed = new Promise((resolve) => {
      socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }))
    })
  }

  /** @throws Error when the server does not open one. */
  static async open(url: string): Promise<SocketClient> {
    const socket = new WebSocket(url.replace(/^http/, 'ws'))
    const client = new SocketClient(socket)
    const opened = new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve())
      socket.addEventListener('error', () => reject(new Error(`${url} opened no WebSocket`)))
    })
    await within(opened, `a WebSocket of ${url}`)
    return client
  }

  records(): StreamedRecord[] {
    return this.frames.filter((frame) => 'offset' in frame) as unknown as StreamedRecord[]
  }

  /** The records without the cursors that came with them. */
  withoutCursors(): StreamedRecord[] {
    return this.records().map(({ ...record }) => {
      delete (record as { cursor?: string }).cursor
      return record
    })
  }

  /** The newest cursor that came. */
  get cursor(): string | undefined {
    return this.frames.findLast((frame) => 'cursor' in frame)?.['cursor'] as string | undefined
  }

  /** Waits for a number of records in all. */
  until(records: number): Promise<void> {
    return until(
      () => this.records().length >= records,
      () => `${records} records on a WebSocket that brought ${this.records().length}`,
    )
  }

  /** Sends a message. A value that is not a text is sent as JSON. */
  say(message: unknown): void {
    this.#socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  sayBytes(bytes: Uint8Array<ArrayBuffer>): void {
    this.#socket.send(bytes)
  }

  /** Leaves. */
  async close(): Promise<void> {
    this.#socket.close()
    await within(this.closed, 'a WebSocket to close')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
