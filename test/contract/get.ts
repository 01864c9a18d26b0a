/**
 * The contract of single reads. The file has more than 400 lines because it follows docs/reading.md,
 * from a position and as the group.
 */
import { describe, expect, test } from 'bun:test'
import type { TestRecord } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { RawClient } from '../support/raw.ts'
import {
  type FlatBody,
  type KongBody,
  offsetsByPartition,
  places,
  Route,
  range,
  type Target,
} from '../support/route.ts'
import type { StreamedRecord } from '../support/sse.ts'
import { sleep, stays, until, within } from '../support/wait.ts'

const MINUTE = 60_000

/** Names that objects inherit, that end a string of C, and values that are none or empty. */
export const ODD_HEADERS: NonNullable<TestRecord['headers']> = [
  ['__proto__', 'p'],
  ['constructor', 'c'],
  ['toString', 't'],
  ['none', null],
  ['empty', ''],
  ['both', 'b'],
  ['both', null],
  ['bytes', null],
  ['bytes', new Uint8Array([255])],
  ['a\0b', 'c\0d'],
  ['\0', null],
]
export const SHOWN_ODD_HEADERS =
  '{"__proto__":"p","constructor":"c","toString":"t","none":null,"empty":"","both":["b",null],"bytes":[null,"/w=="],"a\\u0000b":"c\\u0000d","\\u0000":null}'

/** Records on the partitions in turn, with different values. */
export function spread(count: number, partitions = 4): TestRecord[] {
  return range(0, count).map((n) => ({ partition: n % partitions, value: `v${n}` }))
}

function manual(consumerGroupId = uniqueName('group')) {
  return { mode: 'manual' as const, consumerGroupId }
}

/** The next page, as the `Link` header names it. */
function next(response: Response, base: string): string {
  const link = response.headers.get('link') ?? ''
  const target = /<([^>]+)>\s*;\s*rel="?next"?/.exec(link)?.[1]
  if (target === undefined) throw new Error(`No rel="next" in the Link header "${link}"`)
  return new URL(target, base).href
}

export function describeGet(target: () => Target): void {
  describe.concurrent('GET, the content of an answer', () => {
    test('the same request gets the same answer until there are more records', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), { topics: [topic] })
      const begin = await route.fetch({ start: 'latest', timeout: 0 })
      const cursor = begin.headers.get('kafka-cursor') as string
      await kafka.produce(topic, spread(4))
      const query = { cursor, timeout: 5_000, format: 'records', max_records: 8 }
      const ask = async (more: Record<string, string> = {}) => {
        const response = await route.fetch({ ...query, ...more })
        const { 'kafka-cursor': next, link, vary } = Object.fromEntries(response.headers)
        const { records } = (await response.json()) as FlatBody
        return { values: records.map(({ value }) => value).sort(), next, link, vary }
      }
      await until(async () => (await ask()).values.length === 4, 'all of them to be there')
      const told = await ask()
      for (let i = 0; i < 3; i++) expect(await ask()).toEqual(told)
      expect((await ask({ partition: '1' })).values).toEqual(['v1'])
      expect((await route.fetch({ ...query, max_records: 0 })).status).toBe(400)
      await kafka.produce(topic, [{ partition: 2, value: 'w' }])
      await until(async () => (await ask()).values.includes('w'), 'the new one to be told')
      expect((await ask()).values).toEqual([...told.values, 'w'])
    })

    test('every subscribed partition appears with an array of records, as Kong has it', async () => {
      const { kafka } = target()
      const [topic, quiet] = [await kafka.createTopic(), await kafka.createTopic()]
      const timestamp = Date.now() - MINUTE
      await kafka.produce(topic, [
        { partition: 1, value: 'hello', timestamp, headers: [['trace', 'abc']] },
        { partition: 1, key: 'k', value: 'again', timestamp },
      ])
      await using route = await Route.mount(target(), {
        topics: [topic, quiet],
        autoOffsetReset: 'earliest',
        consumerGroup: manual(),
      })
      const response = await route.fetch()
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toStartWith('application/json')
      const body = (await response.json()) as KongBody
      expect(Object.keys(body).sort()).toEqual([topic, quiet].sort())
      for (const name of [topic, quiet]) {
        const partitions = body[name]?.partitions ?? {}
        expect(Object.keys(partitions).sort()).toEqual(['0', '1', '2', '3'])
        for (const partition of Object.values(partitions)) {
          expect(partition.errcode).toBe(0)
          expect(partition.aborted_transactions).toEqual([])
          expect(partition.high_watermark).toBeInteger()
          expect(partition.last_stable_offset).toBeInteger()
          expect(partition.records).toBeArray()
        }
      }
      expect(body[topic]?.partitions['1']).toEqual({
        errcode: 0,
        high_watermark: 2,
        last_stable_offset: 2,
        aborted_transactions: [],
        records: [
          { offset: 0, timestamp, key: null, value: 'hello', headers: { trace: 'abc' } },
          { offset: 1, timestamp, key: 'k', value: 'again', headers: {} },
        ],
      })
    })

    test('a read from a cursor has the form of a group read', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, [{ partition: 3, value: 'hello' }])
      await using route = await Route.mount(target(), { topics: [topic] })
      const body = (await (await route.fetch({ start: 'earliest' })).json()) as KongBody
      const partitions = body[topic]?.partitions ?? {}
      expect(Object.keys(partitions).sort()).toEqual(['0', '1', '2', '3'])
      expect(partitions['0']).toMatchObject({ errcode: 0, high_watermark: 0, records: [] })
      expect(partitions['3']).toMatchObject({
        errcode: 0,
        high_watermark: 1,
        last_stable_offset: 1,
        aborted_transactions: [],
        records: [{ offset: 0, value: 'hello' }],
      })
    })

    test('format=records and responseFormat: "records" answer a flat list', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const timestamp = Date.now() - MINUTE
      await kafka.produce(topic, [{ partition: 2, key: 'k', value: 'v', timestamp }])
      const record = {
        topic,
        partition: 2,
        offset: 0,
        timestamp,
        key: 'k',
        value: 'v',
        headers: {},
      }
      await using byQuery = await Route.mount(target(), { topics: [topic] })
      const flat = await byQuery.flat({ start: 'earliest' })
      expect(flat.records).toEqual([record])
      expect(flat.cursor).toBeString()
      await using byOption = await Route.mount(target(), {
        topics: [topic],
        responseFormat: 'records',
      })
      const response = await byOption.fetch({ start: 'earliest' })
      expect(await response.json()).toEqual({
        records: [record],
        cursor: response.headers.get('kafka-cursor'),
      })
      const kong = await byOption.fetch({ start: 'earliest', format: 'kong' })
      expect(await kong.json()).toHaveProperty([topic, 'partitions', '2', 'records'])
    })

    test('Accept: application/x-ndjson gives one record a line', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(20))
      await using route = await Route.mount(target(), { topics: [topic] })
      const flat = await route.records({ start: 'earliest' })
      const response = await route.fetch(
        { start: 'earliest' },
        { headers: { accept: 'application/x-ndjson' } },
      )
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toStartWith('application/x-ndjson')
      expect(response.headers.get('kafka-cursor')).toBeString()
      const text = await response.text()
      expect(text).toEndWith('\n')
      const lines = text.slice(0, -1).split('\n')
      expect(lines).toHaveLength(20)
      expect(places(lines.map((line) => JSON.parse(line) as StreamedRecord))).toEqual(places(flat))
    })

    test('keys, values, headers and timestamps arrive as they were written', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const binary = new Uint8Array([0, 255, 254, 128])
      const base64 = Buffer.from(binary).toString('base64')
      const timestamp = 1_700_000_000_123
      await kafka.produce(topic, [
        { key: 'tombstone', value: null, timestamp },
        { key: 'empty', value: '', timestamp },
        { key: '', value: 'empty key', timestamp },
        { key: null, value: 'no key', timestamp },
        { key: 'żółw', value: '🐢 "quoted" \\ back', timestamp },
        { key: binary, value: binary, timestamp },
        {
          value: 'headers',
          timestamp,
          headers: [
            ['once', '1'],
            ['twice', 'a'],
            ['twice', 'b'],
            ['empty', ''],
          ],
        },
      ])
      await using route = await Route.mount(target(), { topics: [topic] })
      const records = await route.records({ start: 'earliest', timeout: 20_000 })
      const common = { topic, partition: 0, timestamp, headers: {} }
      expect(records.slice(0, 6)).toEqual([
        { ...common, offset: 0, key: 'tombstone', value: null },
        { ...common, offset: 1, key: 'empty', value: '' },
        { ...common, offset: 2, key: '', value: 'empty key' },
        { ...common, offset: 3, key: null, value: 'no key' },
        { ...common, offset: 4, key: 'żółw', value: '🐢 "quoted" \\ back' },
        {
          ...common,
          offset: 5,
          key: base64,
          value: base64,
          encoding: { key: 'base64', value: 'base64' },
        },
      ])
      expect(JSON.stringify(records[6]?.headers)).toBe('{"once":"1","twice":["a","b"],"empty":""}')
    })

    test('headers of any name, and without a value, are told apart, from a position and as the group', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, [
        { value: 'before' },
        {
          value: 'odd',
          headers: ODD_HEADERS,
        },
        { value: 'after' },
      ])
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
      })
      for (const records of [await route.records({ start: 'earliest' }), await route.drain(3)]) {
        expect(records.map(({ value }) => value)).toEqual(['before', 'odd', 'after'])
        expect(JSON.stringify(records[1]?.headers)).toBe(SHOWN_ODD_HEADERS)
      }
    })

    test('a header that is not UTF-8 arrives as base64, and the record says so', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, [
        {
          value: 'v',
          headers: [
            ['text', 't'],
            ['bytes', new Uint8Array([255, 0])],
          ],
        },
      ])
      await using route = await Route.mount(target(), { topics: [topic] })
      const [record] = await route.records({ start: 'earliest' })
      expect(record?.headers).toEqual({ text: 't', bytes: '/wA=' })
      expect(JSON.stringify(record?.encoding)).toContain('bytes')
    })

    test('a value that does not deserialize is delivered as base64 and leaves its neighbours alone', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, [
        { value: '{"a":[1,null,"x"]}' },
        { value: '{"a":' },
        { value: new Uint8Array([255]) },
        { value: '' },
        { value: null },
        { value: '"text"' },
        { value: 'null' },
        { value: '12345678901234567890' },
      ])
      await using route = await Route.mount(target(), {
        topics: [topic],
        messageDeserializer: 'json',
      })
      const records = await route.records({ start: 'earliest' })
      expect(records.map(({ offset }) => offset)).toEqual(range(0, 8))
      expect(records[0]).toMatchObject({ value: { a: [1, null, 'x'] } })
      for (const [offset, bytes] of [
        [1, '{"a":'],
        [2, new Uint8Array([255])],
        [3, ''],
      ] as const) {
        expect(records[offset]).toMatchObject({
          value: Buffer.from(bytes).toString('base64'),
          encoding: { value: 'base64' },
          error: { code: 'DESERIALIZATION_FAILED', message: expect.any(String) },
        })
      }
      expect(records[4]?.value).toBeNull()
      expect(records[4]).not.toHaveProperty('error')
      expect(records[5]?.value).toBe('text')
      expect(records[6]?.value).toBeNull()
      expect(records[6]).not.toHaveProperty('error')
      expect(records[7]).not.toHaveProperty('error')
    })
  })

  describe.concurrent('GET, limits', () => {
    test('max_records cuts a response, and the next one goes on without a hole', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(10, 1))
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup: manual(),
      })
      const first = await route.records({ max_records: 3 })
      const rest = await route.drain(7)
      expect(first.map(({ offset }) => offset)).toEqual([0, 1, 2])
      expect(rest.map(({ offset }) => offset)).toEqual(range(3, 10))
    })

    test('max_bytes cuts a response, but a first record comes whatever its size', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, [
        { value: 'x'.repeat(10_000) },
        ...range(0, 10).map(() => ({ value: 'y'.repeat(1_000) })),
      ])
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup: manual(),
      })
      expect(await route.records({ max_bytes: 2_500 })).toHaveLength(1)
      expect(await route.records({ max_bytes: 2_500 })).toHaveLength(2)
      const rest = await route.drain(8)
      expect(rest.map(({ offset }) => offset)).toEqual(range(3, 11))
      const byCursor = await route.flat({ start: 'earliest', max_bytes: 11_500 })
      expect(byCursor.records.map(({ offset }) => offset)).toEqual([0, 1])
      const after = await route.records({ cursor: byCursor.cursor ?? '' })
      expect(after.map(({ offset }) => offset)).toEqual(range(2, 11))
    })

    test('timeout limits how long an answer waits for a first record', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), { topics: [topic], consumerGroup: manual() })
      await route.records({ timeout: 0 })
      for (const read of [{}, { start: 'latest' }]) {
        for (const timeout of [0, 600]) {
          const began = performance.now()
          expect(await route.records({ ...read, timeout })).toEqual([])
          const took = performance.now() - began
          expect(took).toBeGreaterThanOrEqual(timeout - 20)
          expect(took).toBeLessThan(timeout + 10_000)
        }
      }
    })

    test('a waiting GET returns as soon as a record arrives', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), { topics: [topic], consumerGroup: manual() })
      for (const read of [{}, { start: 'latest' }]) {
        // The first read takes its time to connect; the end is that of when it has.
        await route.records({ ...read, timeout: 0 })
        let isAnswered = false
        const waiting = route.records({ ...read, timeout: 15_000 }).finally(() => {
          isAnswered = true
        })
        await stays(() => !isAnswered, 'the GET waits', 1_000)
        const began = performance.now()
        await kafka.produce(topic, [{ value: 'now' }])
        expect({ read, records: await waiting }).toMatchObject({
          read,
          records: [{ value: 'now' }],
        })
        expect(performance.now() - began).toBeLessThan(12_000)
      }
    })

    test('the first GET of a new group does not answer [] while the topic has records', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(4))
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup: manual(),
      })
      const first = await route.records()
      expect(first.length).toBeGreaterThan(0)
      const rest = first.length < 4 ? await route.drain(4 - first.length) : []
      expect(places([...first, ...rest])).toEqual(places(range(0, 4).map(at)))
    })
  })

  describe.concurrent('GET, reading as a group', () => {
    test('of many clients at the same time none starves, however much another one asks for', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const clients = 20
      // Some sixty rounds, so that a connection that opens late does not weigh.
      await kafka.produce(topic, spread(12_000))
      await using route = await Route.mount(target(), {
        topics: [topic],
        consumerGroup: manual(),
        autoOffsetReset: 'earliest',
      })
      const answers = Array.from({ length: clients }, () => 0)
      let left = 12_000
      // One of them takes twenty times as much as each of the others.
      const limitOf = (client: number) => (client === 0 ? 100 : 5)
      const read = async (client: number) => {
        while (left > 0) {
          const records = await route.records({ max_records: limitOf(client), timeout: 200 })
          left -= records.length
          if (records.length > 0) answers[client] = (answers[client] ?? 0) + 1
        }
      }
      await Promise.all(answers.map((_, client) => read(client)))
      expect(left).toBe(0)
      const mean = answers.reduce((sum, count) => sum + count, 0) / clients
      expect(Math.min(...answers)).toBeGreaterThanOrEqual(Math.floor(mean / 3))
    })

    test('each record goes to one client, however many ask at a time', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written = await kafka.produce(topic, spread(600))
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup: manual(),
      })
      const got: StreamedRecord[] = []
      const client = async () => {
        while (got.length < 600)
          got.push(...(await route.records({ max_records: 7, timeout: 300 })))
      }
      await within(
        Promise.all(range(0, 8).map(client)),
        'eight clients to share 600 records',
        20_000,
      )
      expect(places(got)).toEqual(places(written))
    })

    test('a record that comes after its client left goes to the next client', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup: manual(),
      })
      await route.records({ timeout: 0 })
      const leaver = new AbortController()
      const left = route.fetch({ timeout: 20_000 }, { signal: leaver.signal })
      // No event marks that the server has begun to wait, or has noticed that its client left.
      await sleep(300)
      leaver.abort()
      await expect(left).rejects.toThrow()
      await sleep(200)
      const written = await kafka.produce(topic, spread(8))
      expect(places(await route.drain(8))).toEqual(places(written))
    })

    test('records of an answer that its client did not read go to the next client', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const value = 'x'.repeat(900_000)
      const written = await kafka.produce(
        topic,
        range(0, 16).map((n) => ({ partition: n % 4, value })),
      )
      const consumerGroup = manual()
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup,
      })
      // The group has joined and read ahead, so that the next response is more than sockets hold.
      const first = await route.records({ max_records: 1 })
      await until(async () => {
        const [group] = (await route.stats()).groups
        return group?.partitions.every(({ end }) => end >= 4) ?? false
      }, 'the group to have read of each partition')
      // No event marks that it has read the rest.
      await sleep(1_000)
      const limits = { max_bytes: 16 * 1024 * 1024 }
      const client = await RawClient.open(route.url({ ...limits, format: 'records' }))
      await until(
        async () => (await route.stats()).answerBytes > 4 * 1024 * 1024,
        'an answer that is more than sockets hold',
      )
      // The server writes until the socket takes no more.
      await sleep(700)
      client.reset()
      const rest = await route.drain(15, limits)
      expect(places([...first, ...rest])).toEqual(places(written))
    })

    test('records that were delivered are committed, and no others', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(10, 1))
      const consumerGroup = manual()
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup,
      })
      await route.records({ max_records: 4 })
      await until(
        async () => (await kafka.committed(consumerGroup.consumerGroupId, topic))[0] === 4,
        'offset 4 to be committed',
      )
    })

    test('a group goes on where it stopped, after close and a new handler', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written = await kafka.produce(topic, spread(40))
      const options = {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup: manual(),
      } as const
      let before: readonly StreamedRecord[]
      {
        await using first = await Route.mount(target(), options)
        before = await first.records({ max_records: 15 })
        expect(before.length).toBeGreaterThan(0)
      }
      await using second = await Route.mount(target(), options)
      const after = await second.drain(40 - before.length)
      expect(places([...before, ...after])).toEqual(places(written))
    })

    test('the id of a random group lasts: it goes on after a restart, too', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written = await kafka.produce(topic, spread(20))
      const options = { topics: [topic], autoOffsetReset: 'earliest' } as const
      let before: readonly StreamedRecord[]
      {
        await using first = await Route.mount(target(), options)
        before = await first.records({ max_records: 5 })
      }
      await using second = await Route.mount(target(), options)
      const after = await second.drain(20 - before.length)
      expect(places([...before, ...after])).toEqual(places(written))
    })

    test('autoOffsetReset: latest begins at the end at the time of the first GET', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(8))
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'latest',
        consumerGroup: manual(),
      })
      expect(await route.records({ timeout: 300 })).toEqual([])
      const written = await kafka.produce(topic, spread(8))
      expect(places(await route.drain(8))).toEqual(places(written))
    })

    test('two handlers of one group share the records between them', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const options = {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup: manual(),
      } as const
      await using one = await Route.mount(target(), options)
      await using two = await Route.mount(target(), options)
      const got = [...(await one.records({ timeout: 0 })), ...(await two.records({ timeout: 0 }))]
      const written = await kafka.produce(topic, spread(200))
      const client = async (route: Route) => {
        while (new Set(places(got)).size < 200) {
          got.push(...(await route.records({ max_records: 20, timeout: 300 })))
        }
      }
      await within(
        Promise.all([client(one), client(two)]),
        'two handlers to read 200 records',
        20_000,
      )
      // Membership may still have been settling: records may repeat, but none is lost.
      expect([...new Set(places(got))]).toEqual(places(written))
    })
  })

  // By itself: a process that is busy learns late that a client left.
  describe('GET, as a group, with clients that leave', () => {
    test('records that come just after their client left go to the next client', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup: manual(),
      })
      await route.records({ timeout: 0 })
      for (const n of range(0, 15)) {
        const leaver = await RawClient.open(route.url({ timeout: 5_000 }))
        // Each client leaves a little later in the life of its request.
        await sleep(20 + n)
        leaver.reset()
        // The runtime needs some time to report that the client has left.
        await sleep(20)
        const written = await kafka.produce(topic, [{ partition: n % 4, value: 'v' }])
        expect(places(await route.drain(1))).toEqual(places(written))
      }
    })

    test('a client that leaves before its request was read gets no records', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup: manual(),
      })
      await route.records({ timeout: 0 })
      for (const n of range(0, 20)) {
        const written = await kafka.produce(topic, [{ partition: n % 4, value: 'v' }])
        // The group has it ready, and answers at once.
        await until(async () => {
          const { groups } = await route.stats()
          const ends = groups[0]?.partitions.map(({ end }) => end) ?? []
          return ends.reduce((sum, end) => sum + Math.max(end, 0), 0) === n + 1
        }, 'the group to read ahead')
        await route.whileBlocked(async () => {
          await using leaver = await RawClient.open(route.url())
          if (n % 2 === 0) leaver.reset()
        })
        expect(places(await route.drain(1))).toEqual(places(written))
      }
    })
  })

  describe.concurrent('GET, reading from a cursor', () => {
    test('a read from a cursor can be repeated, and commits nothing', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written = await kafka.produce(topic, spread(12))
      const consumerGroup = manual()
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup,
      })
      const once = await route.flat({ start: 'earliest' })
      const again = await route.flat({ start: 'earliest' })
      expect(places(once.records)).toEqual(places(written))
      expect(places(again.records)).toEqual(places(written))
      expect(await kafka.committed(consumerGroup.consumerGroupId, topic)).toEqual([-1, -1, -1, -1])
      expect(places(await route.drain(12))).toEqual(places(written))
    })

    test('the next cursor is in Kafka-Cursor, in the body and behind Link rel=next', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(6, 1))
      await using route = await Route.mount(target(), { topics: [topic] })
      const response = await route.fetch({ start: 'earliest', max_records: 4, format: 'records' })
      const cursor = response.headers.get('kafka-cursor')
      expect(cursor).toBe(`${topic}:0=4,1=0,2=0,3=0`)
      expect(await response.json()).toMatchObject({ cursor })
      const link = new URL(next(response, route.url()))
      expect(link.searchParams.get('cursor')).toBe(cursor)
      expect(link.searchParams.get('max_records')).toBe('4')
      expect(link.searchParams.get('format')).toBe('records')
      expect(link.searchParams.has('start')).toBe(false)
      const page = (await (await fetch(link)).json()) as { records: StreamedRecord[] }
      expect(page.records.map(({ offset }) => offset)).toEqual([4, 5])
    })

    test('an address in Link has no semicolon, at which Python’s requests and httpx would end it', async () => {
      const { kafka } = target()
      const topics = [await kafka.createTopic(), await kafka.createTopic()]
      await using route = await Route.mount(target(), { topics })
      const response = await route.fetch({ start: 'earliest' })
      const link = next(response, route.url())
      expect(link).not.toContain(';')
      expect(new URL(link).searchParams.get('cursor')).toBe(response.headers.get('kafka-cursor'))
      expect((await fetch(link)).status).toBe(200)
    })

    test('paging to the end yields every record exactly once, each partition in order', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(100))
      await using route = await Route.mount(target(), { topics: [topic] })
      const got: StreamedRecord[] = []
      let url = route.url({ start: 'earliest', max_records: 7, timeout: 100, format: 'records' })
      for (let page = 0; ; page += 1) {
        expect(page).toBeLessThan(1_000)
        const response = await within(fetch(url), `page ${page}`)
        const { records } = (await response.json()) as { records: StreamedRecord[] }
        // A busy machine may take longer for a page than its client waits.
        if (records.length === 0 && got.length >= 100) break
        expect(records.length).toBeLessThanOrEqual(7)
        got.push(...records)
        url = next(response, url)
      }
      expect(offsetsByPartition(got)).toEqual({
        0: range(0, 25),
        1: range(0, 25),
        2: range(0, 25),
        3: range(0, 25),
      })
    })

    test('each page is read by the consumer of the page before, also by two clients in turn that share one catch-up read', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(60))
      await using route = await Route.mount(target(), { topics: [topic], maxCatchUpReads: 1 })
      const first = { start: 'earliest', max_records: 5, format: 'records' }
      const readers = range(0, 3).map(() => ({
        url: route.url(first),
        got: [] as StreamedRecord[],
      }))
      for (const turns of [1, 3, 2, 1, 3, 2]) {
        for (const reader of readers) {
          for (let turn = 0; turn < turns; turn++) {
            const response = await within(fetch(reader.url), 'a page')
            expect(response.status).toBe(200)
            reader.got.push(...((await response.json()) as { records: StreamedRecord[] }).records)
            reader.url = next(response, reader.url)
            expect((await route.stats()).catchUpReads).toBeLessThanOrEqual(1)
          }
        }
      }
      for (const { got } of readers) {
        expect(got).toHaveLength(60)
        expect(offsetsByPartition(got)).toEqual({
          0: range(0, 15),
          1: range(0, 15),
          2: range(0, 15),
          3: range(0, 15),
        })
      }
      await until(
        async () => (await route.stats()).catchUpReads === 0,
        'the suspended read to be closed',
      )
    })

    test('start=latest answers a cursor of the end, which stays until records come', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(8))
      await using route = await Route.mount(target(), { topics: [topic] })
      const end = await route.flat({ start: 'latest', timeout: 0 })
      expect(end).toEqual({ records: [], cursor: `${topic}:0=2,1=2,2=2,3=2` })
      const written = await kafka.produce(topic, spread(8))
      // An answer does not wait for what is still on its way, so it may take several.
      const after: StreamedRecord[] = []
      let cursor = end.cursor ?? ''
      await until(async () => {
        const page = await route.flat({ cursor })
        after.push(...page.records)
        cursor = page.cursor ?? ''
        return after.length >= 8
      }, '8 records after the end')
      expect(places(after)).toEqual(places(written))
    })

    test('start takes an ISO 8601 time and a duration back from now', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const now = Date.now()
      const ages = [180, 90, 20, 5, 1]
      for (const age of ages) {
        await kafka.produce(topic, [{ value: `${age}`, timestamp: now - age * MINUTE }])
      }
      await using route = await Route.mount(target(), { topics: [topic] })
      const values = async (start: string, timeout = 10_000) =>
        (await route.records({ start, timeout })).map(({ value }) => value)
      expect(await values('-PT10M')).toEqual(['5', '1'])
      expect(await values('-10m')).toEqual(['5', '1'])
      expect(await values('-2h')).toEqual(['90', '20', '5', '1'])
      expect(await values('-PT1H30M30S')).toEqual(['90', '20', '5', '1'])
      expect(await values(new Date(now - 20 * MINUTE).toISOString())).toEqual(['20', '5', '1'])
      expect(await values('2020-01-01T00:00:00Z')).toEqual(ages.map(String))
      expect(await values(new Date(now + MINUTE).toISOString(), 300)).toEqual([])
    })

    test('a cursor that retention has overtaken reads on from what is left', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(10, 1))
      await kafka.expire(topic, 0, 5)
      await kafka.produce(topic, [{ value: 'kept' }])
      const { lowOffset } = await kafka.watermarks(topic, 0)
      await using route = await Route.mount(target(), { topics: [topic] })
      const cursor = `${topic}:0=2,1=0,2=0,3=0`
      const records = await route.records({ cursor, max_bytes: 16 * 1024 * 1024 })
      expect(records[0]?.offset).toBe(lowOffset)
    })
  })
}

/** Where the record of `spread` with this number is. */
function at(n: number): { partition: number; offset: number } {
  return { partition: n % 4, offset: Math.floor(n / 4) }
}
