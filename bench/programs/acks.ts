/** A WebSocket client that acknowledges each record, on a raw socket. */
import { serveCommands } from './serve.ts'

export type Acks = typeof commands

const TEXT = 0x81
const MASKED = 0x80
/** Acknowledged records of one message; the server takes at most 10,000. */
const MAX_ACKS = 5_000

const commands = {
  /** Receives and acknowledges records. Seconds and records count from the first block of bytes on. */
  async receive({ port, path, records }: { port: number; path: string; records: number }) {
    const client = new AckClient(port, path, records)
    await client.done
    const { first, count, lastAt } = client
    return { records: count - first.records, seconds: (lastAt - first.at) / 1_000 }
  },
}

serveCommands(commands)

class AckClient {
  readonly done: Promise<void>
  count = 0
  first = { at: 0, records: 0 }
  lastAt = 0
  readonly #wanted: number
  #rest: Buffer = Buffer.alloc(0)
  #isOpen = false
  readonly #ending = Promise.withResolvers<void>()
  /** Bytes that the kernel has not taken yet. */
  #unsent: Buffer = Buffer.alloc(0)

  constructor(port: number, path: string, records: number) {
    this.done = this.#ending.promise
    this.#wanted = records
    const fail = (error: Error) => this.#ending.reject(error)
    Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        open: (socket) => {
          socket.write(
            `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
          )
        },
        data: (socket, bytes) => this.#read(socket, bytes),
        drain: (socket) => this.#flush(socket),
        close: () => fail(new Error('Cannot receive: the server closed the connection')),
        error: (_, error) => fail(error),
      },
    }).catch(fail)
  }

  #read(socket: Bun.Socket, bytes: Buffer): void {
    const all = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes
    const frames = this.#isOpen ? all : this.#open(all)
    if (!frames) {
      this.#rest = Buffer.from(all)
      return
    }
    const acks: string[] = []
    this.#rest = Buffer.from(framesOf(frames, (text) => acks.push(positionIn(text))))
    if (acks.length > 0) this.#acknowledge(socket, acks)
  }

  /** @returns The bytes after the head of the server's answer; undefined while it is not complete. */
  #open(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    this.#isOpen = bytes.toString('latin1', 0, 12) === 'HTTP/1.1 101'
    if (this.#isOpen) return bytes.subarray(end + 4)
    this.#ending.reject(new Error(`Cannot receive: ${bytes.toString('latin1', 0, 300)}`))
    return undefined
  }

  #acknowledge(socket: Bun.Socket, acks: readonly string[]): void {
    for (let at = 0; at < acks.length; at += MAX_ACKS) {
      const message = `{"ack":[${acks.slice(at, at + MAX_ACKS).join(',')}]}`
      this.#unsent = Buffer.concat([this.#unsent, clientFrame(message)])
    }
    this.#flush(socket)
    this.count += acks.length
    this.lastAt = performance.now()
    if (this.first.at === 0) this.first = { at: this.lastAt, records: this.count }
    if (this.count < this.#wanted) return
    this.#ending.resolve()
    // The server has the last acks before the connection ends.
    socket.end()
  }

  #flush(socket: Bun.Socket): void {
    if (this.#unsent.length === 0) return
    this.#unsent = this.#unsent.subarray(Math.max(0, socket.write(this.#unsent)))
  }
}

/**
 * Reads the frames of a server: unmasked texts (RFC 6455, section 5.2). Pings are left out.
 *
 * @returns The bytes of a frame that is not complete.
 */
function framesOf(bytes: Buffer, onText: (text: string) => void): Buffer {
  let at = 0
  for (let payload = payloadAt(bytes, at); payload; payload = payloadAt(bytes, at)) {
    if (bytes[at] === TEXT) onText(bytes.toString('latin1', payload.begin, payload.end))
    at = payload.end
  }
  return bytes.subarray(at)
}

/** Where the payload of a frame lies; undefined while the frame is not complete. */
function payloadAt(bytes: Buffer, at: number): { begin: number; end: number } | undefined {
  if (bytes.length - at < 2) return undefined
  const short = (bytes[at + 1] as number) & 0x7f
  const lengthBytes = short < 126 ? 0 : short === 126 ? 2 : 6
  // A length of eight bytes begins with two zeros here.
  const begin = at + 2 + (lengthBytes === 6 ? 8 : lengthBytes)
  if (bytes.length < begin) return undefined
  const length = lengthBytes === 0 ? short : bytes.readUIntBE(begin - lengthBytes, lengthBytes)
  const end = begin + length
  return end > bytes.length ? undefined : { begin, end }
}

/** The position in a record's frame, which begins with it. */
function positionIn(frame: string): string {
  const [position] = /^\{"topic":"[^"]*","partition":\d+,"offset":\d+/.exec(frame) ?? []
  if (position === undefined) throw new Error(`Cannot acknowledge ${frame.slice(0, 200)}`)
  return `${position}}`
}

/** A text of a client: masked, with a mask of zeros, which changes nothing. */
function clientFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  const head = Buffer.alloc(14)
  head[0] = TEXT
  head[1] = MASKED | 127
  head.writeBigUInt64BE(BigInt(payload.length), 2)
  if (payload.length > 65_535) return Buffer.concat([head, payload])
  if (payload.length > 125) {
    const shorter = Buffer.from([
      TEXT,
      MASKED | 126,
      payload.length >> 8,
      payload.length & 255,
      0,
      0,
      0,
      0,
    ])
    return Buffer.concat([shorter, payload])
  }
  return Buffer.concat([Buffer.from([TEXT, MASKED | payload.length, 0, 0, 0, 0]), payload])
}
