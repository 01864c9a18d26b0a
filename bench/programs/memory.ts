/** The limit of a stream: a Hono handler that writes the same bytes from memory, over and over. */
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { serveCommands } from './serve.ts'

export type Memory = typeof commands

const commands = {
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
    const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch })
    return { port: server.port as number }
  },
}

serveCommands(commands)
