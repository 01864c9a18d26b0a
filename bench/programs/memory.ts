/** The upper bound for streams and answers: Hono handlers that send the gateway's bytes from memory. */
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { serveCommands } from './serve.ts'

export type Memory = typeof commands

let kept: { readonly body: Uint8Array<ArrayBuffer>; readonly headers: Record<string, string> }

/** Headers about the transfer, which do not apply to the copy: `fetch` has decoded the body. */
const OWN_HEADERS = ['date', 'content-length', 'transfer-encoding', 'content-encoding']

const commands = {
  /** Stores an answer, which `/kept` then returns. */
  async keep({ url }: { url: string }) {
    const response = await fetch(url)
    if (!response.ok) throw new Error(`Cannot keep an answer: ${await response.text()}`)
    const headers = Object.fromEntries(response.headers)
    for (const own of OWN_HEADERS) delete headers[own]
    kept = { body: await response.bytes(), headers }
  },

  serve() {
    const app = new Hono()
    app.get('/stream', (c) => {
      const bytes = Number(c.req.query('bytes'))
      const block = new Uint8Array(Number(c.req.query('block'))).fill(0x78)
      return streamSSE(c, async (stream) => {
        for (let left = bytes; left > 0 && !stream.aborted; left -= block.length) {
          await stream.write(left < block.length ? block.subarray(0, left) : block)
        }
      })
    })
    app.get('/kept', (c) => c.body(kept.body, 200, kept.headers))
    const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch })
    return { port: server.port as number }
  },
}

serveCommands(commands)
