/** A client that reads a topic page by page: each answer's `Link` is its next request. */
import { sumOf } from './event-counter.ts'
import { serveCommands } from './serve.ts'

export type Pages = typeof commands

const commands = {
  /** Reads a number of records of a topic whose offsets begin at 0. */
  async read({ port, path, records }: { port: number; path: string; records: number }) {
    const begun = performance.now()
    let url = new URL(path, `http://127.0.0.1:${port}`)
    let pages = 0
    for (let count = 0; count < records; pages++) {
      const response = await fetch(url, { headers: { 'accept-encoding': 'identity' } })
      const body = await response.bytes()
      if (!response.ok) throw new Error(`Cannot read a page: ${Buffer.from(body).toString()}`)
      count = sumOf(response.headers.get('kafka-cursor') ?? '')
      const next = /<([^>]*)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1]
      if (Number.isNaN(count) || next === undefined) {
        throw new Error('Cannot read the next page: the answer does not say where it is')
      }
      url = new URL(next, url)
    }
    return { pages, seconds: (performance.now() - begun) / 1000 }
  },
}

serveCommands(commands)
