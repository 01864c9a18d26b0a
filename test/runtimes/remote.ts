import type { RouteStats } from '../../src/index.ts'
import type { Host, Mounted } from '../support/route.ts'
import { within } from '../support/wait.ts'

/** A process of another runtime that serves handlers; see `host.ts`. */
export interface RemoteHost extends Host {
  close(): Promise<void>
}

/** @throws Error when the process does not say where it listens. */
export async function startHost(argv: string[]): Promise<RemoteHost> {
  const child = Bun.spawn(argv, { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' })
  const reader = child.stdout.getReader()
  const { value } = await within(reader.read(), `${argv[0]} to say where it listens`, 60_000)
  const url = new TextDecoder().decode(value).trim()
  if (!url.startsWith('http://')) throw new Error(`Cannot start ${argv.join(' ')}: ${url}`)
  const ask = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
    const response = await fetch(`${url}${path}`, init)
    if (response.ok) return response
    throw new Error(`${method} ${path} of the other runtime: ${await response.text()}`)
  }
  return {
    async mount(options, wanted): Promise<Mounted> {
      const answer = await ask('POST', '/routes', { options, port: wanted })
      const { id, port } = (await answer.json()) as { id: number; port: number }
      return {
        url: `http://127.0.0.1:${port}`,
        port,
        stats: async () => (await ask('GET', `/routes/${id}/stats`)).json() as Promise<RouteStats>,
        end: async () => void (await ask('DELETE', `/routes/${id}/handler`)),
        close: async () => void (await ask('DELETE', `/routes/${id}/server`)),
      }
    },
    async close() {
      await child.stdin.end()
      await within(child.exited, `${argv[0]} to exit`)
    },
  }
}
