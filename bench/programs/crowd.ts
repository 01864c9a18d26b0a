/** Many event stream clients that cost little: raw sockets that look for the newest send time. */
import { Delays } from './delays.ts'
import { keyOf } from './pacer-key.ts'
import { serveCommands } from './serve.ts'

export type Crowd = typeof commands

/** A parameter, an expression with an equality, or an expression that must see each record. */
export type FilterForm = 'key' | 'equality' | 'condition'

/** Connections that are opened at the same time. */
const OPENING = 200

let sockets: Bun.Socket[] = []
/** The delays of all clients together. */
const delays = new Delays()
let closed = 0

const commands = {
  /**
   * Opens more streams; resolves when all of them have received their answer's head.
   *
   * @param keys The number of different keys, if each stream filters by one key.
   * @param by How each stream filters by its key. Default: by the parameter `key`.
   */
  async open(opening: {
    port: number
    path: string
    count: number
    keys?: number
    by?: FilterForm
  }) {
    const { port, path, count, keys, by = 'key' } = opening
    let left = count
    const one = async () => {
      while (left > 0) {
        const number = left--
        const query = keys ? `?${queryOf(keyOf(number, keys), by)}` : ''
        await connect(port, path + query, number)
      }
    }
    await Promise.all(Array.from({ length: OPENING }, one))
    return { open: sockets.length - closed }
  },

  /** The delays since the last call. */
  take: () => ({ ...delays.take(), closed }),

  close() {
    for (const socket of sockets) socket.terminate()
    sockets = []
    closed = 0
  },
}

serveCommands(commands)

function queryOf(key: string, by: FilterForm): string {
  if (by === 'key') return `key=${key}`
  const expression =
    by === 'equality'
      ? `key == "${key}" && timestamp > 0`
      : `key.endsWith("${key.slice(key.indexOf('-'))}") && timestamp > 0`
  return `filter=${encodeURIComponent(expression)}`
}

/** @param number Spreads connections over loopback addresses, since each has only 28,000 ports. */
function connect(port: number, path: string, number: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let isOpen = false
    Bun.connect({
      hostname: `127.0.0.${1 + (number % 8)}`,
      port,
      socket: {
        open: (socket) => {
          sockets.push(socket)
          socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n`)
        },
        data: (_, bytes) => {
          if (isOpen) look(bytes)
          else if (bytes.subarray(0, 12).toString('latin1') !== 'HTTP/1.1 200') {
            reject(new Error(`Cannot open a stream: ${bytes.toString('latin1').slice(0, 300)}`))
          }
          isOpen = true
          resolve()
        },
        close: () => {
          closed++
        },
        error: (_, error) => reject(error),
      },
    }).catch(reject)
  })
}

const MARK = Buffer.from('"value":"')

/** Every value begins with the time at which it was sent, 16 characters in milliseconds. */
function look(bytes: Buffer): void {
  for (let at = bytes.indexOf(MARK); at >= 0; at = bytes.indexOf(MARK, at + 16)) {
    delays.push(Number(bytes.toString('latin1', at + MARK.length, at + MARK.length + 16)))
  }
}
