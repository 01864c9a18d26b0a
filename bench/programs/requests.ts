/** Clients that ask again as soon as they are answered: raw sockets, a request at a time on each. */
import { serveCommands } from './serve.ts'

export type Requests = typeof commands

interface Asking {
  readonly port: number
  readonly path: string
  readonly connections: number
  readonly seconds: number
}

const commands = {
  /** Asks for so long; milliseconds of all answers together. */
  async ask({ port, path, connections, seconds }: Asking) {
    const begun = performance.now()
    const until = begun + seconds * 1_000
    const all = await Promise.all(
      Array.from({ length: connections }, () => new Connection(port, path, until).done),
    )
    const elapsed = (performance.now() - begun) / 1_000
    const times = Float64Array.from(all.flat()).sort()
    const at = (share: number) => times[Math.floor((times.length - 1) * share)] ?? 0
    return { requests: times.length, seconds: elapsed, p50: at(0.5), p99: at(0.99) }
  },
}

serveCommands(commands)

/** One client of HTTP/1.1 that knows answers with a `Content-Length` only. */
class Connection {
  readonly done: Promise<number[]>
  readonly #times: number[] = []
  readonly #request: string
  readonly #until: number
  #asked = 0
  /** Bytes of the answer that are still to come, or -1 within its head. */
  #left = -1
  #head = ''
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
    let body = bytes.length
    if (this.#left < 0) {
      this.#head += bytes.toString('latin1')
      const end = this.#head.indexOf('\r\n\r\n')
      if (end < 0) return
      const length = /^content-length: (\d+)\r$/im.exec(this.#head.slice(0, end + 2))
      if (!this.#head.startsWith('HTTP/1.1 200 ') || !length) {
        this.#ending.reject(new Error(`Cannot ask: ${this.#head.slice(0, 300)}`))
        socket.terminate()
        return
      }
      this.#left = Number(length[1])
      body = this.#head.length - end - 4
      this.#head = ''
    }
    this.#left -= body
    if (this.#left > 0) return
    this.#left = -1
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
