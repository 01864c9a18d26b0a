/**
 * A connection of HTTP/1.1 that costs its process almost nothing: a raw socket with one request at a
 * time.
 */
import { BodyReader } from './body-reader.ts'

/** The request of a connection, and the results of its answers. */
export interface Asker {
  /** Default: none. */
  readonly accept?: string | undefined
  /** Receives the bytes of the bodies as they come. */
  onBody?(bytes: Buffer): void
  /**
   * Called when an answer is complete.
   *
   * @param milliseconds From the request to the last byte of its answer.
   * @param head Status line and header lines.
   * @returns The next path to ask for; undefined to end.
   */
  onAnswer(milliseconds: number, head: string): string | undefined
}

/** Sends the next request as soon as the last one is answered. */
export class KeepAlive {
  /** Resolves when the asker has ended it, or when it was closed. */
  readonly done: Promise<void>
  /** Bytes of the bodies of all answers. */
  bytes = 0
  readonly #host: string
  readonly #asker: Asker
  #path: string
  #asked = 0
  #head: Buffer = Buffer.alloc(0)
  #headText = ''
  #body: BodyReader | undefined
  #socket: Bun.Socket | undefined
  readonly #ending = Promise.withResolvers<void>()

  constructor(port: number, path: string, asker: Asker) {
    this.done = this.#ending.promise
    this.#host = `127.0.0.1:${port}`
    this.#path = path
    this.#asker = asker
    const fail = (error: Error) => this.#ending.reject(error)
    Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        open: (socket) => {
          this.#socket = socket
          this.#ask()
        },
        data: (_, bytes) => this.#read(bytes),
        close: () => fail(new Error('Cannot ask: the server closed the connection')),
        error: (_, error) => fail(error),
      },
    }).catch(fail)
  }

  /** Ends it, also in the middle of an answer. */
  close(): void {
    this.#ending.resolve()
    this.#socket?.terminate()
  }

  #ask(): void {
    const { accept } = this.#asker
    this.#asked = performance.now()
    this.#socket?.write(
      `GET ${this.#path} HTTP/1.1\r\nHost: ${this.#host}\r\n${accept ? `Accept: ${accept}\r\n` : ''}\r\n`,
    )
  }

  #read(bytes: Buffer): void {
    const rest = this.#body ? bytes : this.#readHead(bytes)
    if (!rest || !this.#body) return
    this.#body.push(rest)
    if (!this.#body.isEnd) return
    this.#body = undefined
    const path = this.#asker.onAnswer(performance.now() - this.#asked, this.#headText)
    if (path === undefined) {
      this.close()
    } else {
      this.#path = path
      this.#ask()
    }
  }

  /**
   * @returns The bytes after the head; undefined while the head is not complete, and after an error.
   */
  #readHead(bytes: Buffer): Buffer | undefined {
    this.#head = Buffer.concat([this.#head, bytes])
    const end = this.#head.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    this.#headText = this.#head.toString('latin1', 0, end + 2)
    if (!/^HTTP\/1\.1 20[04] /.test(this.#headText)) {
      this.#ending.reject(new Error(`Cannot ask: ${this.#head.toString('latin1', 0, 300)}`))
      this.#socket?.terminate()
      return undefined
    }
    const isEmpty = this.#headText.startsWith('HTTP/1.1 204')
    const length =
      /^content-length: (\d+)\r$/im.exec(this.#headText)?.[1] ?? (isEmpty ? 0 : undefined)
    this.#body = new BodyReader(length === undefined ? undefined : Number(length), (data) => {
      this.bytes += data.length
      this.#asker.onBody?.(data)
    })
    const rest = this.#head.subarray(end + 4)
    this.#head = Buffer.alloc(0)
    return rest
  }
}
