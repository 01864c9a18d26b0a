/** `socket` of the package's client, on a server of the test's own, which speaks as no route does. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { KafkaStreamError, socket } from '../../src/client/index.ts'
import { within } from '../support/wait.ts'

let server: Bun.Server<undefined>
let frames: Array<string | Uint8Array> = []

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request, own) {
      return own.upgrade(request) ? undefined : new Response(null, { status: 426 })
    },
    websocket: {
      open(ws) {
        for (const frame of frames) ws.send(frame)
      },
      message() {},
    },
  })
})
afterAll(() => server.stop(true))

function record(offset: number): string {
  const fields = { topic: 'orders', partition: 0, timestamp: 0, key: null, value: '', headers: {} }
  return JSON.stringify({ ...fields, offset, cursor: `orders:0=${offset + 1}` })
}

test.each<[string, string | Uint8Array]>([
  ['text', 'hello'],
  ['bytes', Uint8Array.of(0, 1)],
])('a frame of %s that is not JSON ends the loop, after the records before it', async (_, frame) => {
  frames = [record(0), frame, record(2)]
  const offsets: number[] = []
  const reading = async () => {
    for await (const { offset } of socket(server.url)) offsets.push(offset)
  }
  const error = await within(reading(), 'the end of the loop', 5_000).catch((thrown) => thrown)
  expect(error).toBeInstanceOf(KafkaStreamError)
  expect(error).toMatchObject({ code: 'UNEXPECTED_ANSWER', retryable: false })
  expect(offsets).toEqual([0])
})

test.each(['null', '5', '[]'])('the frame %s, which says nothing, is passed over', async (frame) => {
  frames = [frame, record(0)]
  const records = socket(server.url)
  const { value } = await within(records.next(), 'a record', 5_000)
  expect(value).toMatchObject({ offset: 0 })
  await records.return()
})
