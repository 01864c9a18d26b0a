/** Clients that send a request as soon as the last one is answered: raw sockets with one request at a time. */
import { KeepAlive } from './keep-alive.ts'
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
    const all: number[] = []
    const onAnswer = (milliseconds: number) => {
      all.push(milliseconds)
      return performance.now() < until ? path : undefined
    }
    const clients = Array.from(
      { length: connections },
      () => new KeepAlive(port, path, { onAnswer }),
    )
    await Promise.all(clients.map(({ done }) => done))
    const elapsed = (performance.now() - begun) / 1_000
    const times = Float64Array.from(all).sort()
    const at = (share: number) => times[Math.floor((times.length - 1) * share)] ?? 0
    const bytes = clients.reduce((sum, client) => sum + client.bytes, 0)
    return { requests: times.length, seconds: elapsed, bytes, p50: at(0.5), p99: at(0.99) }
  },
}

serveCommands(commands)
