import { describe, expect, test } from 'bun:test'
import { createConnection } from 'node:net'
import { AT_ONCE_BYTES, deliver, deliverAtOnce } from '../../src/http/response/deliver.ts'
import type { Delivery } from '../../src/port/kafka.ts'
import { sleep, stays, until, within } from '../support/wait.ts'
import { settle } from './fakes.ts'

const PIECE = 64 * 1024
const LONG = 60_000

/** A delivery that notes how it ended; as with a real one, what comes after its end counts for nothing. */
function ticket(): { delivery: Pick<Delivery, 'ack' | 'requeue'>; ended: string[] } {
  const ended: string[] = []
  const end = (how: string) => () => {
    if (ended.length === 0) ended.push(how)
  }
  const delivery = {
    ack: end('done'),
    requeue: end('requeued'),
  }
  return { delivery, ended }
}

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
    const body = deliver(bytes(6 * PIECE), delivery, new AbortController().signal, 300)
    let got = 0
    const reader = body.getReader()
    for (;;) {
      const { done, value } = await within(reader.read(), 'a piece')
      if (done) break
      got += value.length
      // Slow, and well within the deadline of 300 ms.
      await sleep(60)
    }
    expect(got).toBe(6 * PIECE)
    expect(ended).toEqual(['done'])
    await stays(() => ended.join() === 'done', 'the delivery has ended once', 320)
  })
})

describe.each([60 * 1024, AT_ONCE_BYTES])('the delivery of %d bytes at once by Bun', (SIZE) => {
  /** A server that sends a body of so many bytes for each request, and a client that reads only by word. */
  async function connect(deadline: number) {
    const deliveries: string[][] = []
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch(request) {
        const { delivery, ended } = ticket()
        deliveries.push(ended)
        return new Response(deliverAtOnce(bytes(SIZE), delivery, request, deadline))
      },
    })
    const client = createConnection(server.port as number, '127.0.0.1')
    client.pause()
    client.on('error', () => {})
    const get = () => client.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
    const close = async () => {
      client.destroy()
      await server.stop(true)
    }
    /** Asks until the socket takes no more: the last delivery is open then. */
    const fillSocket = async () => {
      for (;;) {
        const count = deliveries.length
        get()
        await until(() => deliveries.length > count, 'the request')
        await settle()
        if (deliveries[count]?.length === 0) return deliveries[count] as string[]
      }
    }
    return { client, deliveries, get, fillSocket, close }
  }

  test('is done when the socket has taken the bytes, and the client gets all of them', async () => {
    const { client, deliveries, get, close } = await connect(LONG)
    let got = 0
    client.on('data', (part) => {
      got += part.length
    })
    client.resume()
    get()
    await until(() => got > SIZE, 'the body')
    expect(deliveries).toEqual([['done']])
    await close()
  })

  test('stays open while the socket is full, and is done when its client reads on', async () => {
    const { client, fillSocket, close } = await connect(LONG)
    const ended = await fillSocket()
    await stays(() => ended.length === 0, 'the delivery is open', 50)
    client.resume()
    await until(() => ended.length > 0, 'the delivery')
    expect(ended).toEqual(['done'])
    await close()
  })

  test('is requeued when its client leaves while its socket is full', async () => {
    const { client, fillSocket, close } = await connect(LONG)
    const ended = await fillSocket()
    client.destroy()
    await until(() => ended.length > 0, 'the end of the delivery')
    expect(ended).toEqual(['requeued'])
    await close()
  })

  test('is requeued when its client reads nothing for the deadline, and the connection ends', async () => {
    const { client, fillSocket, close } = await connect(200)
    let isClosed = false
    client.on('close', () => {
      isClosed = true
    })
    const ended = await fillSocket()
    await until(() => ended.length > 0, 'the deadline')
    expect(ended).toEqual(['requeued'])
    client.resume()
    await until(() => isClosed, 'the end of the connection')
    await close()
  })

  test('is requeued when its body is cancelled, or never read', async () => {
    const cancelled = ticket()
    const request = new AbortController()
    await deliverAtOnce(bytes(1), cancelled.delivery, request, LONG).cancel()
    expect(cancelled.ended).toEqual(['requeued'])
    const unread = ticket()
    deliverAtOnce(bytes(1), unread.delivery, request, 20)
    await until(() => unread.ended.length > 0, 'the deadline')
    expect(unread.ended).toEqual(['requeued'])
  })

  test('is whole where a middleware reads the body', async () => {
    const { delivery, ended } = ticket()
    const body = deliverAtOnce(bytes(1_000), delivery, new AbortController(), LONG)
    const copy = body.pipeThrough(new TransformStream<Uint8Array, Uint8Array>())
    expect(Buffer.from(await new Response(copy).bytes()).equals(bytes(1_000))).toBe(true)
    expect(ended).toEqual(['done'])
  })
})
