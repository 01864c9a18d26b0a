/**
 * Serves handlers for the tests by several threads on one port. The main thread owns Kafka, and is
 * controlled over HTTP on a port of its own as `test/runtimes/host.ts` is.
 */
import { Worker } from 'node:worker_threads'
import { Hono } from 'hono'
import type { KafkaConsumeOptions, RouteStats } from '../../src/index.ts'
import { KafkaHost, SharedKafka } from '../../src/threads/kafka-host.ts'
import { type MessageChannelEnd, Messenger } from '../../src/threads/messenger.ts'
import { GaugePlaces, gaugeMemory } from '../../src/threads/shared-gauges.ts'
import { NameLists } from '../../src/threads/shared-names.ts'
import { freePort } from '../support/port.ts'

const THREADS = 2

const given = Number(process.argv[2] ?? 0)
const port = given === 0 ? await freePort() : given
const kafka = new SharedKafka()
const gauges = gaugeMemory(THREADS)
const places = new GaugePlaces(gauges, THREADS)
const names = new NameLists()
const threads = await Promise.all(Array.from({ length: THREADS }, startThread))
let routes = 0

const control = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  idleTimeout: 60,
  fetch: new Hono()
    .post('/routes', async (c) => {
      const options = await c.req.json<KafkaConsumeOptions>()
      const id = routes++
      await askAll('mount', { id, options })
      return c.json({ id, url: `http://127.0.0.1:${port}/${id}` })
    })
    .get('/routes/:id', async (c) => {
      return c.json(sumOf(await askAll<RouteStats>('stats', Number(c.req.param('id')))))
    })
    .delete('/routes/:id', async (c) => {
      await askAll('end', Number(c.req.param('id')))
      return c.body(null, 204)
    })
    .post('/block', async (c) => {
      await askAll('block', (await c.req.json<{ file: string }>()).file)
      return c.body(null, 204)
    }).fetch,
})
process.stdin.on('end', () => process.exit()).resume()
console.log(`http://127.0.0.1:${control.port}`)

async function startThread(_: unknown, index: number): Promise<Messenger> {
  const worker = new Worker(new URL('./thread.ts', import.meta.url), {
    workerData: { port, threads: THREADS, index, gauges },
  })
  worker.on('error', (error) => {
    console.error(error)
    process.exit(1)
  })
  const messenger = new Messenger(worker as unknown as MessageChannelEnd)
  new KafkaHost(messenger, kafka)
  places.serve(messenger, index)
  names.serve(messenger)
  await new Promise<void>((resolve) => messenger.handle({ begun: () => resolve() }))
  return messenger
}

function askAll<T>(name: string, payload?: unknown): Promise<T[]> {
  return Promise.all(threads.map((thread) => thread.request<T>(name, payload)))
}

/** The statistics of all threads: streams and reads are those of one thread, Kafka is that of all. */
function sumOf(all: readonly RouteStats[]): RouteStats {
  const [first] = all as readonly [RouteStats]
  const sum = (value: (stats: RouteStats) => number) =>
    all.reduce((total, stats) => total + value(stats), 0)
  const sentBy = (kind: keyof RouteStats['sent']) => ({
    records: sum(({ sent }) => sent[kind].records),
    bytes: sum(({ sent }) => sent[kind].bytes),
  })
  const oneFeed = all.find(({ feed }) => feed)?.feed
  const feed = oneFeed && {
    ...oneFeed,
    readers: sum(({ feed }) => feed?.readers ?? 0),
    catchUpReads: sum(({ feed }) => feed?.catchUpReads ?? 0),
    waiting: sum(({ feed }) => feed?.waiting ?? 0),
    fallenBehind: sum(({ feed }) => feed?.fallenBehind ?? 0),
    failed: sum(({ feed }) => feed?.failed ?? 0),
    deadLetters: sum(({ feed }) => feed?.deadLetters ?? 0),
    reducedDeadLetters: sum(({ feed }) => feed?.reducedDeadLetters ?? 0),
  }
  return {
    ...first,
    subscribers: sum(({ subscribers }) => subscribers),
    answerBytes: sum(({ answerBytes }) => answerBytes),
    catchUpReads: sum(({ catchUpReads }) => catchUpReads),
    fallenBehind: sum(({ fallenBehind }) => fallenBehind),
    silent: sum(({ silent }) => silent),
    gaps: sum(({ gaps }) => gaps),
    uncompressed: sum(({ uncompressed }) => uncompressed),
    sent: { stream: sentBy('stream'), group: sentBy('group'), read: sentBy('read') },
    groups: all.find(({ groups }) => groups.length > 0)?.groups ?? [],
    cluster: all.find(({ cluster }) => cluster)?.cluster,
    feed,
  }
}
