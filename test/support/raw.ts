import { connect, type Socket } from 'node:net'
import { until, within } from './wait.ts'

/**
 * Sends a request as it stands, on a connection of its own.
 *
 * @param text The request; its lines may end with `\n` alone.
 * @returns The head of the answer and what has come of its body by then.
 */
export async function sendRaw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  let answer = ''
  let ended = false
  socket.setEncoding('latin1')
  socket.on('data', (chunk) => {
    answer += chunk
  })
  socket.on('close', () => {
    ended = true
  })
  socket.on('error', () => {
    ended = true
  })
  socket.write(text.replace(/\r?\n/g, '\r\n'))
  try {
    await until(
      () => answer.includes('\r\n\r\n') || ended,
      () => `an answer to ${JSON.stringify(text)}; it is ${JSON.stringify(answer)}`,
    )
    return answer
  } finally {
    socket.destroy()
  }
}

/**
 * A client that says when it reads: HTTP/1.1 by hand on a socket, since `fetch` reads ahead.
 * It begins paused, and holds back as long as it stays so; once resumed, Bun's socket may take some
 * megabytes more than were asked for before it pauses again.
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

  /** Whether the answer has ended: with its connection, or by the last chunk of its body. */
  get ended(): boolean {
    return this.closed || (this.#chunks.at(-1)?.toString('latin1').endsWith('0\r\n\r\n') ?? false)
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

  /** Reads at this rate, until it is disposed of: a client that is slow, and not silent. */
  readSlowly(bytesPerSecond: number): Disposable {
    let wanted = this.#received
    const pauseWhenEnough = () => {
      if (this.#received >= wanted) this.pause()
    }
    this.#socket.on('data', pauseWhenEnough)
    const step = setInterval(() => {
      wanted += bytesPerSecond / 10
      if (this.#received < wanted) this.resume()
    }, 100)
    return {
      [Symbol.dispose]: () => {
        clearInterval(step)
        this.#socket.off('data', pauseWhenEnough)
        this.pause()
      },
    }
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
