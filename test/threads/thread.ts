/** A thread that serves handlers for `host.ts`. */
import { existsSync, writeFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { Hono } from 'hono'
import { websocket } from 'hono/bun'
import type { ShareNames } from '../../src/core/shared-names.ts'
import { consumeWithin } from '../../src/http/kafka-consume.ts'
import { setKafkaSide } from '../../src/http/route/load-kafka.ts'
import type { KafkaConsumeOptions } from '../../src/index.ts'
import { type MessageChannelEnd, Messenger } from '../../src/threads/messenger.ts'
import { RemoteKafka } from '../../src/threads/remote-kafka.ts'
import { SharedGauges } from '../../src/threads/shared-gauges.ts'
import { remoteNames } from '../../src/threads/shared-names.ts'
import { MountedHandlers } from '../runtimes/mounted-handlers.ts'

const BLOCK_LIMIT_MS = 10_000

const { port, threads, index, gauges } = workerData as {
  readonly port: number
  readonly threads: number
  readonly index: number
  readonly gauges: SharedArrayBuffer
}
const messenger = new Messenger(parentPort as unknown as MessageChannelEnd)
const sharedGauges = new SharedGauges(messenger, gauges, threads, index)
const kafka = new RemoteKafka(messenger, (name) => sharedGauges.make(name))
setKafkaSide(kafka)
const shareNames = remoteNames(messenger)

const handlers = new MountedHandlers<ReturnType<typeof consumeWithin>>()

messenger.handle({
  mount: async ({ id, options }: { id: number; options: KafkaConsumeOptions }) => {
    const gauge = (name: string) => sharedGauges.make(`${name} of ${id}`)
    const groups: ShareNames = (name, limit, users) => shareNames(`${name} of ${id}`, limit, users)
    const handler = consumeWithin({ gauge, groups }, options)
    await sharedGauges.ready()
    handlers.mount(id, handler)
  },
  stats: async (id: number) => {
    await kafka.refreshStatistics()
    return handlers.get(id).stats()
  },
  end: (id: number) => handlers.get(id).close(),
  block: (file: string) => {
    writeFileSync(file, '')
    const until = performance.now() + BLOCK_LIMIT_MS
    while (existsSync(file) && performance.now() < until) {
      // Nothing else happens.
    }
  },
})

Bun.serve({
  port,
  hostname: '127.0.0.1',
  reusePort: true,
  idleTimeout: 60,
  fetch: new Hono()
    .all('/:id/messages', handlers.answer)
    .all('/:id/messages/offsets', handlers.answer).fetch,
  websocket,
})
messenger.notify('begun')
