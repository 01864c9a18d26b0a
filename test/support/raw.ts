import { connect, type Socket } from 'node:net'
import { sleep, until, within } from './wait.ts'

/**
 * A client that says when it reads: HTTP/1.1 by hand on a socket, since `fetch` reads ahead.
 * It begins paused.
 */
export class RawClient implements AsyncDisposable {
  /** Whether the server has closed the connection. */
  closed = false
  readonly #socket: Socket
  readonly #chunks: Buffer[] = []
  #received = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#received += chunk.length
    })
    socket.on('close', () => {
      this.closed = true
    })
    socket.on('error', () => {
      this.closed = true
    })
    socket.pause()
  }

  /** Connects and sends a GET, without reading the answer. */
  static async open(url: string, headers: Record<string, string> = {}): Promise<RawClient> {
    const { hostname, port, pathname, search } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port) })
    await within(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve)
        socket.once('error', reject)
      }),
      `a connection to ${url}`,
    )
    const client = new RawClient(socket)
    const lines = Object.entries({ host: `${hostname}:${port}`, ...headers }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    )
    socket.write(`GET ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n`)
    return client
  }

  /** Bytes received so far. */
  get received(): number {
    return this.#received
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Reads until some bytes have come, then pauses. */
  async readBytes(count: number): Promise<void> {
    this.resume()
    await until(() => this.#received >= count, `${count} bytes on a socket`)
    this.pause()
  }

  /** Reads some bytes at a time, with a rest after each, until the body has ended. */
  async readSlowly(bytes: number, rest: number): Promise<void> {
    let wanted = this.#received
    await until(
      async () => {
        wanted += bytes
        this.resume()
        await until(
          () => this.#received >= wanted || this.#hasEnded() || this.closed,
          () => `${wanted} bytes on a socket that brought ${this.#received}`,
        )
        this.pause()
        if (this.#hasEnded() || this.closed) return true
        await sleep(rest)
        return false
      },
      'the end of a body that is read slowly',
      30_000,
    )
    if (!this.#hasEnded()) throw new Error(`Cut off after ${this.#received} bytes`)
  }

  #hasEnded(): boolean {
    return this.#chunks.at(-1)?.subarray(-5).toString() === '0\r\n\r\n'
  }

  /** The body received so far, with the chunks' framing taken off; an incomplete chunk counts. */
  body(): Buffer {
    const all = Buffer.concat(this.#chunks)
    const head = all.indexOf('\r\n\r\n')
    if (head < 0) return Buffer.alloc(0)
    const rest = all.subarray(head + 4)
    if (!/transfer-encoding: *chunked/i.test(all.subarray(0, head).toString())) return rest
    const parts: Buffer[] = []
    for (let at = 0; at < rest.length; ) {
      const lineEnd = rest.indexOf('\r\n', at)
      if (lineEnd < 0) break
      const size = Number.parseInt(rest.subarray(at, lineEnd).toString(), 16)
      if (!(size > 0)) break
      parts.push(rest.subarray(lineEnd + 2, lineEnd + 2 + size))
      at = lineEnd + 2 + size + 2
    }
    return Buffer.concat(parts)
  }

  /** Leaves by a reset, as a client that crashes does. */
  reset(): void {
    this.#socket.resetAndDestroy()
    this.closed = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.closed) return
    this.#socket.destroy()
    await until(() => this.closed, 'a socket to close')
  }
}
