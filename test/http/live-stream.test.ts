/** The resources of streams whose clients read slowly or not at all, and the effect on other clients. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { gunzipSync } from 'node:zlib'
import { Hono } from 'hono'
import {
  type KafkaConsumeHandler,
  type KafkaConsumeOptions,
  kafkaConsume,
  kafkaReader,
} from '../../src/index.ts'
import { TestKafka } from '../support/kafka.ts'
import { range } from '../support/route.ts'
import { until, within } from '../support/wait.ts'

const KIB = 1024
const VALUE = 'x'.repeat(10_000)
/** Records of 10 KB each: 8 MB, many times what may wait for a client. */
const RECORDS = 800

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

/** Streams without sockets: nothing takes a body but the test. */
class Mount implements AsyncDisposable {
  readonly route: KafkaConsumeHandler
  readonly #app = new Hono()

  constructor(topic: string, options: Partial<KafkaConsumeOptions> = {}) {
    this.route = kafkaConsume({
      bootstrapServers: kafka.bootstrapServers,
      topics: [topic],
      mode: 'server-sent-events',
      ...options,
    })
    this.#app.get('/', this.route)
  }

  async open(query: string, headers: Record<string, string> = {}): Promise<StreamBody> {
    const response = await this.#app.request(`/${query}`, {
      headers: { accept: 'text/event-stream', ...headers },
    })
    return new StreamBody(response)
  }

  get sentBytes(): number {
    return this.route.stats().sent.stream.bytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.route.close()
  }
}

class StreamBody {
  readonly response: Response
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #chunks: Uint8Array[] = []

  constructor(response: Response) {
    this.response = response
    this.#reader = (response.body as ReadableStream<Uint8Array>).getReader()
  }

  /** Takes one chunk; false at the end. */
  async take(): Promise<boolean> {
    const { value, done } = await within(this.#reader.read(), 'more of a stream', 20_000)
    if (value) this.#chunks.push(value)
    return !done
  }

  /** Takes all up to a record. */
  async takeTo(offset: number): Promise<void> {
    const mark = `"offset":${offset},"timestamp"`
    // A mark may lie in two chunks.
    while (!Buffer.concat(this.#chunks.slice(-2)).includes(mark) && (await this.take()));
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.#chunks)
  }

  get offsets(): number[] {
    return offsetsOf(new TextDecoder().decode(this.bytes))
  }

  cancel(): Promise<void> {
    return this.#reader.cancel()
  }
}

/** The offsets of all records in the text of a stream of any form. */
function offsetsOf(text: string): number[] {
  return [...text.matchAll(/"offset":(\d+),"timestamp"/g)].map(([, offset]) => Number(offset))
}

async function topicWith(count: number): Promise<string> {
  const topic = await kafka.createTopic(1)
  for (let at = 0; at < count; at += 200) {
    await kafka.produce(
      topic,
      range(at, Math.min(count, at + 200)).map(() => ({ partition: 0, value: VALUE })),
    )
  }
  return topic
}

describe('a client that reads nothing', () => {
  const forms = [
    ['an event stream', 'text/event-stream', 'identity'],
    ['a compressed event stream', 'text/event-stream', 'gzip'],
    ['lines', 'application/x-ndjson', 'identity'],
    ['compressed lines', 'application/x-ndjson', 'gzip'],
  ] as const
  test.each(forms)(
    'of %s is sent at most two writes ahead, and gets all that follows when it reads again',
    async (_, accept, coding) => {
      const topic = await topicWith(RECORDS)
      await using mount = new Mount(topic, { compression: 'all' })
      const headers = { accept, 'accept-encoding': coding }
      const body = await mount.open('?start=earliest', headers)
      await until(() => mount.sentBytes > 100 * KIB, 'the first records')
      // A stalled write is noticed after a second. What more could be written would be by then.
      await Bun.sleep(1_500)
      expect(mount.sentBytes).toBeLessThanOrEqual(2 * 256 * KIB + KIB)
      if (coding === 'gzip') {
        // The stream abandons its second write, which goes before the end of the gzip stream all the same.
        await mount.route.close()
        while (await body.take());
        const offsets = offsetsOf(gunzipSync(body.bytes).toString())
        expect(offsets).toEqual(range(0, offsets.length))
      } else {
        await body.takeTo(RECORDS - 1)
        expect(body.offsets).toEqual(range(0, RECORDS))
        await body.cancel()
        await until(() => mount.route.stats().subscribers === 0, 'the stream to end')
      }
    },
  )
})

test('clients that read nothing do not keep others from older records, and lose and double nothing', async () => {
  const STALLED = 16
  const topic = await topicWith(RECORDS)
  await using mount = new Mount(topic, { ringBytes: 64 * KIB, maxCatchUpReads: STALLED })
  const stalled = await Promise.all(range(0, STALLED).map(() => mount.open('?start=earliest')))
  expect(mount.route.stats().catchUpReads).toBe(STALLED)
  // Some records each, and then none for long enough to count as stalled.
  await until(() => mount.sentBytes > STALLED * 200 * KIB, 'all to have what they may')
  await Bun.sleep(1_500)
  for (const _ of range(0, 3)) {
    const reader = await within(mount.open('?start=earliest'), 'a further reader', 5_000)
    expect(reader.response.status).toBe(200)
    await reader.takeTo(RECORDS - 1)
    expect(reader.offsets).toEqual(range(0, RECORDS))
    await reader.cancel()
  }
  expect(mount.route.stats().silent).toBe(0)
  await Promise.all(
    stalled.map(async (body) => {
      await body.takeTo(RECORDS - 1)
      expect(body.offsets).toEqual(range(0, RECORDS))
      await body.cancel()
    }),
  )
  await until(() => mount.route.stats().subscribers === 0, 'all streams to end')
  await until(() => mount.route.stats().catchUpReads === 0, 'all catch-up reads to end')
}, 120_000)

test('a stream that waits for its turn to read older records sends heartbeats', async () => {
  const topic = await topicWith(RECORDS)
  await using mount = new Mount(topic, { ringBytes: 64 * KIB, maxCatchUpReads: 1, heartbeat: 100 })
  const late = await mount.open('')
  for (const count of [50, 25, 25]) {
    const values = range(0, count).map(() => ({ partition: 0, value: VALUE }))
    await kafka.produce(topic, values)
    // The client reads less than the ring buffer holds: after a second the live consumer goes on
    // without this stream, and drops records that the stream has not sent.
    if (count === 50) await Bun.sleep(1_500)
  }
  const holder = await mount.open('?start=earliest')
  let isOver = false
  const holding = (async () => {
    // Often enough not to count as stalled.
    while (!isOver && (await holder.take())) await Bun.sleep(200)
  })()
  const comments = () => new TextDecoder().decode(late.bytes).match(/^:/gm)?.length ?? 0
  while (mount.route.stats().feed?.waiting !== 1) await late.take()
  const before = comments()
  while (comments() < before + 3) await late.take()
  expect(mount.route.stats().feed?.waiting).toBe(1)
  isOver = true
  await holding
  await holder.cancel()
  await late.takeTo(RECORDS + 99)
  expect(late.offsets).toEqual(range(RECORDS, RECORDS + 100))
  await late.cancel()
})

test('a handler that reads nothing does not keep others from older records, and goes on at its position', async () => {
  const topic = await topicWith(RECORDS)
  const options = {
    bootstrapServers: kafka.bootstrapServers,
    topics: [topic],
    ringBytes: 64 * KIB,
    maxCatchUpReads: 1,
  }
  const reader = kafkaReader(options)
  const route = kafkaConsume(options)
  await using _ = {
    [Symbol.asyncDispose]: async () => {
      await Promise.all([reader.close(), route.close()])
    },
  }
  const { promise: goesOn, resolve: goOn } = Promise.withResolvers<void>()
  const offsets: number[] = []
  const app = new Hono().get('/', reader, async (c) => {
    for await (const { offset } of c.var.kafka.stream({ start: 'earliest' })) {
      offsets.push(offset)
      if (offsets.length === 1) await goesOn
      if (offsets.length === RECORDS) break
    }
    return c.text('all')
  })
  const answer = Promise.resolve(app.request('/'))
  await until(() => offsets.length === 1, 'the first record')
  const other = new Hono().get('/', route)
  await until(
    async () => (await other.request('/?start=earliest&max_records=1')).status === 200,
    'another to be served',
  )
  goOn()
  expect(await (await within(answer, 'the handler')).text()).toBe('all')
  expect(offsets).toEqual(range(0, RECORDS))
})

test('many streams that catch up write in turns: other requests are served in between', async () => {
  const STREAMS = 40
  const topic = await kafka.createTopic(1)
  await using mount = new Mount(topic)
  const first = await mount.open('')
  const id = first.response.headers.get('kafka-cursor') ?? ''
  for (const _ of range(0, 4)) {
    const values = range(0, 200).map(() => ({ partition: 0, value: VALUE }))
    await kafka.produce(topic, values)
  }
  await first.takeTo(RECORDS - 1)
  const before = mount.sentBytes
  // The most bytes that are written between two turns of the event loop.
  let most = 0
  let last = before
  let isOver = false
  const look = () => {
    most = Math.max(most, mount.sentBytes - last)
    last = mount.sentBytes
    if (!isOver) setImmediate(look)
  }
  look()
  await Promise.all(
    range(0, STREAMS).map(async () => {
      const body = await mount.open('', { 'last-event-id': id })
      await body.takeTo(RECORDS - 1)
      expect(body.offsets).toEqual(range(0, RECORDS))
      await body.cancel()
    }),
  )
  isOver = true
  look()
  expect(mount.sentBytes - before).toBeGreaterThan(STREAMS * RECORDS * 10_000)
  // At most two turns come between two of these looks.
  expect(most).toBeLessThanOrEqual(2 * (1024 + 256) * KIB)
  await first.cancel()
}, 120_000)
