/**
 * Serves handlers for the tests on the runtime that runs this file. Tests control it over HTTP: `POST
 * /routes` mounts a handler at `/N/messages`, `GET /routes/N` answers its statistics, `DELETE /routes/N`
 * closes it, and `POST /block` blocks the process while a file exists. `/throwing` has handlers that let
 * errors through. The process ends when its input is closed, as when its parent ends.
 */
import { existsSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { Hono } from 'hono'
import type { KafkaConsumeOptions, kafkaConsume, kafkaReader } from '../../src/index.ts'
import { MountedHandlers } from './mounted-handlers.ts'
import { unreachableApp } from './throwing.ts'

const BLOCK_LIMIT_MS = 10_000

/** The exports that the tests serve: of the sources, or of the package. */
interface Exports {
  readonly kafkaConsume: typeof kafkaConsume
  readonly kafkaReader: typeof kafkaReader
}

export function hostApp({ kafkaConsume: consume, kafkaReader: reader }: Exports): Hono {
  process.stdin.on('end', () => process.exit()).resume()
  const handlers = new MountedHandlers<ReturnType<typeof kafkaConsume>>()
  let count = 0
  return new Hono()
    .post('/routes', async (c) => {
      const options = await c.req.json<KafkaConsumeOptions>()
      const id = count++
      handlers.mount(id, consume(options))
      return c.json({ id })
    })
    .get('/routes/:id', (c) => c.json(handlers.get(Number(c.req.param('id'))).stats()))
    .delete('/routes/:id', async (c) => {
      await handlers.get(Number(c.req.param('id'))).close()
      return c.body(null, 204)
    })
    .post('/block', async (c) => {
      const { file } = await c.req.json<{ file: string }>()
      writeFileSync(file, '')
      const until = performance.now() + BLOCK_LIMIT_MS
      while (existsSync(file) && performance.now() < until) {
        // Nothing else happens.
      }
      return c.body(null, 204)
    })
    .route('/throwing', unreachableApp(reader))
    .all('/:id/messages', handlers.answer)
    .all('/:id/messages/offsets', handlers.answer)
}
