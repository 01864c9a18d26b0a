/** Apps of the pages, run as they stand: the README's typed app, and the test of an app in docs/reader.md. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Hono } from 'hono'
import { kafkaSide } from '../../kafka/index.ts'
import type { KafkaReaderMiddleware } from '../../src/index.ts'
import { TestKafka } from '../support/kafka.ts'
import { within } from '../support/wait.ts'

const root = join(import.meta.dirname, '../..')
// Inside the package, so that the app imports it by its name.
const parent = join(root, 'node_modules/.cache')
mkdirSync(parent, { recursive: true })
const folder = mkdtempSync(join(parent, 'typed-app-'))

let broker: Awaited<ReturnType<typeof kafkaSide.startEmbeddedBroker>>
let kafka: TestKafka
beforeAll(async () => {
  broker = await kafkaSide.startEmbeddedBroker({
    topic: 'orders',
    records: 0,
    recordsPerSecond: 0,
  })
  kafka = await TestKafka.connect(broker.bootstrapServers.join(','), { autoCreate: true })
}, 120_000)
afterAll(async () => {
  await kafka?.close()
  await broker?.close()
  rmSync(folder, { recursive: true, force: true })
})

test("the README's typed app answers with both topics, and with the error of a record", async () => {
  await kafka.produce('orders', [{ value: '{"total":5}' }, { value: '{"total":"5"}' }])
  await kafka.createTopic(4, 1, 'payments')
  await kafka.produce('payments', [{ value: '{"paid":true}' }])
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const code = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code = '']) => code)
  const typed = code.find((code) => code.includes('v.object')) as string
  const own = typed.replace("'localhost:9092'", JSON.stringify(broker.bootstrapServers))
  writeFileSync(join(folder, 'app.ts'), `${own}\nexport { app, shop }\n`)
  const module = (await import(join(folder, 'app.ts'))) as {
    readonly app: Hono
    readonly shop: KafkaReaderMiddleware
  }
  const response = await within(module.app.request('/report') as Promise<Response>, 'a report')
  expect(((await response.json()) as string[]).sort()).toEqual([
    'Cannot validate the record: value.total: Invalid type: Expected number but received "5"',
    'an order of 5',
    'paid: true',
  ])
  await module.shop.close()
}, 120_000)

test("docs/reader.md's test of an app passes, with a broker of its own", async () => {
  const page = readFileSync(join(root, 'docs/reader.md'), 'utf8')
  const [, code = ''] = /```ts\n(.*?startEmbeddedBroker.*?)```/s.exec(page) ?? []
  const file = join(folder, 'own.test.ts')
  writeFileSync(file, code)
  const run = Bun.spawn([process.execPath, 'test', file], { cwd: root, stderr: 'pipe' })
  const printed = await within(new Response(run.stderr).text(), 'the test of an app', 60_000)
  expect(printed).toContain('1 pass')
  expect(await run.exited).toBe(0)
}, 120_000)
