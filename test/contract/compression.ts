import { describe, expect, test } from 'bun:test'
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { uniqueName } from '../support/names.ts'
import { places, Route, type Target } from '../support/route.ts'
import { SseClient, type StreamedRecord } from '../support/sse.ts'
import { until, within } from '../support/wait.ts'
import { spread } from './get.ts'

/** An answer's bytes as they came, and their coding. */
async function raw(url: string, asked: string) {
  const headers = { 'accept-encoding': asked }
  const response = await within(fetch(url, { headers, decompress: false }), 'an answer', 25_000)
  return {
    response,
    coding: response.headers.get('content-encoding'),
    bytes: new Uint8Array(await response.arrayBuffer()),
  }
}

const DECODE: Record<string, (bytes: Uint8Array) => Uint8Array> = {
  gzip: (bytes) => gunzipSync(bytes),
  deflate: (bytes) => inflateSync(bytes),
  br: (bytes) => brotliDecompressSync(bytes),
  zstd: (bytes) => zstdDecompressSync(bytes),
}

function decoded(coding: string | null, bytes: Uint8Array): Uint8Array {
  return DECODE[coding ?? '']?.(bytes) as Uint8Array
}

const recordsIn = (bytes: Uint8Array) =>
  (JSON.parse(new TextDecoder().decode(bytes)) as { records: StreamedRecord[] }).records

export function describeCompression(target: () => Target): void {
  describe.concurrent('compression', () => {
    test('of a single read is the one that the client accepts', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written = await kafka.produce(topic, spread(60))
      await using route = await Route.mount(target(), { topics: [topic] })
      // A read ends where the live consumer is: it may not have come to the last record yet.
      await until(
        async () => (await route.records({ start: 'earliest' })).length === written.length,
        'all records in one answer',
      )
      const url = route.url({ start: 'earliest', format: 'records' })
      for (const [asked, expected] of [
        ['gzip', 'gzip'],
        ['deflate', 'deflate'],
        ['gzip;q=0.5, deflate;q=0.8', 'deflate'],
        ['GZIP', 'gzip'],
        ['identity', null],
        ['gzip;q=0', null],
        ['', null],
        ['compress', null],
      ] as const) {
        const { coding, bytes, response } = await raw(url, asked)
        expect([asked, coding]).toEqual([asked, expected])
        expect(response.headers.get('vary')).toBe('Accept-Encoding')
        const plain = coding === null ? bytes : decoded(coding, bytes)
        expect(places(recordsIn(plain))).toEqual(places(written))
        if (coding !== null) expect(bytes.length).toBeLessThan(plain.length / 3)
      }
      // A coding that every runtime has is chosen if the best one is missing.
      for (const asked of ['zstd, gzip', 'br, gzip;q=0.1', '*']) {
        const { coding, bytes } = await raw(url, asked)
        expect(places(recordsIn(decoded(coding, bytes)))).toEqual(places(written))
      }
    })

    test('is left out for small answers, and where it is switched off', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(60))
      await using route = await Route.mount(target(), { topics: [topic] })
      const small = route.url({ start: 'earliest', format: 'records', max_records: 1 })
      expect((await raw(small, 'gzip')).coding).toBeNull()
      await using off = await Route.mount(target(), { topics: [topic], compression: 'off' })
      const { coding, response } = await raw(off.url({ start: 'earliest' }), 'gzip')
      expect([coding, response.headers.get('vary')]).toEqual([null, null])
    })

    test('of a group’s records is complete before their delivery begins', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written = await kafka.produce(topic, spread(60))
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('group') },
      })
      const got: StreamedRecord[] = []
      await until(async () => {
        const { coding, bytes } = await raw(route.url({ format: 'records', timeout: 500 }), 'gzip')
        got.push(...recordsIn(coding === null ? bytes : gunzipSync(bytes)))
        return got.length >= 60
      }, 'all records')
      expect(places(got)).toEqual(places(written))
    })

    test('of a stream lets every event through at once, and ends well', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const mode = 'server-sent-events'
      await using route = await Route.mount(target(), { topics: [topic], mode, compression: 'all' })
      const headers = { 'accept-encoding': 'gzip' }
      const whole = raw(route.url(), 'gzip')
      await using client = await SseClient.open(route.url(), { headers })
      expect(client.response.headers.get('content-encoding')).toBe('gzip')
      await using plain = await SseClient.open(route.url(), {
        headers: { 'accept-encoding': 'identity' },
      })
      expect(plain.response.headers.get('content-encoding')).toBeNull()
      await route.untilSubscribers(3)
      for (let count = 1; count <= 5; count++) {
        // The next is written only when this one has come.
        await kafka.produce(topic, [{ partition: 0, value: `value ${count}` }])
        await until(() => client.records().length === count, `event ${count} of 5`)
      }
      await kafka.produce(topic, spread(400))
      await until(() => client.records().length === 405, 'all events')
      await until(() => plain.records().length === 405, 'all events as they are')
      await route.close()
      await within(client.ended, 'the stream to end')
      const { bytes } = await within(whole, 'the whole stream')
      const text = new TextDecoder().decode(gunzipSync(bytes))
      expect(text.replace(/^retry: .*/, '')).toBe(plain.text.replace(/^retry: .*/, ''))
      expect(bytes.length).toBeLessThan(text.length / 3)
    })

    test('of a stream is off by default, and a client of a compressed stream may leave', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const mode = 'server-sent-events'
      await using route = await Route.mount(target(), { topics: [topic], mode })
      const headers = { 'accept-encoding': 'gzip' }
      const client = await SseClient.open(route.url(), { headers })
      expect(client.response.headers.get('content-encoding')).toBeNull()
      await client[Symbol.asyncDispose]()
      await using all = await Route.mount(target(), { topics: [topic], mode, compression: 'all' })
      const leaves = await SseClient.open(all.url(), { headers })
      await kafka.produce(topic, spread(8))
      await until(() => leaves.records().length === 8, 'its records')
      await leaves[Symbol.asyncDispose]()
      await all.untilSubscribers(0)
    })
  })
}
