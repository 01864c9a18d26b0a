/** A configuration of thousands of routes is applied in turns: other requests are served in between. */
import { expect, test } from 'bun:test'
import { createGateway } from '../../src/gateway/app.ts'
import { createAdmin } from '../../src/kong/admin/admin.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import { openState } from '../../src/kong/config/persisted-state.ts'
import { Store } from '../../src/kong/config/store.ts'
import { writeDeclarative } from '../../src/kong/config/write-declarative.ts'
import { PLUGIN } from './samples.ts'

const ROUTES = 5_000
/** Far fewer than the turns that this work takes on any machine; one without turns has none. */
const MIN_SERVED = 10

const document = (name: string, count: number) => ({
  _format_version: '3.0',
  routes: Array.from({ length: count }, (_, index) => ({
    name: `${name}-${index}`,
    paths: [`/${name}/${index}/`],
    plugins: [PLUGIN],
  })),
})

/** A gateway that nobody starts, its Admin API and its state file. */
function openGateway() {
  const store = new Store()
  const gateway = createGateway({})
  const written: string[] = []
  const { save } = openState({
    ...{ name: 'state', read: () => undefined },
    write: (text) => {
      written.push(text)
    },
  })
  store.onChange((snapshot) => gateway.applyInTurns(snapshot))
  store.onChange(save)
  const admin = createAdmin({
    ...{ store, version: '1', status: () => ({}) },
    load: (text) =>
      readDeclarative(text, { format: 'json', environment: {}, ignoreUnknown: false }),
    dump: writeDeclarative,
  })
  const send = (method: string, path: string, body: object) =>
    admin.request(path, {
      ...{ method, body: JSON.stringify(body) },
      headers: { 'content-type': 'application/json' },
    })
  return { store, gateway, send, written }
}

test('requests are served while thousands of routes are applied, by the routes before', async () => {
  const { gateway, send, written } = openGateway()
  await send('POST', '/config', document('old', 1))
  let isDone = false
  const applied = Promise.resolve(send('POST', '/config', document('new', ROUTES))).finally(() => {
    isDone = true
  })
  let served = 0
  while (!isDone) {
    expect((await gateway.app.request('/healthz')).status).toBe(200)
    served++
    await new Promise<void>((resolve) => setTimeout(resolve))
  }
  expect((await applied).status).toBe(201)
  expect(served).toBeGreaterThan(MIN_SERVED)
  expect(written).toHaveLength(2)
  expect(JSON.parse(written[1] ?? '').routes).toHaveLength(ROUTES)
}, 120_000)

test('changes that come while all is replaced wait, and none is lost', async () => {
  const { store } = openGateway()
  const read = (name: string, count: number) =>
    readDeclarative(JSON.stringify(document(name, count)), {
      ...{ format: 'json', environment: {}, ignoreUnknown: false },
    })
  const [many, few] = [await read('many', 1_000), await read('few', 3)]
  const inserted = (name: string) =>
    store.change(() => store.insert('routes', { name, hosts: [name] }))
  const first = store.replaceAll(many)
  const before = inserted('before')
  const second = store.replaceAll(few)
  const after = [inserted('after'), inserted('later')]
  expect(() => store.insert('routes', { name: 'now', hosts: ['now'] })).toThrow('is under way')
  await first
  expect(store.list('routes')).toHaveLength(1_000)
  await before
  expect(store.get('routes', 'before')).toBeDefined()
  await second
  await Promise.all(after)
  expect(store.list('routes').map(({ name }) => name)).toEqual([
    ...['few-0', 'few-1', 'few-2', 'after', 'later'],
  ])
}, 120_000)

test('a document that the gateway refuses half way leaves the routes before', async () => {
  const { store, send } = openGateway()
  await send('POST', '/config', document('old', 2))
  const before = store.snapshot()
  const config = { ...PLUGIN.config, cluster_name: '{vault://env/NONE}' }
  const bad = document('new', 50)
  bad.routes.push({ name: 'bad', paths: ['/bad'], plugins: [{ ...PLUGIN, config }] })
  expect((await send('POST', '/config', bad)).status).toBe(400)
  expect(store.snapshot()).toBe(before)
})
