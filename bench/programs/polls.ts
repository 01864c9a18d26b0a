/** The client of all servers that are polled: one request at a time on each connection, until enough records came. */
import { DataCounter } from './data-counter.ts'
import { KeepAlive } from './keep-alive.ts'
import { serveCommands } from './serve.ts'

export type Polls = typeof commands

export interface Polling {
  readonly port: number
  /** The path of each connection. */
  readonly paths: readonly string[]
  readonly accept?: string | undefined
  /** Records of all connections together, after which they are closed. */
  readonly records: number
  /** Whether the next path is the answer's `Link`. Default: the path stays. */
  readonly follow?: boolean
  /** How an answer tells its records: by the values in it, or by a number. Default: values. */
  readonly counted?: 'values' | 'number'
}

const commands = {
  /**
   * Polls until all records came. Seconds and records count from the end of the first answer that had
   * records: joining a group is measured elsewhere. `first` is when that answer came, in seconds from
   * the start.
   */
  async poll(polling: Polling) {
    const begun = performance.now()
    let first: { readonly at: number; readonly records: number } | undefined
    let count = 0
    let last = begun
    const add = (records: number) => {
      if (records === 0) return
      count += records
      last = performance.now()
      if (count >= polling.records) for (const connection of connections) connection.close()
    }
    const connections = polling.paths.map((path) =>
      connect(polling, path, add, () => {
        if (count > 0) first ??= { at: performance.now(), records: count }
      }),
    )
    await Promise.all(connections.map(({ done }) => done))
    const { at, records } = first ?? { at: last, records: count }
    return {
      records: count - records,
      seconds: (last - at) / 1_000,
      first: (at - begun) / 1_000,
      bytes: connections.reduce((sum, connection) => sum + connection.bytes, 0),
    }
  },
}

serveCommands(commands)

function connect(
  { port, accept, follow, counted }: Polling,
  path: string,
  add: (records: number) => void,
  onAnswer: () => void,
): KeepAlive {
  const values = new DataCounter()
  let seen = 0
  let text = ''
  let next = path
  return new KeepAlive(port, path, {
    accept,
    onBody(bytes) {
      if (counted === 'number') {
        text += bytes.toString('latin1')
        return
      }
      values.push(bytes)
      add(values.count - seen)
      seen = values.count
    },
    onAnswer(_, head) {
      if (counted === 'number') add(Number(text))
      text = ''
      onAnswer()
      if (follow) next = nextPath(head)
      return next
    },
  })
}

function nextPath(head: string): string {
  const path = /^link: <([^>]*)>; rel="next"/im.exec(head)?.[1]
  if (path === undefined)
    throw new Error('Cannot read the next page: the answer does not say where it is')
  return path
}
