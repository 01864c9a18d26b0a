/**
 * The contract of WebSockets, without and with acknowledgements. The file has more than 400 lines
 * because both share their clients.
 */
import { describe, expect, test } from 'bun:test'
import { uniqueName } from '../support/names.ts'
import { RawClient, sendRaw } from '../support/raw.ts'
import { places, Route, type RouteOptions, range, type Target } from '../support/route.ts'
import { SocketClient } from '../support/socket.ts'
import { SseClient } from '../support/sse.ts'
import { sleep, stays, until, within } from '../support/wait.ts'
import { spread } from './get.ts'

const SOCKET = { mode: 'websocket' } as const
/** The headers of a handshake, with the key of RFC 6455's example. */
const HANDSHAKE: Readonly<Record<string, string>> = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
}

/** The cursor of a frame of any format, and the text of its record if it has one. */
function readFrame(frame: unknown): { cursor: string; text: string | undefined } {
  const { cursor, value, data = value } = frame as { [name: string]: unknown }
  const isText = data === undefined || typeof data === 'string'
  return { cursor: cursor as string, text: isText ? data : (data as { data: string }).data }
}

export function describeSocket(target: () => Target): void {
  async function topicWith(count: number): Promise<string> {
    const { kafka } = target()
    const topic = await kafka.createTopic()
    if (count > 0) await kafka.produce(topic, spread(count))
    return topic
  }

  describe.concurrent('WebSocket', () => {
    test('brings the records that an event stream brings, one a frame', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, [
        { partition: 2, key: 'k', value: 'line\nline', headers: [['trace', 'abc']] },
        { partition: 0, value: new Uint8Array([0xff]) },
        { partition: 1, value: null },
      ])
      await using route = await Route.mount(target(), { topics: [topic], ...SOCKET })
      await using stream = await Route.mount(target(), {
        topics: [topic],
        mode: 'server-sent-events',
      })
      await using socket = await SocketClient.open(route.url({ start: 'earliest' }))
      await using events = await stream.stream({ start: 'earliest' })
      await Promise.all([socket.until(3), events.until(3)])
      const sorted = (records: readonly { partition: number }[]) =>
        [...records].sort((a, b) => a.partition - b.partition)
      expect(sorted(socket.withoutCursors())).toEqual(sorted(events.records()))
    })

    test('begins at the end, sends its position, and goes on with the records that come', async () => {
      const { kafka } = target()
      const topic = await topicWith(8)
      await using route = await Route.mount(target(), { topics: [topic], ...SOCKET })
      await using socket = await SocketClient.open(route.url())
      await until(() => socket.cursor !== undefined, 'the first cursor')
      expect(socket.cursor).toBe(`${topic}:0=2,1=2,2=2,3=2`)
      await kafka.produce(topic, [{ partition: 3, value: 'new' }])
      await socket.until(1)
      expect(socket.records()).toMatchObject([{ partition: 3, offset: 2, value: 'new' }])
    })

    test('a client that comes back with the newest cursor misses nothing and gets nothing twice', async () => {
      const { kafka } = target()
      const topic = await topicWith(400)
      await using route = await Route.mount(target(), { topics: [topic], ...SOCKET })
      const seen: string[] = []
      let cursor: string | undefined
      for (let visit = 0; visit < 3; visit++) {
        const query = cursor === undefined ? { start: 'earliest' } : { cursor }
        const socket = await SocketClient.open(route.url(query))
        await socket.until(visit === 0 ? 400 : 40)
        seen.push(...places(socket.records()))
        cursor = socket.cursor
        await socket.close()
        await kafka.produce(topic, spread(40))
      }
      expect(seen.length).toBe(480)
      expect(new Set(seen).size).toBe(480)
    })

    for (const format of ['records', 'value', 'cloudevents'] as const) {
      test(`a client of format=${format} that is cut off anywhere goes on by its newest cursor: 0 lost, 0 doubled`, async () => {
        const { kafka } = target()
        const topic = await kafka.createTopic()
        const records = Array.from({ length: 2_000 }, (_, n) => ({
          partition: n % 4,
          value: `value ${n}`,
        }))
        await kafka.produce(topic, records.slice(0, 1_000))
        await using route = await Route.mount(target(), { topics: [topic], ...SOCKET })
        const seen: string[] = []
        let query: Record<string, string> = { start: 'earliest' }
        for (let written = 1_000; seen.length < 2_000; ) {
          const socket = await SocketClient.open(route.url({ ...query, format }))
          const wanted = 1 + Math.floor(Math.random() * 200)
          const more = records.slice(written, written + 100)
          written += more.length
          await kafka.produce(topic, more)
          const rest = 2_000 - seen.length
          await until(
            () => socket.frames.length >= Math.min(wanted, rest),
            () => `frames at ${JSON.stringify(query)}`,
          )
          // Messages after a cut did not reach the client.
          const frames = socket.frames.slice(0, wanted)
          await socket.close()
          for (const frame of frames) {
            const { cursor, text } = readFrame(frame)
            query = { cursor }
            if (text !== undefined) seen.push(text)
          }
        }
        expect(seen.length).toBe(2_000)
        expect(seen.toSorted()).toEqual(records.map(({ value }) => value).sort())
      }, 120_000)
    }

    test('filters apply, and the cursor moves past records that they leave out', async () => {
      const topic = await topicWith(40)
      await using route = await Route.mount(target(), {
        topics: [topic],
        ...SOCKET,
        heartbeat: 200,
      })
      const url = route.url({ start: 'earliest', partition: 1, key: 'never' })
      await using socket = await SocketClient.open(url)
      await until(
        () => socket.cursor === `${topic}:0=10,1=10,2=10,3=10`,
        () => `the cursor at the end; it is ${socket.cursor}`,
      )
      expect(socket.records()).toEqual([])
    })

    test('a WebSocket that cannot be opened gets an HTTP status', async () => {
      const topic = await topicWith(0)
      await using route = await Route.mount(target(), { topics: [topic], ...SOCKET })
      const plain = await route.fetch()
      expect(plain.status).toBe(426)
      expect(plain.headers.get('upgrade')).toBe('websocket')
      expect(await plain.json()).toMatchObject({ code: 'UPGRADE_REQUIRED' })
      for (const query of [
        { acks: 'perhaps' },
        { acks: ['true', 'false'] },
        { acks: ['false', 'true'] },
        { max_unacked: 10 },
        { acks: 'true', max_unacked: 0 },
        { acks: 'true', start: 'earliest' },
        { cursor: 'x' },
      ]) {
        const response = await route.fetch(query, { headers: HANDSHAKE })
        expect([query, response.status]).toEqual([query, 400])
      }
      await route.untilSubscribers(0)
    })

    test('a route of a mode without WebSockets refuses a handshake, and takes no records', async () => {
      const topic = await topicWith(3)
      for (const mode of ['http-get', 'server-sent-events'] as const) {
        const options = { topics: [topic], mode, autoOffsetReset: 'earliest' } as const
        await using route = await Route.mount(target(), options)
        const refused = await route.fetch({}, { headers: HANDSHAKE })
        // The server for Node answers a handshake that is refused by the status alone.
        expect([mode, refused.status]).toEqual([mode, 400])
        expect((await route.stats()).groups).toEqual([])
      }
    })

    test('a handshake is answered as RFC 6455 says, and a malformed one is refused', async () => {
      const topic = await topicWith(0)
      await using route = await Route.mount(target(), { topics: [topic], ...SOCKET })
      const url = route.url()
      const { pathname } = new URL(url)
      const handshake = (change: Record<string, string | undefined>, method = 'GET') => {
        const lines = Object.entries({ host: 'x', ...HANDSHAKE, ...change }).flatMap(
          ([name, value]) => (value === undefined ? [] : [`${name}: ${value}\n`]),
        )
        return sendRaw(url, `${method} ${pathname} HTTP/1.1\n${lines.join('')}\n`)
      }
      for (const accepted of [
        {},
        { connection: 'keep-alive, Upgrade' },
        { connection: 'upgrade' },
        { upgrade: 'WebSocket' },
      ]) {
        const answer = await handshake(accepted)
        expect([accepted, answer.split('\r\n')[0]]).toEqual([
          accepted,
          'HTTP/1.1 101 Switching Protocols',
        ])
        expect(answer).toMatch(/sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i)
      }
      for (const refused of [
        { 'sec-websocket-key': undefined },
        { 'sec-websocket-key': '' },
        { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25j' },
        { 'sec-websocket-key': 'not base64 of 16 bytes!!' },
        { 'sec-websocket-version': undefined },
        { connection: undefined },
        { connection: 'keep-alive' },
      ]) {
        expect([refused, await handshake(refused)]).toEqual([
          refused,
          expect.stringMatching(/^HTTP\/1\.1 400 /),
        ])
      }
      for (const version of ['8', '14', '13, 8']) {
        const answer = await handshake({ 'sec-websocket-version': version })
        expect(answer).toStartWith('HTTP/1.1 426 ')
        expect(answer).toMatch(/^sec-websocket-version: 13\r$/im)
      }
      expect(await handshake({ upgrade: undefined })).toStartWith('HTTP/1.1 426 ')
      expect(await handshake({}, 'POST')).toStartWith('HTTP/1.1 405 ')
      // Some runtimes refuse these themselves, after the handler has accepted them.
      for (const odd of [{ 'sec-websocket-extensions': ';;' }, { 'sec-websocket-protocol': ',' }]) {
        expect(await handshake(odd)).toMatch(/^HTTP\/1\.1 (101|400) /)
      }
      await route.untilSubscribers(0)
    })

    test('in mode auto the request chooses', async () => {
      const topic = await topicWith(4)
      await using route = await Route.mount(target(), { topics: [topic], mode: 'auto' })
      await using socket = await SocketClient.open(route.url({ start: 'earliest' }))
      await using stream = await SseClient.open(route.url({ start: 'earliest' }))
      await Promise.all([socket.until(4), stream.until(4)])
      expect(await route.records({ start: 'earliest' })).toHaveLength(4)
    })

    test('clients that leave, and those whose messages are not understood, leave nothing behind', async () => {
      const topic = await topicWith(40)
      await using route = await Route.mount(target(), { topics: [topic], ...SOCKET })
      const url = route.url({ start: 'earliest' })
      for (let n = 0; n < 5; n++) {
        const socket = await SocketClient.open(url)
        await socket.until(1)
        await socket.close()
      }
      const talker = await SocketClient.open(url)
      talker.say({ ack: [] })
      expect((await within(talker.closed, 'the end of who talks')).code).toBe(1008)
      const bytes = await SocketClient.open(url)
      bytes.sayBytes(new Uint8Array([1]))
      expect((await within(bytes.closed, 'the end of who sends bytes')).code).toBe(1003)
      await route.untilSubscribers(0)
    })

    test('a client that reads nothing for writeDeadline is closed, and others are not', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), {
        topics: [topic],
        ...SOCKET,
        // Long enough for one that does read, on a busy machine.
        writeDeadline: 2_000,
      })
      await using silent = await RawClient.open(route.url(), {
        ...HANDSHAKE,
      })
      await using reading = await SocketClient.open(route.url())
      await route.untilSubscribers(2)
      const value = 'x'.repeat(100_000)
      let written = 0
      await until(
        async () => {
          const each = Array.from({ length: 40 }, (_, n) => ({ partition: n % 4, value }))
          await kafka.produce(topic, each)
          written += each.length
          // The deadline passes while the other client reads.
          await sleep(200)
          return (await route.stats()).subscribers === 1
        },
        () => `the silent client to be closed; ${written * value.length} bytes were written`,
        20_000,
      )
      expect((await route.stats()).silent).toBe(1)
      await reading.until(written)
      expect(new Set(places(reading.records())).size).toBe(written)
      // Deno has no way to cut a connection off: it waits for the client to agree.
      if (target().host) return
      silent.resume()
      await until(() => silent.closed, 'the connection of the silent client to close')
    })

    test('a shutdown tells clients to go', async () => {
      const topic = await topicWith(4)
      const route = await Route.mount(target(), { topics: [topic], ...SOCKET })
      const socket = await SocketClient.open(route.url({ start: 'earliest' }))
      await socket.until(4)
      await route.close()
      expect((await within(socket.closed, 'the end')).code).toBe(1001)
    })
  })

  describe.concurrent('WebSocket with acknowledgements', () => {
    async function grouped(count: number): Promise<RouteOptions> {
      return {
        topics: [await topicWith(count)],
        ...SOCKET,
        autoOffsetReset: 'earliest',
        consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('acks') },
      }
    }
    const committed = async ({ topics, consumerGroup }: RouteOptions) =>
      target().kafka.committed(String(consumerGroup?.consumerGroupId), String(topics))

    test('acknowledged records are committed, others go to the next client', async () => {
      const options = await grouped(40)
      const [topic] = options.topics as string[]
      {
        await using route = await Route.mount(target(), options)
        const socket = await SocketClient.open(route.url({ acks: 'true' }))
        await socket.until(40)
        socket.say({ ack: { topic, partition: 0, offset: 4 } })
        socket.say({
          ack: [
            { topic, partition: 1, offset: 9 },
            { topic, partition: 2, offset: 0 },
          ],
        })
        await until(
          async () => (await committed(options)).join() === '5,10,1,-1',
          'what was acknowledged to be committed',
        )
        await socket.close()
        await using next = await SocketClient.open(route.url({ acks: 'true' }))
        await next.until(24)
        expect(places(next.records())).toEqual(
          places([
            ...[5, 6, 7, 8, 9].map((offset) => ({ partition: 0, offset })),
            ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((offset) => ({ partition: 2, offset })),
            ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((offset) => ({ partition: 3, offset })),
          ]),
        )
      }
      expect(await committed(options)).toEqual([5, 10, 1, -1])
    })

    test('a client has as many unacknowledged records as it asked for', async () => {
      const options = await grouped(40)
      const [topic] = options.topics as string[]
      await using route = await Route.mount(target(), { ...options, heartbeat: 200 })
      await using socket = await SocketClient.open(route.url({ acks: 'true', max_unacked: 3 }))
      const seen = new Set<string>()
      let waited = 0
      while (seen.size < 40) {
        const wanted = Math.min(40, seen.size + 3)
        await socket.until(wanted)
        const isHeld = () => socket.records().length === wanted
        await stays(isHeld, 'no record beyond those unacknowledged comes', waited++ < 2 ? 500 : 0)
        for (const { partition, offset } of socket.records()) seen.add(`${partition}/${offset}`)
        const last = new Map(socket.records().map((record) => [record.partition, record.offset]))
        socket.say({ ack: [...last].map(([partition, offset]) => ({ topic, partition, offset })) })
      }
      await until(
        async () => (await committed(options)).join() === '10,10,10,10',
        'all to be committed',
      )
    })

    test('a client that acknowledges nothing for too long is sent away, and the next gets its records', async () => {
      const options = await grouped(8)
      await using route = await Route.mount(target(), {
        ...options,
        writeDeadline: 500,
        heartbeat: 100,
      })
      const silent = await SocketClient.open(route.url({ acks: 'true' }))
      await silent.until(8)
      expect((await within(silent.closed, 'the end of who is silent')).code).toBe(1008)
      expect((await route.stats()).silent).toBe(1)
      await using next = await SocketClient.open(route.url({ acks: 'true' }))
      await next.until(8)
    })

    /** A client that reads nothing, once the server has written as much to it as it can. */
    async function stalledClient(route: Route): Promise<RawClient> {
      const client = await RawClient.open(route.url({ acks: 'true' }), HANDSHAKE)
      let before = 0
      await until(async () => {
        await sleep(200)
        const { bytes } = (await route.stats()).sent.group
        const isStalled = bytes > 0 && bytes === before
        before = bytes
        return isStalled
      }, 'the writes to stall')
      return client
    }
    /**
     * Writes more than kernels buffer: 3 MB, and a record of 6 MB, in the JSON of which each character
     * becomes six. A client may leave 4 MiB unacknowledged, and then one more record.
     */
    const produceMuch = async ({ topics }: RouteOptions) => {
      const values = [...range(0, 12).map(() => 40_000), 990_000].map((n) => '\x01'.repeat(n))
      await target().kafka.produce(
        String(topics),
        values.map((value) => ({ partition: 0, value })),
      )
    }

    test('a client that reads nothing for writeDeadline is closed, and the next gets its records', async () => {
      const options = await grouped(0)
      await produceMuch(options)
      await using route = await Route.mount(target(), {
        ...options,
        mode: 'auto',
        writeDeadline: 2_000,
      })
      await using _ = await stalledClient(route)
      await route.untilSubscribers(0)
      expect((await route.stats()).silent).toBe(1)
      await route.drain(13)
    })

    test('a client that reads nothing does not hold up a shutdown, and its records are not committed', async () => {
      const options = await grouped(0)
      await produceMuch(options)
      await using route = await Route.mount(target(), options)
      await using _ = await stalledClient(route)
      await route.end()
      expect(await committed(options)).toEqual([-1, -1, -1, -1])
    })

    test('an invalid acknowledgement ends the connection with a reason', async () => {
      const options = await grouped(8)
      const [topic] = options.topics as string[]
      await using route = await Route.mount(target(), options)
      const cases: Array<[message: unknown, code: number]> = [
        ['no JSON', 1007],
        [{}, 1007],
        [{ ack: { topic, partition: 0 } }, 1007],
        [{ ack: { topic, partition: 0, offset: -1 } }, 1007],
        [{ ack: { topic, partition: 0, offset: 0 }, more: 1 }, 1007],
        [{ ack: { topic, partition: 0, offset: 1_000 } }, 1008],
        [{ ack: { topic: 'foreign', partition: 0, offset: 0 } }, 1008],
      ]
      for (const [message, code] of cases) {
        const socket = await SocketClient.open(route.url({ acks: 'true' }))
        await socket.until(8)
        socket.say(message)
        const end = await within(socket.closed, `the end after ${JSON.stringify(message)}`)
        expect([message, end.code]).toEqual([message, code])
        expect(end.reason).not.toBe('')
      }
      await route.untilSubscribers(0)
    })

    test('with commitStrategy off acknowledgements commit, too', async () => {
      const options = await grouped(8)
      const [topic] = options.topics as string[]
      await using route = await Route.mount(target(), { ...options, commitStrategy: 'off' })
      await using socket = await SocketClient.open(route.url({ acks: 'true' }))
      await socket.until(8)
      socket.say({ ack: { topic, partition: 2, offset: 1 } })
      await until(async () => (await committed(options)).join() === '-1,-1,2,-1', 'the commit')
    })
  })
}
