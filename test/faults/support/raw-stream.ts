import { connect, type Socket } from 'node:net'
import { createParser } from 'eventsource-parser'
import type { StreamedRecord } from '../../support/sse.ts'

/** How a client leaves: in good order, by a reset, or without a word. */
export type Leave = 'fin' | 'reset' | 'silence'

/** An event stream on a bare socket, so that it can be left in every way that there is. */
export class RawStream {
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>
  /** The status of the answer; 0 until it comes. */
  status = 0
  readonly #socket: Socket
  #pending: Buffer = Buffer.alloc(0)
  #left = false

  /** @param onRecord Called with each record and the id after it, until the stream was left. */
  constructor(
    url: string,
    lastId: string | undefined,
    onRecord: (record: StreamedRecord, id: string) => void,
  ) {
    const { hostname, port, pathname, search } = new URL(url)
    const parser = createParser({
      onEvent: ({ event, id, data }) => {
        if (this.#left || event !== undefined) return
        onRecord(JSON.parse(data) as StreamedRecord, id as string)
      },
    })
    const decoder = new TextDecoder()
    this.#socket = connect({ host: hostname, port: Number(port) })
    const resume = lastId === undefined ? '' : `Last-Event-ID: ${lastId}\r\n`
    this.#socket.write(
      `GET ${pathname}${search} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nConnection: close\r\n${resume}\r\n`,
    )
    this.#socket.on('data', (bytes: Buffer) => {
      for (const part of this.#unframe(bytes)) {
        if (!this.#left) parser.feed(decoder.decode(part, { stream: true }))
      }
    })
    this.#socket.on('error', () => {})
    this.closed = new Promise((resolve) => this.#socket.on('close', () => resolve()))
  }

  leave(how: Leave): void {
    this.#left = true
    if (how === 'fin') this.#socket.destroy()
    else if (how === 'reset') this.#socket.resetAndDestroy()
    else this.#socket.pause()
  }

  /** Ends one that was left in silence. */
  end(): void {
    this.#socket.destroy()
  }

  /** Takes the answer's head and the framing of chunks off. */
  *#unframe(bytes: Buffer): Generator<Buffer> {
    this.#pending = this.#pending.length > 0 ? Buffer.concat([this.#pending, bytes]) : bytes
    if (this.status === 0) {
      const head = this.#pending.indexOf('\r\n\r\n')
      if (head < 0) return
      this.status = Number(this.#pending.subarray(9, 12).toString())
      this.#pending = this.#pending.subarray(head + 4)
    }
    for (;;) {
      const line = this.#pending.indexOf('\r\n')
      if (line < 0) return
      const size = Number.parseInt(this.#pending.subarray(0, line).toString(), 16)
      if (this.#pending.length < line + 2 + size + 2) return
      yield this.#pending.subarray(line + 2, line + 2 + size)
      this.#pending = this.#pending.subarray(line + 2 + size + 2)
    }
  }
}
