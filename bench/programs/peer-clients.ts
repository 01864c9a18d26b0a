/** Clients of any measured server: raw sockets that count records. */
import { DataCounter } from './data-counter.ts'
import { EventCounter } from './event-counter.ts'
import { serveCommands } from './serve.ts'

export type PeerClients = typeof commands

interface Opening {
  readonly port: number
  readonly paths: readonly string[]
  readonly until: 'asked' | 'answered'
}

let clients: Client[] = []

const commands = {
  /** Sends a request for each path; resolves when all answers have begun, or when all requests are `asked`. */
  async open({ port, paths, until }: Opening) {
    clients = paths.map((path) => new Client(port, path))
    await Promise.all(clients.map((client) => client[until]))
  },

  /**
   * Resolves when every client has received a number of further records.
   *
   * @returns Seconds from the first of these records at any client to the last.
   */
  async receive({ records, limitMs }: { records: number; limitMs: number }) {
    const late = setTimeout(() => {
      const received = clients.map((client) => client.received).sort((a, b) => a - b)
      const whole = received.filter((one) => one >= records).length
      const error = new Error(
        `Cannot receive: after ${limitMs / 1000} s, ${whole} of ${clients.length} clients had their ${records} records, the least ${received[0]}, the most ${received.at(-1)}`,
      )
      for (const client of clients) client.fail(error)
    }, limitMs)
    try {
      const times = await Promise.all(clients.map((client) => client.reach(records)))
      const first = Math.min(...times.map((time) => time.first))
      const last = Math.max(...times.map((time) => time.last))
      return { seconds: (last - first) / 1000 }
    } finally {
      clearTimeout(late)
    }
  },

  close() {
    for (const client of clients) client.close()
    clients = []
  },
}

serveCommands(commands)

const HEAD_END = '\r\n\r\n'

/** When a client received the first and the last of the awaited records. */
interface Times {
  readonly first: number
  readonly last: number
}

class Client {
  readonly asked: Promise<void>
  readonly answered: Promise<void>
  #head = ''
  #counter: EventCounter | DataCounter | undefined
  /** Records of earlier goals. Records that came since count for the next goal, even if it was set later. */
  #before = 0
  #firstAt = 0
  #wanted = Number.POSITIVE_INFINITY
  #reached = Promise.withResolvers<Times>()
  readonly #answering = Promise.withResolvers<void>()
  #error: Error | undefined
  #socket: Bun.Socket | undefined

  constructor(port: number, path: string) {
    this.answered = this.#answering.promise
    this.answered.catch(() => {})
    this.asked = Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        open: (socket) => {
          this.#socket = socket
          socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n`)
        },
        data: (_, bytes) => (this.#counter ? this.#count(bytes) : this.#begin(bytes)),
        close: () => this.fail(new Error('Cannot receive: the server closed the connection')),
        error: (_, error) => this.fail(error),
      },
    }).then(() => {})
  }

  /** The number of records that count for the present goal. */
  get received(): number {
    return (this.#counter?.count ?? 0) - this.#before
  }

  reach(records: number): Promise<Times> {
    this.#wanted = records
    this.#reached = Promise.withResolvers()
    if (this.#error) this.#reached.reject(this.#error)
    else this.#check()
    return this.#reached.promise
  }

  fail(error: Error): void {
    this.#error ??= error
    this.#answering.reject(error)
    this.#reached.promise.catch(() => {}) // Nobody may be asking yet.
    this.#reached.reject(error)
  }

  close(): void {
    this.#socket?.terminate()
  }

  #begin(bytes: Buffer): void {
    this.#head += bytes.toString('latin1')
    const end = this.#head.indexOf(HEAD_END)
    if (end < 0) return
    if (!this.#head.startsWith('HTTP/1.1 200 ')) {
      this.fail(new Error(`Cannot open a stream: ${this.#head.slice(0, 500)}`))
      return
    }
    const cursor = /^kafka-cursor: (.*)$/im.exec(this.#head.slice(0, end))?.[1]
    this.#counter = cursor ? new EventCounter(cursor) : new DataCounter()
    this.#answering.resolve()
    this.#count(Buffer.from(this.#head.slice(end + HEAD_END.length), 'latin1'))
    this.#head = ''
  }

  #count(bytes: Buffer): void {
    this.#counter?.push(bytes)
    if (this.#firstAt === 0 && this.received > 0) this.#firstAt = performance.now()
    this.#check()
  }

  #check(): void {
    if (this.received < this.#wanted) return
    this.#reached.resolve({ first: this.#firstAt, last: performance.now() })
    this.#before += this.#wanted
    this.#wanted = Number.POSITIVE_INFINITY
    this.#firstAt = 0
  }
}
