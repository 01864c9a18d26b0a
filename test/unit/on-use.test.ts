import { expect, test } from 'bun:test'
import { ClosableOnUse, loadOnce, onUse } from '../../src/core/on-use.ts'

/** A load that fails as often as it is told to. */
function failing(times: number) {
  let loads = 0
  return {
    loads: () => loads,
    load: async () => {
      loads++
      if (loads <= times) throw new Error('EMFILE: too many open files')
      return () => 'answered'
    },
  }
}

test('what is loaded once is loaded by its first callers together', async () => {
  const { load, loads } = failing(0)
  const loading = loadOnce(load)
  const [first, second] = await Promise.all([loading(), loading()])
  expect(second).toBe(first)
  expect(await loading()).toBe(first)
  expect(loads()).toBe(1)
})

test('after a load that failed the next call loads again, and callers of one load share its error', async () => {
  const { load, loads } = failing(1)
  const loading = loadOnce(load)
  const results = await Promise.allSettled([loading(), loading()])
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(loads()).toBe(1)
  expect((await loading())()).toBe('answered')
  await loading()
  expect(loads()).toBe(2)
})

test('a handler whose code could not be loaded answers the next request', async () => {
  const handler = onUse(failing(1).load)
  const error = await Promise.resolve(handler()).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    code: 'INTERNAL',
    retryable: true,
    detail: 'EMFILE: too many open files',
  })
  expect(await handler()).toBe('answered')
  // Without a promise, once the code is loaded.
  expect(handler()).toBe('answered')
})

test('what is closed at the end is closed at once if it is made afterwards, and not made for that', async () => {
  let made = 0
  let closed = 0
  const sourceOf = () =>
    new ClosableOnUse(async () => {
      made++
      return {
        async close() {
          closed++
        },
      }
    })
  const unused = sourceOf()
  await unused.close()
  expect([made, closed]).toEqual([0, 0])
  await unused.load()
  expect([made, closed]).toEqual([1, 1])

  const used = sourceOf()
  await used.load()
  await used.load()
  await used.close()
  expect([made, closed]).toEqual([2, 2])
})
