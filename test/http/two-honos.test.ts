import { expect, test } from 'bun:test'
import { createRequire } from 'node:module'
import { kafkaConsume } from '../../src/index.ts'

test('an app that brings another copy of Hono than ours is served like any other', async () => {
  // Hono's CommonJS build is another copy: nothing that one of them keeps private reaches the other.
  const { Hono } = createRequire(import.meta.url)('hono') as typeof import('hono')
  const handler = kafkaConsume({ bootstrapServers: '127.0.0.1:1', topics: ['orders'] })
  const response = await new Hono().all('/orders', handler).request('/orders?max_records=0')
  expect(response.status).toBe(400)
  await handler.close()
})
