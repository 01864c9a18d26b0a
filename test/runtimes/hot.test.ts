/** `bun --hot` evaluates an app again whenever one of its files is saved, in the same process. */
import { expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TestKafka } from '../support/kafka.ts'
import type { FlatBody } from '../support/route.ts'
import { SocketClient } from '../support/socket.ts'
import { SseClient } from '../support/sse.ts'
import { until, within } from '../support/wait.ts'

const PARTITIONS = 4

const app = (brokers: string, topic: string, version: number) => `
import { Hono } from 'hono'
import { websocket } from 'hono/bun'
import { kafkaConsume, kafkaProduce } from '${join(import.meta.dirname, '../../src/index.ts')}'

const cluster = { bootstrapServers: '${brokers}', topics: ['${topic}'] }
const app = new Hono()
app.get('/version', (c) => c.text('${version}'))
app.all('/orders', kafkaConsume({ ...cluster, autoOffsetReset: 'earliest' }))
app.all('/stream', kafkaConsume({ ...cluster, mode: 'server-sent-events' }))
app.all('/socket', kafkaConsume({ ...cluster, mode: 'websocket' }))
app.post('/new', kafkaProduce(cluster))
export default { fetch: app.fetch, websocket }
`

test('an app under bun --hot reads its group, its streams and its sockets on after each save', async () => {
  const kafka = await TestKafka.real()
  const topic = await kafka.createTopic()
  const parent = join(import.meta.dirname, '../../node_modules/.cache')
  mkdirSync(parent, { recursive: true })
  const folder = mkdtempSync(join(parent, 'hot-'))
  const path = join(folder, 'index.ts')
  // Renamed, since a busy `bun --hot` evaluates a file twice that is truncated and then written: the
  // second evaluation would end what clients have opened since the first.
  const save = (version: number) => {
    writeFileSync(`${path}.new`, app(kafka.bootstrapServers, topic, version))
    renameSync(`${path}.new`, path)
  }
  save(1)
  const child = Bun.spawn([process.execPath, '--hot', path], {
    env: { ...process.env, PORT: '0' },
    stdout: 'pipe',
    stderr: 'inherit',
  })
  let said = ''
  void (async () => {
    for await (const chunk of child.stdout) said += new TextDecoder().decode(chunk)
  })()
  try {
    await until(() => said.includes('http://'), 'the app to listen', 40_000)
    const url = `http://127.0.0.1:${/http:\/\/\S+?:(\d+)/.exec(said)?.[1]}`
    const version = async () => (await fetch(`${url}/version`)).text()
    const values = (records: readonly { value: unknown }[]) =>
      records.map(({ value }) => value).sort()
    /** One record to each partition, by the app itself. */
    const write = async (text: string) => {
      const records = Array.from({ length: PARTITIONS }, (_, partition) => ({
        topic,
        partition,
        value: `${text}-${partition}`,
      }))
      const headers = { 'content-type': 'application/json' }
      const body = JSON.stringify({ records })
      const response = await fetch(`${url}/new`, { method: 'POST', headers, body })
      expect(response.status).toBe(200)
      return records.map(({ value }) => value)
    }
    const readAll = async () => {
      const found: unknown[] = []
      await until(
        async () => {
          const response = await within(
            fetch(`${url}/orders?format=records&timeout=500`),
            'a group read',
            40_000,
          )
          expect(response.status).toBe(200)
          found.push(...values(((await response.json()) as FlatBody).records))
          return found.length >= PARTITIONS
        },
        () => `${PARTITIONS} records by group reads that brought ${found.length}`,
      )
      return found.sort()
    }

    let lastEventId: string | undefined
    for (const current of [1, 2, 3]) {
      if (current > 1) {
        save(current)
        await until(
          async () => (await version()) === String(current),
          'the app to be evaluated',
          30_000,
        )
      }
      const stream = await SseClient.open(
        `${url}/stream`,
        lastEventId === undefined ? {} : { headers: { 'last-event-id': lastEventId } },
      )
      const socket = await SocketClient.open(`${url}/socket`)
      const written = await write(`v${current}`)
      await Promise.all([stream.until(PARTITIONS), socket.until(PARTITIONS)])
      expect(values(stream.records())).toEqual(written)
      expect(await readAll()).toEqual(written)
      // A poll that waits while the file is saved is answered, too.
      const waiting = fetch(`${url}/orders?timeout=60000`)
      save(current + 10)
      await within(stream.ended, 'the stream of what was evaluated before to end')
      expect(stream.text).toEndWith('\n\n')
      expect(stream.named('error')).toEqual([])
      lastEventId = stream.lastEventId
      expect((await within(socket.closed, 'its socket to close')).code).toBe(1001)
      expect([200, 503]).toContain((await within(waiting, 'its poll to end')).status)
    }
  } finally {
    child.kill('SIGKILL')
    await child.exited
    rmSync(folder, { recursive: true, force: true })
    await kafka.close()
  }
}, 180_000)
