/** `deno run -A test/runtimes/deno.ts` */
import { host } from './host.ts'

interface DenoServer {
  readonly addr: { readonly port: number }
  shutdown(): Promise<void>
}

declare const Deno: {
  serve(
    options: { port: number; hostname: string; signal: AbortSignal; onListen(): void },
    handler: (request: Request, info: object) => Response | Promise<Response>,
  ): DenoServer
}

await host(async (app, port) => {
  const abort = new AbortController()
  const options = { port, hostname: '127.0.0.1', signal: abort.signal, onListen: () => {} }
  const server = Deno.serve(options, (request, info) => app.fetch(request, info))
  return { port: server.addr.port, close: async () => abort.abort() }
})
