/**
 * A process that serves handlers for the tests, on whichever runtime it was started. It is told what
 * to do over HTTP: `POST /routes` mounts one, `GET` and `DELETE /routes/N` ask of it and end it.
 */
import process from 'node:process'
import { Hono } from 'hono'
import { type KafkaConsumeOptions, kafkaConsume } from '../../src/index.ts'

/** A server that the runtime has started. */
export interface Listening {
  readonly port: number
  close(): Promise<void>
}

/** How a runtime serves an app on a port of 127.0.0.1; 0 is any. */
export type Listen = (app: Hono, port: number) => Promise<Listening>

/** Prints its address, and serves until the one who started it closes its input, or is gone. */
export async function host(listen: Listen): Promise<void> {
  process.stdin.on('end', () => process.exit()).resume()
  const routes: Array<{ handler: ReturnType<typeof kafkaConsume>; server: Listening }> = []
  const control = new Hono()
  control.post('/routes', async (c) => {
    const { options, port } = await c.req.json<{ options: KafkaConsumeOptions; port: number }>()
    const handler = kafkaConsume(options)
    const app = new Hono().all('/messages', handler).all('/messages/offsets', handler)
    const server = await listen(app, port)
    routes.push({ handler, server })
    return c.json({ id: routes.length - 1, port: server.port })
  })
  const routeOf = (id: string) => routes[Number(id)] as (typeof routes)[number]
  control.get('/routes/:id/stats', (c) => c.json(routeOf(c.req.param('id')).handler.stats()))
  control.delete('/routes/:id/handler', async (c) => {
    await routeOf(c.req.param('id')).handler.close()
    return c.body(null, 204)
  })
  control.delete('/routes/:id/server', async (c) => {
    await routeOf(c.req.param('id')).server.close()
    return c.body(null, 204)
  })
  const { port } = await listen(control, 0)
  console.log(`http://127.0.0.1:${port}`)
}
