import { describe, expect, test } from 'bun:test'
import { deliver } from '../../src/http/response/deliver.ts'
import { sleep, stays, until, within } from '../support/wait.ts'
import { settle, ticket } from './fakes.ts'

const PIECE = 64 * 1024
const LONG = 60_000

function bytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index % 251)
}

describe('the delivery of a body', () => {
  test.each([0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7])(
    'of %d bytes is acked when all bytes were taken and more are requested, and not before',
    async (length) => {
      const { delivery, ended } = ticket()
      const body = deliver(bytes(length), delivery, new AbortController().signal, LONG)
      const reader = body.getReader()
      const got: number[] = []
      while (got.length < length) {
        expect(ended).toEqual([])
        const { value } = await reader.read()
        got.push(...(value ?? []))
      }
      await settle()
      expect(ended).toEqual([])
      expect((await reader.read()).done).toBe(true)
      expect(ended).toEqual(['done'])
      expect(Buffer.from(got).equals(bytes(length))).toBe(true)
    },
  )

  test('does not begin before the client reads', async () => {
    const { delivery, ended } = ticket()
    deliver(bytes(1), delivery, new AbortController().signal, LONG)
    await stays(() => ended.length === 0, 'the delivery is open', 10)
  })

  test('is requeued when its client cancels, before or midway', async () => {
    for (const pieces of [0, 1, 2]) {
      const { delivery, ended } = ticket()
      const body = deliver(bytes(3 * PIECE), delivery, new AbortController().signal, LONG)
      const reader = body.getReader()
      for (let i = 0; i < pieces; i++) await reader.read()
      await reader.cancel()
      expect(ended).toEqual(['requeued'])
    }
  })

  test('is requeued when its request is aborted, whatever is still read', async () => {
    const { delivery, ended } = ticket()
    const abort = new AbortController()
    const reader = deliver(bytes(2 * PIECE), delivery, abort.signal, LONG).getReader()
    await reader.read()
    abort.abort()
    expect(ended).toEqual(['requeued'])
    await reader.read()
    await reader.read()
    expect(ended).toEqual(['requeued'])
  })

  test('is not changed by an abort after its end', async () => {
    const { delivery, ended } = ticket()
    const abort = new AbortController()
    await new Response(deliver(bytes(10), delivery, abort.signal, LONG)).bytes()
    abort.abort()
    expect(ended).toEqual(['done'])
  })

  test('is requeued when its client reads nothing for the deadline, and the body fails', async () => {
    const { delivery, ended } = ticket()
    const body = deliver(bytes(2 * PIECE), delivery, new AbortController().signal, 40)
    const reader = body.getReader()
    await reader.read()
    await until(() => ended.length > 0, 'the deadline')
    expect(ended).toEqual(['requeued'])
    await expect(reader.read()).rejects.toThrow('the client reads nothing')
  })

  test('is requeued when its client never begins to read', async () => {
    const { delivery, ended } = ticket()
    deliver(bytes(1), delivery, new AbortController().signal, 20)
    await until(() => ended.length > 0, 'the deadline')
    expect(ended).toEqual(['requeued'])
  })

  test('is acked when its client reads slowly', async () => {
    const { delivery, ended } = ticket()
    const body = deliver(bytes(6 * PIECE), delivery, new AbortController().signal, 1_500)
    let got = 0
    const reader = body.getReader()
    for (;;) {
      const { done, value } = await within(reader.read(), 'a piece')
      if (done) break
      got += value.length
      // Slow, and well within the deadline of 1,500 ms.
      await sleep(60)
    }
    expect(got).toBe(6 * PIECE)
    expect(ended).toEqual(['done'])
    await stays(() => ended.join() === 'done', 'the delivery has ended once', 1_600)
  })
})
