/** Clients that cost almost nothing: raw sockets that count the bytes or events they receive. */
import { ChunkMeter } from './chunk-meter.ts'
import { DataCounter } from './data-counter.ts'
import { EventCounter } from './event-counter.ts'
import { serveCommands } from './serve.ts'

export type Subscribers = typeof commands

const HEAD_END = '\r\n\r\n'

interface Opening {
  readonly port: number
  readonly path: string
  readonly count: number
  /** Default: text/event-stream. */
  readonly accept?: 'application/x-ndjson'
}

/** The goal of a client: a number of events, or a number of bytes. */
interface Goal {
  readonly events?: number
  readonly bytes?: number
}

let streams: Stream[] = []
let openedAt = 0

const commands = {
  /** Opens streams; resolves with their common start when all have received their response's head. */
  async open({ port, path, count, accept }: Opening) {
    openedAt = performance.now()
    streams = Array.from({ length: count }, () => new Stream(port, path, accept))
    await Promise.all(streams.map((stream) => stream.opened))
    return { cursor: streams[0]?.cursor ?? '' }
  },

  /** Resolves when every stream has reached its goal. Seconds count from `open`, or from the first body bytes of any stream. */
  async receive(goal: Goal) {
    await Promise.all(streams.map((stream) => stream.reach(goal)))
    const end = Math.max(...streams.map((stream) => stream.lastAt))
    const first = Math.min(...streams.map((stream) => stream.firstAt))
    const sum = (of: (stream: Stream) => number) =>
      streams.reduce((total, stream) => total + of(stream), 0)
    return {
      seconds: (end - openedAt) / 1000,
      secondsFromFirst: (end - first) / 1000,
      events: sum((stream) => stream.events),
      eventsFromFirst: sum((stream) => stream.events - stream.firstEvents),
      bytes: sum((stream) => stream.bytes),
      /** Mean bytes of the first stream's large chunks; small chunks are remainders. */
      block: meanOf(streams[0]?.meter.sizes ?? []),
    }
  },

  close() {
    for (const stream of streams) stream.close()
    streams = []
  },
}

serveCommands(commands)

function meanOf(sizes: readonly number[]): number {
  return Math.round(sizes.reduce((sum, size) => sum + size, 0) / Math.max(1, sizes.length))
}

class Stream {
  readonly opened: Promise<void>
  readonly meter = new ChunkMeter()
  cursor = ''
  bytes = 0
  firstAt = 0
  firstEvents = 0
  lastAt = 0
  #head = ''
  #isOpen = false
  #counter: EventCounter | DataCounter | undefined
  #goal: Goal | undefined
  #socket: Bun.Socket | undefined
  readonly #opening = Promise.withResolvers<void>()
  readonly #reached = Promise.withResolvers<void>()

  constructor(port: number, path: string, accept?: Opening['accept']) {
    // NDJSON has no ids.
    if (accept) this.#counter = new DataCounter()
    this.opened = this.#opening.promise
    this.#reached.promise.catch(() => {})
    const fail = (error: Error) => {
      this.#opening.reject(error)
      this.#reached.reject(error)
    }
    Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        open: (socket) => {
          this.#socket = socket
          const accepted = accept ?? 'text/event-stream'
          socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\nAccept: ${accepted}\r\n\r\n`)
        },
        data: (_, bytes) => (this.#isOpen ? this.#body(bytes) : this.#begin(bytes)),
        close: () => fail(new Error('Cannot receive: the server closed the connection')),
        error: (_, error) => fail(error),
      },
    }).catch(fail)
  }

  get events(): number {
    return this.#counter?.count ?? 0
  }

  reach(goal: Goal): Promise<void> {
    this.#goal = goal
    this.#check()
    return this.#reached.promise
  }

  close(): void {
    this.#socket?.terminate()
  }

  #begin(bytes: Buffer): void {
    this.#head += bytes.toString('latin1')
    const end = this.#head.indexOf(HEAD_END)
    if (end < 0) return
    const head = this.#head.slice(0, end)
    if (!head.startsWith('HTTP/1.1 200 ')) {
      this.#opening.reject(new Error(`Cannot open a stream: ${this.#head.slice(0, 500)}`))
      return
    }
    this.cursor = /^kafka-cursor: (.*)$/im.exec(head)?.[1] ?? ''
    if (this.cursor) this.#counter ??= new EventCounter(this.cursor)
    this.#isOpen = true
    this.#opening.resolve()
    const rest = Buffer.from(this.#head.slice(end + HEAD_END.length), 'latin1')
    this.#head = ''
    if (rest.length > 0) this.#body(rest)
  }

  #body(bytes: Buffer): void {
    this.bytes += bytes.length
    this.meter.push(bytes)
    this.#counter?.push(bytes)
    // An event stream begins with a `retry:` line, possibly long before its first event.
    if (this.firstAt === 0 && (this.#counter === undefined || this.#counter.count > 0)) {
      this.firstAt = performance.now()
      this.firstEvents = this.events
    }
    this.#check()
  }

  #check(): void {
    const { events, bytes } = this.#goal ?? {}
    const isThere =
      (events !== undefined && this.events >= events) ||
      (bytes !== undefined && this.bytes >= bytes)
    if (!isThere || this.lastAt > 0) return
    this.lastAt = performance.now()
    this.#reached.resolve()
  }
}
