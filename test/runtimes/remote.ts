import type { KafkaConsumeOptions, RouteStats } from '../../src/index.ts'
import type { Host, Mounted } from '../support/route.ts'
import { until, within } from '../support/wait.ts'

/** A process of another runtime that serves handlers; see `host.ts`. */
interface Process {
  readonly url: string
  mount(options: KafkaConsumeOptions): Promise<Mounted>
  close(): Promise<void>
}

/** Processes of another runtime: one for all handlers, and one for each that wants a port. */
export interface RemoteHost extends Host {
  /** Where the process for all handlers listens. */
  readonly url: string
  close(): Promise<void>
}

/**
 * @param argvOf The command that serves `host.ts` on a port.
 * @throws Error when the process does not say where it listens.
 */
export async function startHost(argvOf: (port: number) => string[]): Promise<RemoteHost> {
  const shared = await startProcess(argvOf(0))
  return {
    url: shared.url,
    async mount(options, port) {
      if (port === 0) return shared.mount(options)
      const own = await startProcess(argvOf(port))
      return { ...(await own.mount(options)), close: own.close }
    },
    close: shared.close,
  }
}

async function startProcess(argv: string[]): Promise<Process> {
  const pipes = { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' } as const
  const child = Bun.spawn(argv, { env: { ...process.env, NO_COLOR: '1' }, ...pipes })
  let said = ''
  for (const output of [child.stdout, child.stderr]) {
    void (async () => {
      for await (const chunk of output) said += new TextDecoder().decode(chunk)
    })()
  }
  const port = () => /http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1]
  await until(
    () => port() !== undefined,
    () => `${argv.join(' ')} to say where it listens; it says: ${said}`,
    60_000,
  )
  const url = `http://127.0.0.1:${port()}`
  const ask = async (method: string, path: string, body?: unknown): Promise<Response> => {
    // A connection of its own: Node closes those that were idle for five seconds, and a request that
    // is under way on one just then is not repeated.
    const response = await fetch(`${url}${path}`, {
      method,
      keepalive: false,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    if (response.ok) return response
    throw new Error(`${method} ${path} of ${argv[0]}: ${await response.text()}\n${said}`)
  }
  return {
    url,
    async mount(options): Promise<Mounted> {
      const answer = await (await ask('POST', '/routes', options)).json()
      const { id, url: own } = answer as { readonly id: number; readonly url?: string }
      return {
        url: own ?? `${url}/${id}`,
        stats: async () => (await ask('GET', `/routes/${id}`)).json() as Promise<RouteStats>,
        block: async (file) => void (await ask('POST', '/block', { file })),
        end: async () => void (await ask('DELETE', `/routes/${id}`)),
        close: async () => {},
      }
    },
    async close() {
      await child.stdin.end()
      await within(child.exited, `${argv[0]} to exit`)
    },
  }
}
