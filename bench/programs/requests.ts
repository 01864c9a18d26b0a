/** Clients that send a request as soon as the last one is answered: raw sockets with one request at a time. */
import { serveCommands } from './serve.ts'

export type Requests = typeof commands

interface Asking {
  readonly port: number
  readonly path: string
  readonly connections: number
  readonly seconds: number
}

const commands = {
  /** Sends requests for some seconds. Percentiles are milliseconds, over the answers of all clients. */
  async ask({ port, path, connections, seconds }: Asking) {
    const begun = performance.now()
    const until = begun + seconds * 1_000
    const clients = Array.from({ length: connections }, () => new Connection(port, path, until))
    const all = await Promise.all(clients.map(({ done }) => done))
    const elapsed = (performance.now() - begun) / 1_000
    const times = Float64Array.from(all.flat()).sort()
    const at = (share: number) => times[Math.floor((times.length - 1) * share)] ?? 0
    const bytes = clients.reduce((sum, client) => sum + client.bytes, 0)
    return { requests: times.length, seconds: elapsed, bytes, p50: at(0.5), p99: at(0.99) }
  },
}

serveCommands(commands)

/** A client of HTTP/1.1 that sends one request at a time. */
class Connection {
  readonly done: Promise<number[]>
  /** Bytes of the bodies of all answers, chunk sizes included. */
  bytes = 0
  readonly #times: number[] = []
  readonly #request: string
  readonly #until: number
  #asked = 0
  #head: Buffer = Buffer.alloc(0)
  #isBody = false
  /** Bytes of the answer that have not arrived yet; NaN for a chunked answer. */
  #left = 0
  /** The last characters of a chunked answer. */
  #tail = ''
  readonly #ending = Promise.withResolvers<number[]>()

  constructor(port: number, path: string, until: number) {
    this.done = this.#ending.promise
    this.#request = `GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`
    this.#until = until
    const fail = (error: Error) => this.#ending.reject(error)
    Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        open: (socket) => this.#ask(socket),
        data: (socket, bytes) => this.#read(socket, bytes),
        close: () => fail(new Error('Cannot ask: the server closed the connection')),
        error: (_, error) => fail(error),
      },
    }).catch(fail)
  }

  #ask(socket: Bun.Socket): void {
    this.#asked = performance.now()
    socket.write(this.#request)
  }

  #read(socket: Bun.Socket, bytes: Buffer): void {
    let body = bytes
    if (!this.#isBody) {
      this.#head = Buffer.concat([this.#head, bytes])
      const end = this.#head.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = this.#head.toString('latin1', 0, end + 2)
      if (!head.startsWith('HTTP/1.1 200 ')) {
        this.#ending.reject(new Error(`Cannot ask: ${this.#head.toString('latin1', 0, 300)}`))
        socket.terminate()
        return
      }
      // An answer without a length is chunked: its last chunk ends it.
      this.#left = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? Number.NaN)
      this.#isBody = true
      body = this.#head.subarray(end + 4)
      this.#head = Buffer.alloc(0)
    }
    this.bytes += body.length
    this.#left -= body.length
    if (Number.isNaN(this.#left)) {
      this.#tail = (this.#tail + body.toString('latin1', Math.max(0, body.length - 5))).slice(-5)
      if (this.#tail !== '0\r\n\r\n') return
    } else if (this.#left > 0) return
    this.#isBody = false
    this.#tail = ''
    const now = performance.now()
    this.#times.push(now - this.#asked)
    if (now < this.#until) {
      this.#ask(socket)
    } else {
      this.#ending.resolve(this.#times)
      socket.terminate()
    }
  }
}
