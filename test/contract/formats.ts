import { describe, expect, test } from 'bun:test'
import { uniqueName } from '../support/names.ts'
import { Route, type RouteOptions, type Target } from '../support/route.ts'
import { SocketClient } from '../support/socket.ts'
import { until } from '../support/wait.ts'

const LINES = { headers: { accept: 'application/x-ndjson' } }

/** Three records, and what they are in each format. */
const WRITTEN = [
  { key: 'k', value: '{"id":12345678901234567890}' },
  { key: null, value: null },
  { value: 'no JSON', headers: [['a', 'b']] },
] as const
const VALUES = ['{"id":12345678901234567890}', 'null']

function written(target: () => Target, options: Omit<RouteOptions, 'topics'> = {}) {
  return async () => {
    const { kafka } = target()
    const topic = await kafka.createTopic()
    await kafka.produce(topic, WRITTEN)
    return Route.mount(target(), {
      topics: [topic],
      mode: 'auto',
      messageDeserializer: 'json',
      autoOffsetReset: 'earliest',
      consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('group') },
      ...options,
    })
  }
}

/** Formats that clients ask for by name. */
export function describeFormats(target: () => Target): void {
  describe.concurrent('formats', () => {
    const mounted = written(target)

    test('value: an array, lines and events of values; a record with an error is whole', async () => {
      await using route = await mounted()
      const query = { format: 'value', timeout: 5_000 }
      for (const from of [{ start: 'earliest' }, {}]) {
        const response = await route.fetch({ ...query, ...from })
        expect(response.headers.get('content-type')).toBe('application/json')
        expect(response.headers.has('kafka-cursor')).toBe('start' in from)
        const text = await response.text()
        expect(text).toStartWith(`[${VALUES.join(',')},{"topic":`)
        expect(JSON.parse(text)).toMatchObject([
          {},
          null,
          { offset: 2, headers: { a: 'b' }, error: { code: 'DESERIALIZATION_FAILED' } },
        ])
      }
      const lines = await route.fetch({ ...query, start: 'earliest' }, LINES)
      expect((await lines.text()).split('\n').slice(0, 2)).toEqual(VALUES)

      await using stream = await route.stream({ format: 'value', start: 'earliest' })
      await stream.until(3)
      expect(stream.events.map(({ data }) => data).slice(0, 2)).toEqual(VALUES)
      expect(stream.lastEventId).toMatch(/:0=3,1=0,2=0,3=0$/)
    })

    test('cloudevents: a batch, lines and events', async () => {
      await using route = await mounted()
      const query = { format: 'cloudevents', start: 'earliest' }
      const response = await route.fetch(query)
      expect(response.headers.get('content-type')).toBe('application/cloudevents-batch+json')
      const text = await response.text()
      const events = JSON.parse(text) as unknown[]
      expect(text).toContain('"data":{"id":12345678901234567890}')
      expect(events).toMatchObject([
        { specversion: '1.0', id: '0:0', subject: 'k', datacontenttype: 'application/json' },
        { specversion: '1.0', id: '0:1' },
        { id: '0:2', errorcode: 'DESERIALIZATION_FAILED', data_base64: btoa('no JSON') },
      ])
      const lines = (await (await route.fetch(query, LINES)).text()).trimEnd().split('\n')
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(events)
      await using stream = await route.stream(query)
      await stream.until(3)
      expect(stream.records<unknown>()).toEqual(events)
    })

    test('whatever a record holds, its neighbours arrive, and the group and the stream go on', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic(4, 1, undefined, {
        'message.timestamp.after.max.ms': String(2n ** 63n - 1n),
      })
      const deep = `${'['.repeat(2_000)}${']'.repeat(2_000)}`
      const values = ['{"a":1}\n', '[1] ', ' "x" ', '1\r\n', '{"__proto__":1}', deep, '{"z":1}']
      await kafka.produce(
        topic,
        values.map((value, n) => ({
          partition: 0,
          value,
          ...(n === 1 && { timestamp: 1_795_875_915_705_000_000 }),
        })),
      )
      for (const format of ['value', 'cloudevents'] as const) {
        await using route = await Route.mount(target(), {
          topics: [topic],
          mode: 'auto',
          messageDeserializer: 'json',
          responseFormat: format,
          autoOffsetReset: 'earliest',
          consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('group') },
        })
        const expected = values.map((value) => JSON.parse(value) as unknown)
        const dataOf = (all: readonly unknown[]) =>
          format === 'value' ? all : all.map((event) => (event as { data: unknown }).data)
        const group: unknown[] = []
        await until(async () => {
          const response = await route.fetch({ timeout: 1_000 })
          expect(response.status).toBe(200)
          group.push(...((await response.json()) as unknown[]))
          return group.length >= values.length
        }, 'all records as the group')
        expect(dataOf(group)).toEqual(expected)
        const response = await route.fetch({ start: 'earliest' })
        expect(dataOf((await response.json()) as unknown[])).toEqual(expected)
        await using stream = await route.stream({ start: 'earliest' })
        await stream.until(values.length)
        const events = stream.records<Record<string, unknown>>()
        expect(dataOf(events)).toEqual(expected)
        if (format === 'value') continue
        const timed = events.map((event) => 'time' in event)
        expect(timed).toEqual(values.map((_, n) => n !== 1))
      }
    })

    // Without a filter the group encodes records in native code, with one in JavaScript.
    test('a group’s answer has the same bytes in every form, whether a filter is in its way or not', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const bytes = Uint8Array.from([0xff, 0, 0xc3, 0x28])
      await kafka.produce(topic, [
        ...WRITTEN.map((record) => ({ ...record, partition: 0 })),
        ...[' [1,\r\n2] ', '\u0000"\\\u2028🐢', '1e400', '', bytes].map((value) => ({
          partition: 0,
          key: value,
          value,
        })),
        {
          partition: 0,
          value: '{"a":"b"}',
          headers: [
            ['a', 'b'],
            ['__proto__', 'c'],
            ['a', null],
            ['b', bytes],
          ],
        },
      ])
      const body = async (
        messageDeserializer: 'noop' | 'json',
        query: Record<string, string>,
        init: { headers?: Record<string, string> },
      ) => {
        await using route = await Route.mount(target(), {
          topics: [topic],
          messageDeserializer,
          autoOffsetReset: 'earliest',
          consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('group') },
        })
        const text = await (await route.fetch({ timeout: 5_000, ...query }, init)).text()
        // They are known or not, depending on what Kafka's client has fetched by then.
        return text.replace(/"(high_watermark|last_stable_offset)":-?\d+/g, '"$1":0')
      }
      // A poll brings what the client has fetched by then, which may lack the last record.
      const wholeBody = async (...asked: Parameters<typeof body>): Promise<string> => {
        const text = await body(...asked)
        return /a\\*":\\*"b/.test(text) ? text : wholeBody(...asked)
      }
      const lists = ['kong', 'records', 'value', 'cloudevents'].map(
        (format) => [format, {}] as const,
      )
      const lines = ['records', 'value', 'cloudevents'].map((format) => [format, LINES] as const)
      for (const deserializer of ['noop', 'json'] as const) {
        for (const [format, init] of [...lists, ...lines]) {
          const [plain, filtered] = await Promise.all([
            wholeBody(deserializer, { format }, init),
            wholeBody(deserializer, { format, filter: 'offset >= 0' }, init),
          ])
          expect(plain.length).toBeGreaterThan(100)
          expect(plain).toBe(filtered)
        }
      }
    })

    test('on a stream a filter still sees the whole record', async () => {
      await using route = await mounted()
      await using stream = await route.stream({ format: 'value', start: 'earliest', key: 'k' })
      await stream.until(1)
      expect(stream.events.map(({ data }) => data)).toEqual(VALUES.slice(0, 1))
    })

    test('responseFormat is the default, and a client may ask for another', async () => {
      await using route = await written(target, { responseFormat: 'value' })()
      expect(await (await route.fetch({ start: 'earliest' })).text()).toStartWith('[{"id":')
      expect(await route.records({ start: 'earliest' })).toHaveLength(3)
      await using stream = await route.stream({ start: 'earliest' })
      await stream.until(3)
      expect(stream.events[0]?.data).toBe(VALUES[0] as string)
      await using whole = await route.stream({ start: 'earliest', format: 'records' })
      await whole.until(3)
      expect(whole.records()[0]).toMatchObject({ offset: 0, key: 'k' })
    })

    test('Kong’s form is refused on a stream', async () => {
      await using route = await mounted()
      const accept = { headers: { accept: 'text/event-stream' } }
      const response = await route.fetch({ format: 'kong' }, accept)
      expect(response.status).toBe(400)
      expect(await response.json()).toEqual({
        message: 'Cannot use parameter "format": it must be "records" or "value" or "cloudevents"',
        code: 'INVALID_PARAMETER',
      })
    })

    test('on a WebSocket each frame has the event as its data, beside the cursor', async () => {
      await using route = await written(target, { mode: 'websocket' })()
      const query = { format: 'cloudevents', start: 'earliest' }
      await using socket = await SocketClient.open(route.url(query))
      const events = () =>
        socket.frames.flatMap(({ data }) => (data ? [data as { id: string }] : []))
      await until(() => events().some(({ id }) => id === '0:2'), 'the last event')
      for (const frame of socket.frames.slice(1))
        expect(Object.keys(frame)).toEqual(['data', 'cursor'])
    })
  })
}

/** A format of the app's own. */
export function describeOwnFormat(target: () => Target): void {
  describe.concurrent('a format of the app’s own', () => {
    test('decides all that clients get of a record', async () => {
      const mounted = written(target, {
        format: ({ offset, key, error }) => {
          if (offset === 1) throw new Error('no')
          return error ? `bad: ${error.code}` : [offset, key]
        },
      })
      await using route = await mounted()
      const expected = [
        [0, 'k'],
        { offset: 1, error: { code: 'FORMAT_FAILED' } },
        'bad: DESERIALIZATION_FAILED',
      ]
      for (const query of [{ start: 'earliest' }, { timeout: 5_000 }]) {
        expect(await (await route.fetch(query)).json()).toMatchObject(expected)
      }
      await using stream = await route.stream({ start: 'earliest' })
      await stream.until(3)
      expect(stream.records<unknown>()).toMatchObject(expected)

      const refused = await route.fetch({ start: 'earliest', format: 'records' })
      expect(refused.status).toBe(400)
      expect(await refused.json()).toMatchObject({
        message: 'Cannot use parameter "format": this route has a format of its own',
      })
    })
  })
}
