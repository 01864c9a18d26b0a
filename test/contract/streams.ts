/**
 * The contract of event streams and lines. The file has more than 400 lines because it follows
 * docs/streams.md from the first frame of a stream to its end.
 */
import { describe, expect, test } from 'bun:test'
import { ReconnectingClient } from '../support/eventsource.ts'
import { PARTITIONS, type Produced } from '../support/kafka.ts'
import { freePort } from '../support/port.ts'
import { readProtocol } from '../support/protocol-pages.ts'
import { RawClient, sendRaw } from '../support/raw.ts'
import { offsetsByPartition, places, Route, range, type Target } from '../support/route.ts'
import { SseClient, type StreamedRecord } from '../support/sse.ts'
import { sleep, stays, until, within } from '../support/wait.ts'
import { ODD_HEADERS, SHOWN_ODD_HEADERS, spread } from './get.ts'

const MINUTE = 60_000
const STREAM = { mode: 'server-sent-events' } as const

/** The offsets that each partition has after `spread(count)`. */
function whole(count: number): Record<number, number[]> {
  const each = range(0, PARTITIONS).map((n) => [n, range(0, count / PARTITIONS)] as const)
  return Object.fromEntries(each)
}

/** A cursor of one topic, from the offset of each partition. */
function cursorOf(topic: string, offsets: readonly number[]): string {
  return `${topic}:${offsets.map((offset, partition) => `${partition}=${offset}`).join(',')}`
}

/** Records of an event stream's text, of which the last frame may be cut off. */
function recordsOf(text: string): StreamedRecord[] {
  const complete = text.slice(0, text.lastIndexOf('\n\n') + 2)
  return complete
    .split('\n')
    .filter((line) => line.startsWith('data: {"topic"'))
    .map((line) => JSON.parse(line.slice(6)) as StreamedRecord)
}

/**
 * The records that a client got before a mark, a last record that is written to each partition now.
 * Once the marks have come, no earlier record can follow.
 */
async function recordsBeforeMark(
  { kafka }: Target,
  topic: string,
  got: () => readonly StreamedRecord[],
): Promise<StreamedRecord[]> {
  const marks = places(await kafka.produce(topic, spread(PARTITIONS)))
  const isMark = (record: StreamedRecord) => marks.includes(places([record])[0] as string)
  await until(() => got().filter(isMark).length >= PARTITIONS, 'a last record of each partition')
  return got().filter((record) => !isMark(record))
}

/** A client of lines, by the code in the docs. */
interface RuleOfLines {
  positionsOf(cursor: string): Map<string, number>
  follow(positions: Map<string, number>, line: string): void
  cursorOf(positions: Map<string, number>): string
}

function ruleOfLines(): RuleOfLines {
  const code = /```js\n(\/\/ The positions of a cursor[\s\S]*?)```/.exec(
    readProtocol('streams'),
  )?.[1]
  return new Function(`${code}; return { positionsOf, follow, cursorOf }`)() as RuleOfLines
}

/** Moves positions on by the whole lines of a text; gives the records and the gaps of these lines. */
function followLines(rule: RuleOfLines, positions: Map<string, number>, text: string) {
  const records: Array<{ partition: number; offset: number }> = []
  const gaps: unknown[] = []
  for (const line of text.split('\n').slice(0, -1)) {
    rule.follow(positions, line)
    if (line === '') continue
    const { gap, partition, offset } = JSON.parse(line)
    if (gap) gaps.push(gap)
    else records.push({ partition, offset })
  }
  return { records, gaps }
}

/** So many bytes of a body at most; fewer where a heartbeat says that there are no more. */
async function firstBytes(response: Response, bytes: number): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length >= bytes || text.endsWith('\n\n')) break
  }
  return text.slice(0, bytes)
}

export function describeStreams(target: () => Target): void {
  const topicWith = async (count: number) => {
    const topic = await target().kafka.createTopic()
    if (count > 0) await target().kafka.produce(topic, spread(count))
    return topic
  }

  describe.concurrent('SSE, the frames of a stream', () => {
    test('a stream begins with its headers and a jittered retry, before there is any record', async () => {
      const topic = await topicWith(8)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      const retries: number[] = []
      for (const _ of range(0, 4)) {
        await using stream = await route.stream()
        expect(stream.response.headers.get('content-type')).toStartWith('text/event-stream')
        expect(stream.response.headers.get('cache-control')).toMatch(/no-(cache|store)/)
        expect(stream.response.headers.get('kafka-cursor')).toBe(cursorOf(topic, [2, 2, 2, 2]))
        await until(() => stream.retries.length > 0, 'the retry field')
        retries.push(...stream.retries)
      }
      expect(new Set(retries).size).toBeGreaterThan(1)
      for (const retry of retries) expect(retry).toBeWithin(500, 30_000)
    })

    test.each(['text/event-stream', 'application/x-ndjson'])(
      'the headers of a connection are those of its protocol, for %s',
      async (accept) => {
        const topic = await topicWith(8)
        await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
        const url = new URL(route.url({ start: 'earliest' }))
        const head = async (version: string) => {
          const request = `GET ${url.pathname}${url.search} HTTP/${version}\nHost: ${url.host}`
          const answer = await sendRaw(url.href, `${request}\nAccept: ${accept}\n\n`)
          return answer.slice(0, answer.indexOf('\r\n\r\n')).toLowerCase().split('\r\n').slice(1)
        }
        const coding = (lines: string[]) => lines.filter((line) => /^transfer-encoding:/.test(line))
        const modern = await head('1.1')
        expect(coding(modern)).toEqual(['transfer-encoding: chunked'])
        expect(modern).not.toContain('connection: close')
        const old = await head('1.0')
        // HTTP/1.0 knows of no chunks: such a body ends with its connection.
        expect(coding(old)).toEqual([])
        expect(old).not.toContain('connection: keep-alive')
        for (const lines of [modern, old]) {
          expect(lines).toContain(`content-type: ${accept}`)
          expect(lines).toContain('cache-control: no-cache, no-transform')
        }
      },
    )

    test('a stream sends its position first, for clients that leave before the first record', async () => {
      const { kafka } = target()
      const topic = await topicWith(8)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      const stream = await route.stream()
      await until(() => stream.lastEventId !== undefined, 'an id')
      expect(stream.events).toEqual([])
      await stream.close()
      const written = await kafka.produce(topic, spread(8))
      await using resumed = await route.stream({}, { 'last-event-id': stream.lastEventId ?? '' })
      await resumed.until(8)
      expect(places(resumed.records())).toEqual(places(written))
    })

    test('an id is the last line of its frame, and each frame with an id is an event', async () => {
      const { kafka } = target()
      const topic = await topicWith(8)
      await using route = await Route.mount(target(), {
        topics: [topic],
        ...STREAM,
        heartbeat: 200,
      })
      const beyond = { cursor: `${topic}:0=9,1=0` }
      await using gap = await route.stream(beyond)
      await using filtered = await route.stream({ ...beyond, partition: '1' })
      await using idle = await route.stream()
      await until(() => idle.lastEventId !== undefined, 'a position at the end')
      await kafka.produce(topic, spread(8))
      await until(() => gap.records().length >= 12, 'records behind a gap')
      await until(() => idle.records().length >= 8, 'records behind the end')
      await until(() => idle.comments.length > 0, 'a comment')
      await until(() => filtered.cursors.length > 1, 'heartbeats')
      for (const { text } of [gap, filtered, idle]) {
        const frames = text.split('\n\n').slice(0, -1)
        expect(frames.length).toBeGreaterThan(1)
        for (const frame of frames) {
          const lines = frame.split('\n').filter((line) => !/^(:|retry: \d+$)/.test(line))
          const fields = lines.map((line) => line.slice(0, line.indexOf(': '))).join()
          expect(fields).toBeOneOf(['data,id', 'event,data,id'])
        }
      }
      expect(gap.text).toMatch(/^retry: \d+\nevent: gap\ndata: /)
    })

    test('no Accept header, */* and text/* get an event stream, too', async () => {
      const topic = await topicWith(0)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      for (const accept of ['*/*', 'text/*', 'text/html, text/event-stream;q=0.5']) {
        const stream = await SseClient.open(route.url(), { headers: { accept } })
        await stream.close()
      }
      await using bare = await RawClient.open(route.url())
      await bare.readBytes(100)
      bare.reset()
    })

    test('an event carries its record, and its id is the cursor of all partitions after it', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const timestamp = Date.now() - MINUTE
      await kafka.produce(topic, [
        { partition: 2, key: 'k', value: 'hello', timestamp, headers: [['trace', 'abc']] },
        { partition: 0, value: 'line\nline\r\n', timestamp },
        { partition: 2, value: null, timestamp },
      ])
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      await using stream = await route.stream({ start: 'earliest' })
      await stream.until(3)
      expect(stream.response.headers.get('kafka-cursor')).toBe(cursorOf(topic, [0, 0, 0, 0]))
      const position = [0, 0, 0, 0]
      for (const event of stream.events) {
        const { partition, offset } = JSON.parse(event.data) as StreamedRecord
        position[partition] = offset + 1
        expect(event.event).toBe('message')
        expect(event.id).toBe(cursorOf(topic, position))
      }
      const common = { topic, timestamp, headers: {} }
      expect(stream.records().sort((a, b) => a.partition - b.partition)).toEqual([
        { ...common, partition: 0, offset: 0, key: null, value: 'line\nline\r\n' },
        { ...common, partition: 2, offset: 0, key: 'k', value: 'hello', headers: { trace: 'abc' } },
        { ...common, partition: 2, offset: 1, key: null, value: null },
      ])
    })

    test('live records have the same form as those of a catch-up read', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), {
        topics: [topic],
        ...STREAM,
        messageDeserializer: 'json',
      })
      await using live = await route.stream()
      await kafka.produce(topic, [
        { key: 'k', value: '{"a":1}', headers: [['h', '1']] },
        { value: 'no JSON' },
      ])
      await live.until(2)
      await using catchUp = await route.stream({ start: 'earliest' })
      await catchUp.until(2)
      expect(live.events).toEqual(catchUp.events)
      expect(live.records()).toMatchObject([
        { value: { a: 1 } },
        { encoding: { value: 'base64' }, error: { code: 'DESERIALIZATION_FAILED' } },
      ])
    })

    test('a record with odd headers is streamed like any other, live and by a catch-up read', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      await using live = await route.stream()
      await kafka.produce(topic, [
        { value: 'before' },
        { value: 'odd', headers: ODD_HEADERS },
        { value: 'after' },
      ])
      await live.until(3)
      await using catchUp = await route.stream({ start: 'earliest' })
      await catchUp.until(3)
      for (const stream of [live, catchUp]) {
        expect(stream.records().map(({ value }) => value)).toEqual(['before', 'odd', 'after'])
        expect(JSON.stringify(stream.records()[1]?.headers)).toBe(SHOWN_ODD_HEADERS)
      }
    })

    test('several topics share a stream, and its ids name them all', async () => {
      const { kafka } = target()
      const topics = [await topicWith(4), await topicWith(4)]
      await using route = await Route.mount(target(), { topics, ...STREAM })
      let id: string | undefined
      {
        await using stream = await route.stream({ start: 'earliest' })
        await stream.until(8)
        id = stream.lastEventId
        for (const topic of topics) expect(id).toContain(`${topic}:0=1,1=1,2=1,3=1`)
      }
      for (const topic of topics) await kafka.produce(topic, [{ value: 'after' }])
      await using stream = await route.stream({}, { 'last-event-id': id ?? '' })
      await stream.until(2)
      expect(
        stream
          .records()
          .map(({ topic }) => topic)
          .sort(),
      ).toEqual([...topics].sort())
    })

    test('the ids of many partitions are compact, and resume by every parameter; other cursors name each partition', async () => {
      const { kafka } = target()
      const topics: string[] = []
      for (const _ of range(0, 9)) topics.push(await topicWith(8))
      await using route = await Route.mount(target(), { topics, ...STREAM })
      const ids: string[] = []
      {
        await using stream = await route.stream({ start: 'earliest' })
        await stream.until(72)
        for (const { event, id } of stream.events) if (event === 'message') ids.push(String(id))
        expect(stream.response.headers.get('kafka-cursor')).toContain(`${topics[0]}:0=`)
        expect(stream.cursors[0]).toContain(`${topics[0]}:0=`)
        expect(new Set(ids).size).toBe(72)
        for (const id of ids) expect(id).toMatch(/^~[\w-]+$/)
      }
      const middle = ids[39] as string
      await using byHeader = await route.stream({}, { 'last-event-id': middle })
      await using byQuery = await route.stream({ cursor: middle })
      await using page = await Route.mount(target(), { topics })
      await until(() => byHeader.records().length === 32 && byQuery.records().length === 32, 'both')
      const read = await page.fetch({ cursor: middle, format: 'records', max_records: 100 })
      const { records, cursor } = (await read.json()) as {
        records: StreamedRecord[]
        cursor: string
      }
      const wanted = places(byHeader.records()).sort()
      expect(wanted).toHaveLength(32)
      expect(places(byQuery.records()).sort()).toEqual(wanted)
      expect(places(records).sort()).toEqual(wanted)
      expect(cursor).toContain(`${topics[0]}:0=2,1=2,2=2,3=2`)
      const before = await page.fetch({
        start: 'earliest',
        end: middle,
        format: 'records',
        max_records: 100,
      })
      expect(((await before.json()) as { records: unknown[] }).records).toHaveLength(40)
      // An id of some of the topics begins the others at their first records.
      await using more = await Route.mount(target(), {
        topics: [...topics, await topicWith(4)],
        ...STREAM,
      })
      await using added = await more.stream({}, { 'last-event-id': ids.at(-1) as string })
      await added.until(4)
      await kafka.produce(topics[3] as string, [{ value: 'after' }])
      await added.until(5)
      await using fewer = await Route.mount(target(), { topics: topics.slice(1), ...STREAM })
      const refused = await fewer.fetch({ cursor: middle })
      expect([refused.status, await refused.json()]).toMatchObject([
        400,
        {
          code: 'INVALID_CURSOR',
          message: expect.stringContaining('is not among those of this route'),
        },
      ])
    }, 120_000)

    test('a comment comes whenever nothing was sent for the heartbeat time', async () => {
      const topic = await topicWith(0)
      await using route = await Route.mount(target(), {
        topics: [topic],
        ...STREAM,
        heartbeat: 200,
      })
      const began = performance.now()
      await using stream = await route.stream()
      await until(() => stream.comments.length >= 4, 'four comments')
      expect(performance.now() - began).toBeGreaterThanOrEqual(500)
      expect(stream.events).toEqual([])
    })

    test('Accept: application/x-ndjson gives the same records as lines', async () => {
      const { kafka } = target()
      const topic = await topicWith(8)
      await using route = await Route.mount(target(), {
        topics: [topic],
        ...STREAM,
        heartbeat: 200,
      })
      const abort = new AbortController()
      const response = await route.fetch(
        { start: 'earliest' },
        { headers: { accept: 'application/x-ndjson' }, signal: abort.signal },
      )
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toStartWith('application/x-ndjson')
      let text = ''
      const reading = (async () => {
        const decoder = new TextDecoder()
        for await (const chunk of response.body ?? []) {
          text += decoder.decode(chunk, { stream: true })
        }
      })().catch(() => undefined)
      const lines = () => text.split('\n').filter((line) => line.trim() !== '')
      await until(() => lines().length === 8, '8 lines')
      await kafka.produce(topic, spread(4))
      await until(() => lines().length === 12, '4 more lines')
      const heartbeats = () => text.split('\n').length - lines().length
      const before = heartbeats()
      await until(() => heartbeats() > before + 1, 'two heartbeats')
      abort.abort()
      await reading
      const records = lines().map((line) => JSON.parse(line) as StreamedRecord)
      expect(offsetsByPartition(records)).toEqual(whole(12))
      await route.untilSubscribers(0)
    })
  })

  describe.concurrent('SSE, the start of a stream', () => {
    test('without a position a stream begins at the end at the time of the answer', async () => {
      const { kafka } = target()
      const topic = await topicWith(400)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      for (const round of [1, 2, 3]) {
        await using stream = await route.stream(round === 3 ? { start: 'latest' } : {})
        const written = await kafka.produce(topic, spread(40))
        await stream.until(40)
        const records = await recordsBeforeMark(target(), topic, () => stream.records())
        expect(places(records)).toEqual(places(written))
      }
    })

    test('start=earliest catches up and goes live without a gap or a duplicate, while records keep coming', async () => {
      const { kafka } = target()
      const topic = await topicWith(4_000)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      let writing = true
      let written = 4_000
      const writer = (async () => {
        while (writing) {
          await kafka.produce(topic, spread(200))
          written += 200
        }
      })()
      const streams = await Promise.all(
        range(0, 3).map(async (n) => {
          await until(() => written >= 4_000 + n * 400, 'more records')
          return route.stream({ start: 'earliest' })
        }),
      )
      const live = written
      await until(
        () => streams.every(({ events }) => events.length > live + 400),
        'all streams to get records that were written since they are open',
        20_000,
      )
      writing = false
      await writer
      for (const stream of streams) {
        await stream.until(written)
        expect(offsetsByPartition(stream.records())).toEqual(whole(written))
        expect(stream.events).toHaveLength(written)
        await stream.close()
      }
    }, 120_000)

    test('start takes times and durations, as a GET does', async () => {
      const { kafka } = target()
      const now = Date.now()
      for (const [start, expected] of [
        ['-PT10M', ['5']],
        ['-1h', ['20', '5']],
        [new Date(now - 90 * MINUTE).toISOString(), ['90', '20', '5']],
      ] as const) {
        const topic = await kafka.createTopic()
        for (const age of [90, 20, 5]) {
          await kafka.produce(topic, [{ value: `${age}`, timestamp: now - age * MINUTE }])
        }
        await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
        await using stream = await route.stream({ start })
        await stream.until(expected.length)
        const records = await recordsBeforeMark(target(), topic, () => stream.records())
        expect(records.map(({ value }) => value)).toEqual([...expected])
      }
    })

    test('a stream begins at cursor=, as a GET does', async () => {
      const topic = await topicWith(20)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      await using stream = await route.stream({ cursor: cursorOf(topic, [5, 4, 5, 3]) })
      await stream.until(3)
      const records = await recordsBeforeMark(target(), topic, () => stream.records())
      expect(places(records)).toEqual(['1/0000004', '3/0000003', '3/0000004'])
    })
  })

  describe.concurrent('SSE, resuming', () => {
    test('Last-Event-ID and last_event_id resume exactly behind the event that they name', async () => {
      const { kafka } = target()
      const topic = await topicWith(24)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      await using all = await route.stream({ start: 'earliest' })
      await all.until(24)
      await kafka.produce(topic, spread(8))
      await all.until(32)
      for (const cut of [1, 7, 23, 24, 30]) {
        const id = all.events[cut - 1]?.id ?? ''
        const before = all.records().slice(0, cut)
        await using byHeader = await route.stream({}, { 'last-event-id': id })
        await using byQuery = await route.stream({ last_event_id: id })
        for (const resumed of [byHeader, byQuery]) {
          await resumed.until(32 - cut)
          expect(resumed.response.headers.get('kafka-cursor')).toBe(id)
          expect(offsetsByPartition([...before, ...resumed.records()])).toEqual(whole(32))
          expect(resumed.events).toHaveLength(32 - cut)
        }
      }
    })

    test('ids of KafkaSSE resume: below 0 is an end of the partition, and a timestamp is a time', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const timestamp = Date.now() - MINUTE
      await kafka.produce(
        topic,
        [0, 1, 2, 3].flatMap((partition) =>
          [0, 1, 2].map((n) => ({ partition, value: `${n}`, timestamp: timestamp + n * 1_000 })),
        ),
      )
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      const id = JSON.stringify([
        { topic, partition: 0, offset: 2 },
        { topic, partition: 1, offset: -1 },
        { topic, partition: 2, timestamp: timestamp + 1_000, offset: -1 },
        { topic, partition: 3, offset: -2 },
      ])
      await using stream = await route.stream({}, { 'last-event-id': id })
      expect(stream.response.headers.get('kafka-cursor')).toBe(cursorOf(topic, [2, 3, 1, 0]))
      const timeOnly = JSON.stringify(
        [0, 1, 2, 3].map((partition) => ({ topic, partition, timestamp: timestamp + 1_001 })),
      )
      await using byTime = await route.stream({}, { 'last-event-id': timeOnly })
      expect(byTime.response.headers.get('kafka-cursor')).toBe(cursorOf(topic, [2, 2, 2, 2]))
      await stream.until(1 + 0 + 2 + 3)
      await byTime.until(4)
    })

    test('the Last-Event-ID header wins over last_event_id and start: a reconnect repeats its URL', async () => {
      for (const queryOf of [
        () => ({ start: 'earliest' }),
        (first: string) => ({ last_event_id: first }),
        (first: string) => ({ cursor: first }),
      ]) {
        const topic = await topicWith(20)
        await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
        const id = cursorOf(topic, [5, 5, 5, 4])
        const query = queryOf(cursorOf(topic, [0, 0, 0, 0]))
        await using stream = await route.stream(query, { 'last-event-id': id })
        await stream.until(1)
        const records = await recordsBeforeMark(target(), topic, () => stream.records())
        expect(places(records)).toEqual(['3/0000004'])
      }
    })

    test('lastEventId wins over every position in the query, and the Last-Event-ID header over it', async () => {
      const topic = await topicWith(20)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      const id = cursorOf(topic, [5, 5, 5, 4])
      const older = cursorOf(topic, [0, 0, 0, 0])
      for (const query of [
        {},
        { start: 'earliest' },
        { last_event_id: older },
        { cursor: older },
      ]) {
        await using stream = await route.stream({ ...query, lastEventId: id })
        expect(stream.response.headers.get('kafka-cursor')).toBe(id)
        await using resumed = await route.stream(
          { ...query, lastEventId: older },
          { 'last-event-id': id },
        )
        expect(resumed.response.headers.get('kafka-cursor')).toBe(id)
      }
      await using first = await route.stream({ start: 'earliest', lastEventId: '' })
      expect(first.response.headers.get('kafka-cursor')).toBe(older)
    })

    test('a client that reconnects again and again loses nothing and gets nothing twice', async () => {
      const { kafka } = target()
      const topic = await topicWith(400)
      await using route = await Route.mount(target(), {
        topics: [topic],
        ...STREAM,
        ringBytes: 64 * 1024,
      })
      let written = 400
      let writing = true
      const writer = (async () => {
        while (writing) {
          await kafka.produce(topic, spread(40))
          written += 40
          // The pace of the writer: some thousand records a second.
          await sleep(10)
        }
      })()
      const got: StreamedRecord[] = []
      let id = cursorOf(topic, [0, 0, 0, 0])
      for (const _ of range(0, 8)) {
        await using stream = await route.stream({}, { 'last-event-id': id })
        await stream.until(1 + Math.floor(Math.random() * 100))
        await stream.close()
        got.push(...stream.records())
        id = stream.lastEventId ?? id
      }
      writing = false
      await writer
      await using last = await route.stream({}, { 'last-event-id': id })
      await last.until(written - got.length)
      expect(offsetsByPartition([...got, ...last.records()])).toEqual(whole(written))
    }, 120_000)

    test('an EventSource loses nothing and gets nothing twice across a server restart', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const port = await freePort()
      const first = await Route.mount(target(), { topics: [topic], ...STREAM }, port)
      using client = new ReconnectingClient(first.url())
      await client.untilOpened(1)
      await kafka.produce(topic, spread(40))
      await client.until(40)
      await first.close()
      await kafka.produce(topic, spread(40))
      await using _second = await Route.mount(target(), { topics: [topic], ...STREAM }, port)
      await client.untilOpened(2)
      await kafka.produce(topic, spread(40))
      await client.until(120)
      const records = await recordsBeforeMark(target(), topic, () => client.records)
      expect(offsetsByPartition(records)).toEqual(whole(120))
    }, 120_000)

    test("KafkaSSE's JSON array resumes, by offset and by timestamp", async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const now = Date.now()
      for (const n of range(0, 5)) {
        const timestamp = now - (10 - n) * MINUTE
        await kafka.produce(
          topic,
          range(0, 4).map((partition) => ({ partition, value: `${n}`, timestamp })),
        )
      }
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      const ids = [
        { partition: 0, offset: 3 },
        { partition: 1, timestamp: now - 7 * MINUTE },
        { partition: 2, timestamp: now - 8 * MINUTE + 1 },
        { partition: 3, offset: 5 },
      ].map((entry) => ({ topic, ...entry }))
      await using stream = await route.stream({}, { 'last-event-id': JSON.stringify(ids) })
      await stream.until(6)
      const records = await recordsBeforeMark(target(), topic, () => stream.records())
      expect(offsetsByPartition(records)).toEqual({ 0: [3, 4], 1: [3, 4], 2: [3, 4] })
      expect(stream.response.headers.get('kafka-cursor')).toBe(cursorOf(topic, [3, 3, 3, 5]))
    })
  })

  describe.concurrent('lines, resuming', () => {
    test('a client of lines that is cut off anywhere goes on by the rule of the docs: 0 lost, 0 doubled', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written = await kafka.produce(topic, spread(1_000))
      await using route = await Route.mount(target(), {
        topics: [topic],
        ...STREAM,
        heartbeat: 200,
      })
      const rule = ruleOfLines()
      // Partition 3 begins with a gap, which is announced once.
      const positions = rule.positionsOf(cursorOf(topic, [0, 0, 0, 9_999]))
      const seen: Array<{ partition: number; offset: number }> = []
      const gaps: unknown[] = []
      while (seen.length < 2_000) {
        const abort = new AbortController()
        const response = await route.fetch(
          { cursor: rule.cursorOf(positions) },
          { headers: { accept: 'application/x-ndjson' }, signal: abort.signal },
        )
        if (written.length < 2_000) written.push(...(await kafka.produce(topic, spread(100))))
        const text = await firstBytes(response, 1 + Math.floor(Math.random() * 30_000))
        abort.abort()
        const told = followLines(rule, positions, text)
        seen.push(...told.records)
        gaps.push(...told.gaps)
      }
      expect(places(seen)).toEqual(places(written))
      expect(gaps).toEqual([{ topic, partition: 3, from: 9_999, to: 0, reason: 'out-of-range' }])
    }, 120_000)
  })

  describe.concurrent('SSE, gaps', () => {
    test('an offset beyond the end is announced as a gap, and reading goes on from the gap’s end', async () => {
      const { kafka } = target()
      const topic = await topicWith(12)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      const id = cursorOf(topic, [3, 1000, 3, 3])
      await using stream = await route.stream({}, { 'last-event-id': id })
      const { data } = await stream.untilNamed('gap')
      const { to, ...gap } = JSON.parse(data) as { to: number }
      expect(gap as unknown).toEqual({ topic, partition: 1, from: 1000, reason: 'out-of-range' })
      expect(to).toBeWithin(0, 4)
      await kafka.produce(topic, spread(4))
      await stream.until(4 + 3 - to)
      const records = await recordsBeforeMark(target(), topic, () => stream.records())
      expect(offsetsByPartition(records)).toEqual({
        0: [3],
        1: range(to, 4),
        2: [3],
        3: [3],
      })
      expect(stream.named('gap')).toHaveLength(1)
    })

    test('records that retention has removed are announced before those that follow', async () => {
      const { kafka } = target()
      const topic = await topicWith(40)
      await kafka.expire(topic, 2, 6)
      await kafka.produce(topic, [{ partition: 2, value: 'kept' }])
      const { lowOffset, highOffset } = await kafka.watermarks(topic, 2)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      await using stream = await route.stream(
        {},
        { 'last-event-id': cursorOf(topic, [9, 9, 2, 9]) },
      )
      await stream.until(3 + highOffset - lowOffset)
      const gaps = stream.named('gap').map(({ data }) => JSON.parse(data) as unknown)
      expect(gaps).toEqual([{ topic, partition: 2, from: 2, to: lowOffset, reason: 'retention' }])
      expect(offsetsByPartition(stream.records())).toEqual({
        0: [9],
        1: [9],
        2: range(lowOffset, highOffset),
        3: [9],
      })
      const firstOfTwo = stream.events.findIndex(
        ({ event, data }) =>
          event === 'message' && (JSON.parse(data) as StreamedRecord).partition === 2,
      )
      expect(stream.events.findIndex(({ event }) => event === 'gap')).toBeLessThan(firstOfTwo)
    })

    test('a client that leaves right after a gap does not get it again', async () => {
      const topic = await topicWith(12)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      const id = cursorOf(topic, [3, 1000, 3, 3])
      const stream = await route.stream({}, { 'last-event-id': id })
      await stream.untilNamed('gap')
      await stream.close()
      expect(stream.lastEventId).toBeString()
      expect(stream.lastEventId).not.toContain('1000')
      await using again = await route.stream({}, { 'last-event-id': stream.lastEventId ?? '' })
      await recordsBeforeMark(target(), topic, () => again.records())
      expect(again.named('gap')).toEqual([])
    })

    test('start=earliest after retention has deleted records has no gap', async () => {
      const { kafka } = target()
      const topic = await topicWith(40)
      await kafka.expire(topic, 0, 6)
      await kafka.produce(topic, [{ partition: 0, value: 'kept' }])
      const { lowOffset, highOffset } = await kafka.watermarks(topic, 0)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      await using stream = await route.stream({ start: 'earliest' })
      await stream.until(30 + highOffset - lowOffset)
      expect(stream.named('gap')).toEqual([])
      expect(stream.response.headers.get('kafka-cursor')).toBe(
        cursorOf(topic, [lowOffset, 0, 0, 0]),
      )
    })
  })

  describe('SSE, many and slow clients', () => {
    test('fifty subscribers of one live consumer get every record once, each partition in order', async () => {
      const { kafka } = target()
      const topic = await topicWith(40)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      const streams = await Promise.all(range(0, 50).map(() => route.stream()))
      await route.untilSubscribers(50)
      for (const _ of range(0, 5)) await kafka.produce(topic, spread(200))
      for (const stream of streams) await stream.until(1_000)
      const expected = Object.fromEntries(range(0, 4).map((n) => [n, range(10, 260)]))
      for (const stream of streams) {
        expect(offsetsByPartition(stream.records())).toEqual(expected)
        await stream.close()
      }
      await route.untilSubscribers(0)
    })

    test('a slow client that falls behind a tiny ring buffer loses nothing and gets nothing twice, and does not hold up others', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), {
        topics: [topic],
        ...STREAM,
        ringBytes: 64 * 1024,
        writeDeadline: 60_000,
      })
      await using slow = await RawClient.open(route.url(), { accept: 'text/event-stream' })
      await slow.readBytes(50)
      await using fast = await route.stream()
      await route.untilSubscribers(2)
      const value = 'x'.repeat(4_000)
      for (const _ of range(0, 7)) {
        await kafka.produce(
          topic,
          range(0, 400).map((n) => ({ partition: n % 4, value })),
        )
      }
      await fast.until(2_800)
      expect(offsetsByPartition(fast.records())).toEqual(whole(2_800))
      expect(slow.received).toBeLessThan(4_000_000)
      slow.resume()
      await until(
        () => slow.received > 2_800 * 4_000,
        () => `the slow client's records; it has ${slow.received} bytes`,
        20_000,
      )
      await kafka.produce(topic, spread(4))
      const records = () => recordsOf(slow.body().toString())
      await until(() => records().length >= 2_804, 'the last records of the slow client')
      expect(offsetsByPartition(records())).toEqual(whole(2_804))
    }, 120_000)

    test('a client that reads nothing for writeDeadline is closed, and others are not', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), {
        topics: [topic],
        ...STREAM,
        // Long enough for one that does read, on a busy machine.
        writeDeadline: 2_000,
      })
      await using silent = await RawClient.open(route.url(), { accept: 'text/event-stream' })
      await using reading = await route.stream()
      await route.untilSubscribers(2)
      const value = 'x'.repeat(100_000)
      let written = 0
      await until(
        async () => {
          await kafka.produce(
            topic,
            range(0, 40).map((n) => ({ partition: n % 4, value })),
          )
          written += 40
          // The deadline passes while the other client reads.
          await sleep(200)
          return (await route.stats()).subscribers === 1
        },
        () => `the silent client to be closed; ${written * value.length} bytes were written`,
        20_000,
      )
      await reading.until(written)
      expect(offsetsByPartition(reading.records())).toEqual(whole(written))
      silent.resume()
      // Deno has no way to cut a connection off: there the answer ends.
      await until(() => silent.ended, 'the answer to the silent client to end')
      const got = offsetsByPartition(recordsOf(silent.body().toString()))
      for (const offsets of Object.values(got)) expect(offsets).toEqual(range(0, offsets.length))
    }, 120_000)

    test('clients that leave free their streams, whether they wait, catch up or are being written to', async () => {
      const { kafka } = target()
      const topic = await topicWith(2_000)
      await using route = await Route.mount(target(), { topics: [topic], ...STREAM })
      const waiting = await Promise.all(range(0, 10).map(() => route.stream()))
      const catchingUp = await Promise.all(
        range(0, 5).map(() => RawClient.open(route.url({ start: 'earliest' }))),
      )
      await route.untilSubscribers(15)
      const writing = kafka.produce(topic, spread(2_000))
      await Promise.all(waiting.map((stream) => stream.close()))
      for (const client of catchingUp) client.reset()
      await writing
      await route.untilSubscribers(0)
      await until(async () => (await route.stats()).catchUpReads === 0, 'no catch-up read')
    })

    test('one catch-up read more than maxCatchUpReads is refused with 503; a client that resumes is told to wait', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const value = 'x'.repeat(100_000)
      const records = range(0, 320).map((n) => ({ partition: n % 4, value }))
      await kafka.produce(topic, records)
      await using route = await Route.mount(target(), {
        topics: [topic],
        mode: 'auto',
        ringBytes: 64 * 1024,
        maxCatchUpReads: 1,
      })
      const event = { accept: 'text/event-stream' }
      await using slow = await RawClient.open(route.url({ start: 'earliest' }), event)
      await until(async () => (await route.stats()).catchUpReads === 1, 'a catch-up read')
      // The read of a client that takes nothing for a second gives way to others.
      using _reading = slow.readSlowly(2_000_000)
      for (const headers of [event, { accept: 'application/json' }]) {
        const refused = await route.fetch({ start: 'earliest' }, { headers })
        expect(refused.status).toBe(503)
        expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
        expect(await refused.json()).toMatchObject({
          code: 'TOO_MANY_CATCH_UP_READS',
          retryable: true,
        })
      }
      const id = cursorOf(topic, [79, 80, 80, 80])
      await using waiting = await route.stream({}, { 'last-event-id': id })
      await within(waiting.ended, 'the answer to end')
      expect(waiting.retries[0]).toBeWithin(5_000, 15_001)
      expect(waiting.lastEventId).toBeUndefined()
      expect(waiting.events.map(({ event, data }) => [event, JSON.parse(data)])).toEqual([
        ['error', expect.objectContaining({ code: 'TOO_MANY_CATCH_UP_READS', retryable: true })],
      ])
      await (await route.stream()).close()
      slow.reset()
      await until(async () => (await route.stats()).catchUpReads === 0, 'the catch-up read to end')
      await using served = await route.stream({}, { 'last-event-id': id })
      await served.until(1)
      expect(places(served.records())).toEqual(['0/0000079'])
    }, 120_000)

    test('one stream more than maxSubscribers is refused with 503, until a client has left', async () => {
      const topic = await topicWith(0)
      await using route = await Route.mount(target(), {
        topics: [topic],
        ...STREAM,
        maxSubscribers: 2,
      })
      const [one] = [await route.stream(), await route.stream()]
      const refused = await route.fetch()
      expect(refused.status).toBe(503)
      expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
      expect(await refused.json()).toMatchObject({ code: 'TOO_MANY_SUBSCRIBERS', retryable: true })
      await one.close()
      await route.untilSubscribers(1)
      await (await route.stream()).close()
    })
  })

  describe.concurrent('SSE, the end of streams', () => {
    test('close ends streams after a whole event, and they resume on another handler', async () => {
      const { kafka } = target()
      const topic = await topicWith(400)
      const first = await Route.mount(target(), { topics: [topic], ...STREAM })
      let writing = true
      let written = 400
      const writer = (async () => {
        while (writing) {
          await kafka.produce(topic, spread(200))
          written += 200
        }
      })()
      const streams = await Promise.all(range(0, 5).map(() => first.stream({ start: 'earliest' })))
      const idle = await first.stream()
      await Promise.all(streams.map((stream) => stream.until(100)))
      await within(first.end(), 'the handler to close while it writes')
      for (const stream of [...streams, idle]) {
        await within(stream.ended, 'a stream to end')
        expect(stream.text).toEndWith('\n\n')
      }
      const refused = await first.fetch()
      expect(refused.status).toBe(503)
      expect(await refused.json()).toMatchObject({ code: 'SHUTTING_DOWN' })
      await first.close()
      writing = false
      await writer
      await using second = await Route.mount(target(), { topics: [topic], ...STREAM })
      for (const stream of streams) {
        const id = stream.lastEventId ?? ''
        await using rest = await second.stream({}, { 'last-event-id': id })
        await rest.until(written - stream.records().length)
        expect(offsetsByPartition([...stream.records(), ...rest.records()])).toEqual(whole(written))
      }
    }, 120_000)

    test('a stream ends at its maxStreamAge, after a whole event, and its client resumes', async () => {
      const { kafka } = target()
      const topic = await topicWith(0)
      await using route = await Route.mount(target(), {
        topics: [topic],
        ...STREAM,
        maxStreamAge: 1_000,
      })
      const idle = await route.stream()
      using client = new ReconnectingClient(route.url())
      await client.untilOpened(1)
      let written = 0
      while (client.opened < 3) {
        await kafka.produce(topic, spread(40))
        written += 40
        // The pace of the writer, while the streams grow old.
        await sleep(20)
      }
      await within(idle.ended, 'an old stream to end')
      expect(idle.text).toEndWith('\n\n')
      expect(idle.named('error')).toEqual([])
      await client.until(written)
      expect(offsetsByPartition(client.records)).toEqual(whole(written))
    }, 120_000)

    test('close is quick, whatever requests are open', async () => {
      const topic = await topicWith(8)
      const route = await Route.mount(target(), { topics: [topic], mode: 'auto' })
      await route.records({ timeout: 0 })
      const stream = await route.stream()
      const waiting = route.fetch({ timeout: 30_000 })
      let isAnswered = false
      void waiting.finally(() => {
        isAnswered = true
      })
      await stays(() => !isAnswered, 'the GET waits', 200)
      const began = performance.now()
      await route.end()
      // The GET would wait for 30 s.
      expect(performance.now() - began).toBeLessThan(15_000)
      await within(stream.ended, 'the stream to end')
      const response = await waiting
      expect([200, 503]).toContain(response.status)
      await route.close()
    })
  })

  describe('mode auto', () => {
    test('Accept chooses between a stream and a single read', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written: Produced[] = await kafka.produce(topic, spread(8))
      await using route = await Route.mount(target(), { topics: [topic], mode: 'auto' })
      for (const accept of ['*/*', 'application/json']) {
        const response = await route.fetch({ start: 'earliest' }, { headers: { accept } })
        expect(response.headers.get('content-type')).toStartWith('application/json')
        await response.text()
      }
      await using stream = await route.stream({ start: 'earliest' })
      await stream.until(8)
      expect(places(stream.records())).toEqual(places(written))
    })
  })
}
