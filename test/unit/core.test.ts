/** The small mechanisms of src/core: each holds one idea that several folders use. */
import { describe, expect, test } from 'bun:test'
import { settledWithin } from '../../src/core/deadline.ts'
import { isJsonObject } from '../../src/core/json-object.ts'
import { LruMap } from '../../src/core/lru-map.ts'
import { readLimited } from '../../src/core/read-limited.ts'
import { Semaphore } from '../../src/core/semaphore.ts'
import { StallDetector } from '../../src/core/stall-detector.ts'
import { TopicIds } from '../../src/core/topic-ids.ts'

describe('settledWithin', () => {
  test('a promise that is fulfilled in time: true, and no timer stays behind', async () => {
    expect(await settledWithin(Promise.resolve('any value'), 60_000)).toBe(true)
  })

  test('a promise that stays pending: false after the deadline', async () => {
    expect(await settledWithin(new Promise(() => undefined), 1)).toBe(false)
  })

  test('a promise that is rejected in time: its error', async () => {
    expect(settledWithin(Promise.reject(new Error('broken')), 60_000)).rejects.toThrow('broken')
  })

  test('a promise that is rejected after the deadline: false, and the error is ignored', async () => {
    const { promise, reject } = Promise.withResolvers<void>()
    expect(await settledWithin(promise, 1)).toBe(false)
    reject(new Error('late'))
    await promise.catch(() => undefined)
  })
})

describe('Semaphore', () => {
  test('runs at most the limit at a time, in the order of arrival, also when tasks fail', async () => {
    const semaphore = new Semaphore(2)
    const tasks = Array.from({ length: 6 }, () => Promise.withResolvers<void>())
    const started: number[] = []
    const results = tasks.map(({ promise }, index) =>
      semaphore
        .run(() => {
          started.push(index)
          return promise
        })
        .catch((error: unknown) => error),
    )
    const finish = async (index: number, error?: Error) => {
      if (error) tasks[index]?.reject(error)
      else tasks[index]?.resolve()
      await results[index]
      await Promise.resolve()
    }
    expect(started).toEqual([0, 1])
    await finish(1, new Error('one fails'))
    expect(started).toEqual([0, 1, 2])
    await finish(0)
    await finish(2)
    expect(started).toEqual([0, 1, 2, 3, 4])
    for (const index of [3, 4, 5]) await finish(index)
    expect(started).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('a newcomer does not overtake a task that waits', async () => {
    const semaphore = new Semaphore(1)
    const order: string[] = []
    const first = semaphore.run(async () => void order.push('first'))
    const second = semaphore.run(async () => void order.push('second'))
    await first
    const third = semaphore.run(async () => void order.push('third'))
    await Promise.all([second, third])
    expect(order).toEqual(['first', 'second', 'third'])
  })
})

describe('LruMap', () => {
  test('beyond its limit it forgets the entry that was used least recently', () => {
    const map = new LruMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    expect(map.get('a')).toBe(1)
    map.set('c', 3)
    expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([1, undefined, 3])
    expect(map.size).toBe(2)
  })

  test('an entry that is set again counts as used, and does not make another entry leave', () => {
    const map = new LruMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    map.set('a', 3)
    map.set('c', 4)
    expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([3, undefined, 4])
  })

  test('a deleted entry makes room for another one', () => {
    const map = new LruMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    map.delete('a')
    map.set('c', 3)
    expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([undefined, 2, 3])
  })
})

describe('readLimited', () => {
  const bodyOf = (...chunks: string[]) => {
    let isCancelled = false
    let next = 0
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        pull(controller) {
          const chunk = chunks[next++]
          if (chunk === undefined) controller.close()
          else controller.enqueue(new TextEncoder().encode(chunk))
        },
        cancel() {
          isCancelled = true
        },
      },
      { highWaterMark: 0 },
    )
    return { body, pulled: () => next, isCancelled: () => isCancelled }
  }

  test('a body up to the limit, in one chunk or several, and no body', async () => {
    const text = async (body: ReadableStream<Uint8Array<ArrayBuffer>> | null) =>
      new TextDecoder().decode(await readLimited(body, 6))
    expect(await text(bodyOf('abcdef').body)).toBe('abcdef')
    expect(await text(bodyOf('ab', 'cde', 'f').body)).toBe('abcdef')
    expect(await text(null)).toBe('')
  })

  test('a longer body is cancelled at the limit, and not read to its end', async () => {
    const { body, pulled, isCancelled } = bodyOf('abc', 'defg', 'never read')
    expect(await readLimited(body, 6)).toBeUndefined()
    expect(isCancelled()).toBe(true)
    expect(pulled()).toBe(2)
  })

  test('a body that breaks off: the error of its stream', async () => {
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        controller.error(new Error('disconnected'))
      },
    })
    expect(readLimited(body, 6)).rejects.toThrow('disconnected')
  })
})

test('isJsonObject: objects, but no arrays, null and scalars', () => {
  const values = [{}, { a: 1 }, [], null, undefined, 'text', 1, true]
  expect(values.map(isJsonObject)).toEqual([true, true, ...Array<boolean>(6).fill(false)])
})

describe('StallDetector', () => {
  test('names what has not moved although it was behind at the last check', () => {
    const detector = new StallDetector<string>()
    const check = (...progress: Array<[string, number, number]>) =>
      detector.check(new Map(progress.map(([key, position, end]) => [key, { position, end }])))
    expect(check(['stuck', 3, 5], ['at its end', 5, 5], ['moving', 1, 9])).toEqual([])
    expect(check(['stuck', 3, 5], ['at its end', 5, 8], ['moving', 2, 9])).toEqual(['stuck'])
    expect(check(['stuck', 4, 5], ['at its end', 5, 8], ['moving', 3, 9])).toEqual(['at its end'])
    detector.reset()
    expect(check(['stuck', 4, 5], ['at its end', 5, 8])).toEqual([])
  })
})

describe('TopicIds', () => {
  test('a topic with a new id was re-created, and with an id that it had before was not', () => {
    const ids = new TopicIds()
    expect(ids.isRecreated('a', 'a')).toBe(false)
    expect(ids.isRecreated('a', 'b')).toBe(true)
    ids.retire('a')
    expect(ids.isRetired('a')).toBe(true)
    expect(ids.isRecreated('b', 'a')).toBe(false)
    expect(ids.isRecreated('b', 'c')).toBe(true)
  })

  test('nothing is said of a topic whose id is not known', () => {
    const ids = new TopicIds()
    expect(ids.isRecreated(undefined, 'a')).toBe(false)
    expect(ids.isRecreated('a', undefined)).toBe(false)
  })
})
