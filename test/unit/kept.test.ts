import { expect, test } from 'bun:test'
import type { Context } from 'hono'
import { KeptAnswers } from '../../src/plugin/kept.ts'

function asking(url: string, accept?: string): Context {
  return {
    req: { url, header: (name: string) => (name === 'Accept' ? accept : undefined) },
  } as Context
}

function answer(length = 10) {
  const bytes = new Uint8Array(length)
  return { bytes, coding: undefined, headers: {}, records: 1, size: length }
}

test('an answer is kept for the same question, as long as nothing has changed', () => {
  const kept = new KeptAnswers()
  const [now, later] = [{}, {}]
  kept.keep(now, asking('/a', 'application/json'), answer())
  expect(kept.find(now, asking('/a', 'application/json'))).toBeDefined()
  expect(kept.find(now, asking('/a', 'application/x-ndjson'))).toBeUndefined()
  expect(kept.find(now, asking('/b', 'application/json'))).toBeUndefined()
  expect(kept.find(later, asking('/a', 'application/json'))).toBeUndefined()
  kept.keep(later, asking('/b'), answer())
  expect(kept.find(now, asking('/a', 'application/json'))).toBeUndefined()
})

test('no more are kept than there is room for, and none that is large', () => {
  const kept = new KeptAnswers()
  const now = {}
  kept.keep(now, asking('/large'), answer(64 * 1024 + 1))
  expect(kept.find(now, asking('/large'))).toBeUndefined()
  for (let i = 0; i < 70; i++) kept.keep(now, asking(`/${i}`), answer(64 * 1024))
  const found = Array.from({ length: 70 }, (_, i) => kept.find(now, asking(`/${i}`)))
  expect(found.filter(Boolean)).toHaveLength(64)
})
