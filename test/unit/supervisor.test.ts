/** The gateway's supervisor with very many handlers. */
import { afterEach, expect, test } from 'bun:test'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { maxEagerStarts } from '../../src/gateway/process/open-files.ts'
import { type KafkaRoute, Supervisor } from '../../src/gateway/supervisor.ts'
import { until, within } from '../support/wait.ts'
import { idleHandler } from './fakes.ts'

const ROUTES = 500
const supervisors: Supervisor[] = []

afterEach(async () => {
  for (const supervisor of supervisors.splice(0)) await supervisor.close()
})

function manyRoutes(start: () => Promise<void>) {
  const counts = { outages: 0, starts: 0, starting: 0, maxStarting: 0 }
  const routes = Array.from({ length: ROUTES }, () => {
    const handler: KafkaRoute = Object.assign(() => new Response(), {
      start: async () => {
        counts.starts++
        counts.maxStarting = Math.max(counts.maxStarting, ++counts.starting)
        try {
          await start()
        } finally {
          counts.starting--
        }
      },
      outage: () => {
        counts.outages++
        return undefined
      },
      ...idleHandler,
      close: async () => undefined,
    })
    return handler
  })
  const supervisor = new Supervisor()
  supervisors.push(supervisor)
  return { supervisor, routes, counts }
}

const asIo = () => new Promise<void>((resolve) => setImmediate(resolve))

test('handlers start 16 at a time, and each start costs a share of the handlers at most', async () => {
  const { supervisor, routes, counts } = manyRoutes(asIo)
  for (const route of routes) void supervisor.add(route, 'a:1')
  await within(supervisor.start(), 'the start of all handlers')
  expect(supervisor.notReady()).toEqual([])
  expect(counts.maxStarting).toBe(16)
  // Asking all handlers for their outage at each start would be 250,000 calls, in the event loop.
  expect(counts.outages).toBeLessThan((ROUTES * ROUTES) / 4)
})

test('the reason why handlers cannot start is logged once, after each was tried once', async () => {
  const { supervisor, routes, counts } = manyRoutes(async () => {
    await asIo()
    throw new KafkaConsumeError('KAFKA_UNAVAILABLE', 'Cannot read from Kafka: unreachable')
  })
  await supervisor.start()
  await within(
    Promise.all(routes.map((route) => supervisor.add(route, 'a:1'))),
    'the first attempts of all handlers',
  )
  expect(supervisor.notReady().map(({ code }) => code)).toEqual(['KAFKA_UNAVAILABLE'])
  expect(counts.outages).toBeLessThan((ROUTES * ROUTES) / 4)
})

test('a supervisor that is closed starts no handler that still waits for its turn', async () => {
  const release = Promise.withResolvers<void>()
  let started = 0
  const { supervisor, routes } = manyRoutes(() => {
    started++
    return release.promise
  })
  for (const route of routes) void supervisor.add(route, 'a:1')
  const starting = supervisor.start()
  await supervisor.close()
  release.resolve()
  await within(starting, 'the end of the start')
  expect(started).toBe(16)
})

test.each([
  ['Max open files            1024                 1024                 files', 64],
  ['Max open files            65536                65536                files', 256],
  ['Max open files            unlimited            unlimited            files', 256],
  ['Max open files            10                   10                   files', 1],
  ['', 256],
])('by the limit %j of open files %d handlers start before their first request', (line, count) => {
  const limits = `Limit Soft Limit Hard Limit Units\n${line}\nMax locked memory 8 8 bytes\n`
  expect(maxEagerStarts(limits)).toBe(count)
})

test('a supervisor starts as many handlers as it may, and further ones wait', async () => {
  const { routes, counts } = manyRoutes(asIo)
  const supervisor = new Supervisor(5)
  for (const route of routes.slice(0, 20)) void supervisor.add(route, 'a:1')
  await within(supervisor.start(), 'the start of the first handlers')
  expect(counts.starts).toBe(5)
  expect(supervisor.notReady()).toEqual([])
  await supervisor.close()
})

test('256 handlers are started, and further ones wait for their first request, also after a change', async () => {
  const started = new Set<KafkaRoute>()
  const { supervisor, routes } = manyRoutes(asIo)
  for (const route of routes) {
    const start = route.start.bind(route)
    route.start = () => {
      started.add(route)
      return start()
    }
  }
  const [before, after] = [routes.slice(0, 300), routes.slice(300)]
  for (const route of before) void supervisor.add(route, 'a:1')
  await within(supervisor.start(), 'the start of the first handlers')
  expect(started.size).toBe(256)
  expect(supervisor.notReady()).toEqual([])
  // A change adds the new handlers before it removes those that they replace.
  const added = Promise.all(after.map((route) => supervisor.add(route, 'a:1')))
  for (const route of before) supervisor.remove(route, added)
  await within(added, 'the attempt to start the handlers that replace them')
  await until(() => after.every((route) => started.has(route)), 'the start of all of them')
  expect(supervisor.notReady()).toEqual([])
})
