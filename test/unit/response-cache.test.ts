import { expect, test } from 'bun:test'
import type { Context } from 'hono'
import { AnswerBudget, AnswerMemory } from '../../src/http/response/answer-budget.ts'
import { ResponseCache } from '../../src/http/response/response-cache.ts'
import { Route } from '../../src/http/route/route.ts'
import { resolveOptions } from '../../src/options/consume-options.ts'
import { until } from '../support/wait.ts'

function asking(url: string, accept?: string): Context {
  return {
    req: { url, header: (name: string) => (name === 'Accept' ? accept : undefined) },
  } as Context
}

function memory(limit = 128 * 1024 * 1024): AnswerMemory {
  return new AnswerMemory([new AnswerBudget(limit)])
}

function answer(length = 10) {
  const bytes = new Uint8Array(length)
  return { bytes, coding: undefined, headers: {}, records: 1, size: length }
}

test('the response cache answers an equal request as long as the version does not change', () => {
  const kept = new ResponseCache(memory())
  const [now, later] = [{}, {}]
  kept.add(now, asking('/a', 'application/json'), answer())
  expect(kept.find(now, asking('/a', 'application/json'))).toBeDefined()
  expect(kept.find(now, asking('/a', 'application/x-ndjson'))).toBeUndefined()
  expect(kept.find(now, asking('/b', 'application/json'))).toBeUndefined()
  expect(kept.find(later, asking('/a', 'application/json'))).toBeUndefined()
  kept.add(later, asking('/b'), answer())
  expect(kept.find(now, asking('/a', 'application/json'))).toBeUndefined()
})

test('the response cache has a limited number of answers, and no large ones', () => {
  const kept = new ResponseCache(memory())
  const now = {}
  kept.add(now, asking('/large'), answer(64 * 1024 + 1))
  expect(kept.find(now, asking('/large'))).toBeUndefined()
  for (let i = 0; i < 70; i++) kept.add(now, asking(`/${i}`), answer(64 * 1024 - 100))
  const found = Array.from({ length: 70 }, (_, i) => kept.find(now, asking(`/${i}`)))
  expect(found.filter(Boolean)).toHaveLength(64)
})

test('cached answers count for the answer budget, take at most a quarter of it, and are dropped when the version changes', () => {
  const budget = new AnswerBudget(1024 * 1024)
  const kept = new ResponseCache(new AnswerMemory([budget]))
  const now = {}
  const size = 50 * 1024
  for (let i = 0; i < 10; i++) kept.add(now, asking(`/${i}`), answer(size))
  expect(budget.used).toBeGreaterThan(5 * size)
  expect(budget.used).toBeLessThanOrEqual(256 * 1024)
  kept.add(now, asking('/0'), answer(size))
  expect(budget.used).toBeLessThanOrEqual(256 * 1024)
  expect(kept.find({}, asking('/0'))).toBeUndefined()
  expect(budget.used).toBe(0)
  kept.add(now, asking('/0'), answer(size))
  kept.clear()
  expect(budget.used).toBe(0)
})

test('answers with a maximum age are forgotten after it, with their memory', async () => {
  const budget = new AnswerBudget(1024 * 1024)
  const limits = { maxBytes: 1024, maxAge: 50 }
  const kept = new ResponseCache(new AnswerMemory([budget]), limits)
  const now = {}
  kept.add(now, asking('/large'), answer(1025))
  expect(budget.used).toBe(0)
  kept.add(now, asking('/a'), answer())
  expect(kept.find(now, asking('/a'))).toBeDefined()
  await until(() => budget.used === 0, 'the memory to be free')
  expect(kept.find(now, asking('/a'))).toBeUndefined()
  kept.add(now, asking('/a'), answer())
  expect(kept.find(now, asking('/a'))).toBeDefined()
  kept.clear()
  expect(budget.used).toBe(0)
})

test('a page that is read while its route closes is not cached, and takes nothing of the shared budget', async () => {
  const answers = new AnswerBudget(1024 * 1024)
  const options = resolveOptions({ bootstrapServers: 'localhost:9092', topics: ['t'] })
  const route = new Route(options, { answers })
  const now = {}
  for (const cache of [route.responseCache, route.pageCache]) cache.add(now, asking('/a'), answer())
  expect(answers.used).toBeGreaterThan(0)
  await route.close()
  for (const cache of [route.responseCache, route.pageCache]) cache.add(now, asking('/b'), answer())
  expect(answers.used).toBe(0)
})
