/**
 * The contract of `start=-100`, of `order=time`, of `end`, and of the pages before and after a page. The file
 * has more than 400 lines because its tests share the records that are a second apart.
 */
import { describe, expect, test } from 'bun:test'
import type { TestRecord } from '../support/kafka.ts'
import { offsetsByPartition, places, Route, range, type Target } from '../support/route.ts'
import { SocketClient } from '../support/socket.ts'
import type { StreamedRecord } from '../support/sse.ts'
import { until, within } from '../support/wait.ts'

const START = Date.UTC(2026, 0, 31, 9)

/** Records a second apart, whose partitions are those of `partitionOf`. */
function everySecond(
  count: number,
  partitionOf: (n: number) => number = (n) => n % 4,
  from = 0,
): TestRecord[] {
  return range(from, from + count).map((n) => ({
    partition: partitionOf(n),
    key: `k${n % 3}`,
    value: `v${n}`,
    timestamp: START + n * 1_000,
  }))
}

function valuesOf(records: readonly StreamedRecord[]): unknown[] {
  return records.map(({ value }) => value)
}

function values(from: number, to: number): string[] {
  return range(from, to).map((n) => `v${n}`)
}

/** The address that the header `Link` has for a relation. */
function linkTo(response: Response, relation: 'next' | 'prev'): string | undefined {
  const links = (response.headers.get('link') ?? '').split(/,\s*(?=<)/)
  const found = links.find((link) => link.endsWith(`rel="${relation}"`))
  return found && new URL(/<([^>]*)>/.exec(found)?.[1] ?? '', response.url).href
}

interface Page {
  readonly records: readonly StreamedRecord[]
  readonly cursor: string
  readonly ended?: boolean
  readonly next: string | undefined
  readonly prev: string | undefined
}

async function pageAt(address: string): Promise<Page> {
  const response = await within(fetch(address), `an answer of ${address}`)
  expect(response.status).toBe(200)
  const body = (await response.json()) as Omit<Page, 'next' | 'prev'>
  return { ...body, next: linkTo(response, 'next'), prev: linkTo(response, 'prev') }
}

export function describeBounds(target: () => Target): void {
  describe.concurrent('start=-N', () => {
    test('answers with the newest records of all topics in the order of time, and what follows it are the records after it', async () => {
      const { kafka } = target()
      const topics = [await kafka.createTopic(), await kafka.createTopic()] as const
      const all = everySecond(60)
      // One topic has the even seconds, most of them in one partition.
      await kafka.produce(
        topics[0],
        all
          .filter((_, n) => n % 2 === 0)
          .map((record, n) => ({ ...record, partition: n % 7 === 0 ? 1 : 2 })),
      )
      await kafka.produce(
        topics[1],
        all.filter((_, n) => n % 2 === 1),
      )
      await using route = await Route.mount(target(), { topics: [...topics] })
      const page = await pageAt(route.url({ start: '-25', format: 'records' }))
      expect(valuesOf(page.records)).toEqual(values(35, 60))
      expect(page.ended).toBeUndefined()
      await kafka.produce(
        topics[1],
        everySecond(2, () => 3, 60),
      )
      const next = await pageAt(`${page.next}&timeout=5000`)
      expect(valuesOf(next.records)[0]).toBe('v60')
    })

    test('with fewer records than that answers with all of them, and an empty topic with none', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), { topics: [topic] })
      const none = await pageAt(route.url({ start: '-5', format: 'records' }))
      expect(none.records).toEqual([])
      await kafka.produce(topic, everySecond(3))
      const few = await pageAt(route.url({ start: '-10000', format: 'records' }))
      expect(valuesOf(few.records)).toEqual(values(0, 3))
    })

    test('its pages lead back to the first record, each record once and in the order of time', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      // Partition 0 is quiet for a long time; the others have runs.
      await kafka.produce(
        topic,
        everySecond(100, (n) => (n < 30 ? 0 : 1 + (Math.floor(n / 9) % 3))),
      )
      await using route = await Route.mount(target(), { topics: [topic] })
      const found: unknown[] = []
      let page = await pageAt(route.url({ start: '-30', format: 'records' }))
      for (let pages = 0; pages < 4; pages++) {
        found.unshift(...valuesOf(page.records))
        if (!page.prev) break
        page = await pageAt(page.prev)
      }
      expect(found).toEqual(values(0, 100))
      const before = await pageAt(page.prev as string)
      expect(before.records).toEqual([])
    })

    test('with a filter, a key or a partition finds the newest records that pass', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, everySecond(400))
      await using route = await Route.mount(target(), { topics: [topic] })
      // A search ends after some seconds on a busy machine: the page before goes on with it.
      const newest = async (count: number, filter: Record<string, string | number>) => {
        let page = await pageAt(route.url({ start: `-${count}`, format: 'records', ...filter }))
        const found = valuesOf(page.records)
        while (found.length < count && page.prev) {
          page = await pageAt(page.prev)
          found.unshift(...valuesOf(page.records))
        }
        return found.slice(-count)
      }
      expect(await newest(3, { filter: 'value.endsWith("7")' })).toEqual(['v377', 'v387', 'v397'])
      expect(await newest(2, { key: 'k1' })).toEqual(['v394', 'v397'])
      expect(await newest(2, { partition: 2 })).toEqual(['v394', 'v398'])
      expect(await newest(2, { filter: 'value in ["v3", "v17", "v250"]' })).toEqual(['v17', 'v250'])
    })

    test('the limits of an answer cut its oldest records', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, everySecond(50))
      await using route = await Route.mount(target(), { topics: [topic] })
      expect(valuesOf(await route.records({ start: '-40', max_records: 5 }))).toEqual(
        values(45, 50),
      )
      const page = await pageAt(route.url({ start: '-40', max_bytes: 600, format: 'records' }))
      const { length } = page.records
      expect(length).toBeWithin(2, 10)
      expect(valuesOf(page.records)).toEqual(values(50 - length, 50))
      // A first record comes whatever its size.
      expect(valuesOf(await route.records({ start: '-40', max_bytes: 1 }))).toEqual(['v49'])
    })

    test('records of a partition stay in its order, whatever their timestamps', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const odd = everySecond(40).map((record, n) => ({
        ...record,
        timestamp: START + ((n * 7) % 40) * 1_000,
      }))
      await kafka.produce(topic, odd)
      await using route = await Route.mount(target(), { topics: [topic] })
      for (const count of [1, 7, 39, 40]) {
        const found = offsetsByPartition(await route.records({ start: `-${count}` }))
        const all = Object.values(found)
        expect(all.flat()).toHaveLength(count)
        for (const offsets of all) expect(offsets).toEqual(range(10 - offsets.length, 10))
      }
    })

    test('by lines, values and Kong’s form', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, everySecond(20))
      await using route = await Route.mount(target(), { topics: [topic] })
      expect(await (await route.fetch({ start: '-3', format: 'value' })).json()).toEqual(
        values(17, 20),
      )
      const lines = await route.fetch(
        { start: '-3' },
        { headers: { accept: 'application/x-ndjson' } },
      )
      const parsed = (await lines.text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as StreamedRecord)
      expect(valuesOf(parsed)).toEqual(values(17, 20))
      const kong = (await (await route.fetch({ start: '-3' })).json()) as Record<
        string,
        { partitions: Record<string, { records: StreamedRecord[] }> }
      >
      const partitions = kong[topic]?.partitions ?? {}
      expect(Object.values(partitions).map(({ records }) => valuesOf(records))).toEqual([
        [],
        ['v17'],
        ['v18'],
        ['v19'],
      ])
    })

    test('a stream begins with the newest records and goes on', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, everySecond(40))
      await using route = await Route.mount(target(), {
        topics: [topic],
        mode: 'server-sent-events',
      })
      await using stream = await route.stream({ start: '-10' })
      await until(() => stream.records().length >= 10, 'the newest records')
      await kafka.produce(
        topic,
        everySecond(4, (n) => n % 4, 40),
      )
      await until(() => stream.records().length >= 14, 'the records after them')
      expect(valuesOf(stream.records()).sort()).toEqual(values(30, 44).sort())
    })
  })

  describe.concurrent('order=time', () => {
    test('leads from the oldest record to the end and back, each record once and in the order of time', async () => {
      const { kafka } = target()
      const topics = [await kafka.createTopic(), await kafka.createTopic()] as const
      // Partition 0 is quiet for a long time; the others have runs.
      const all = everySecond(120, (n) => (n < 40 ? 0 : 1 + (Math.floor(n / 9) % 3)))
      for (const [index, topic] of topics.entries()) {
        await kafka.produce(
          topic,
          all.filter((_, n) => n % 2 === index),
        )
      }
      await using route = await Route.mount(target(), { topics: [...topics] })
      const query = { start: 'earliest', order: 'time', max_records: 25, format: 'records' }
      const found: unknown[] = []
      let page = await pageAt(route.url(query))
      const pages = [page]
      while (page.records.length > 0 && pages.length < 9) {
        found.push(...valuesOf(page.records))
        page = await pageAt(page.next as string)
        pages.push(page)
      }
      expect(found).toEqual(values(0, 120))
      const back = await pageAt(pages.at(-1)?.prev as string)
      expect(valuesOf(back.records)).toEqual(values(95, 120))
      // Records that come later are those of the next page.
      await kafka.produce(
        topics[1],
        everySecond(3, (n) => n % 2, 120),
      )
      expect(valuesOf((await pageAt(page.next as string)).records)).toEqual(values(120, 123))
    })

    test('begins at a time and ends at an end, without waiting for records to come', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, everySecond(60))
      await using route = await Route.mount(target(), { topics: [topic] })
      const range = { start: '2026-01-31T09:00:20Z', end: '2026-01-31T09:00:40Z' }
      const query = { ...range, order: 'time', max_records: 15, format: 'records' }
      const first = await pageAt(route.url(query))
      expect(valuesOf(first.records)).toEqual(values(20, 35))
      expect(first.ended).toBeUndefined()
      const last = await pageAt(first.next as string)
      expect(valuesOf(last.records)).toEqual(values(35, 40))
      expect([last.ended, last.next]).toEqual([true, undefined])
      const end = { start: 'latest', order: 'time', timeout: 60_000, format: 'records' }
      expect((await pageAt(route.url(end))).records).toEqual([])
    })

    test('keeps the order of each partition, whatever the timestamps, and each record comes once', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const odd = everySecond(80).map((record, n) => ({
        ...record,
        timestamp: START + ((n * 37) % 80) * 1_000,
      }))
      await kafka.produce(topic, odd)
      await using route = await Route.mount(target(), { topics: [topic] })
      const query = { start: 'earliest', end: 'latest', order: 'time', format: 'records' }
      for (const limit of [9, 79]) {
        const found: StreamedRecord[] = []
        let address: string | undefined = route.url({ ...query, max_records: limit })
        while (address) {
          const page = await pageAt(address)
          found.push(...page.records)
          address = page.next
        }
        const all = Object.values(offsetsByPartition(found))
        expect(all).toHaveLength(4)
        for (const offsets of all) expect(offsets).toEqual(range(0, 20))
      }
    })

    test('with a filter, limits of bytes, lines, and a partition', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, everySecond(400))
      await using route = await Route.mount(target(), { topics: [topic] })
      const ordered = { start: 'earliest', order: 'time' }
      const filtered: StreamedRecord[] = []
      // On a busy machine a page ends before all records have come.
      let url = route.url({ ...ordered, filter: 'value.endsWith("77")', format: 'records' })
      while (filtered.length < 4) {
        const page = await pageAt(url)
        filtered.push(...page.records)
        url = page.next as string
      }
      expect(valuesOf(filtered)).toEqual(['v77', 'v177', 'v277', 'v377'])
      const few = await pageAt(route.url({ ...ordered, max_bytes: 600, format: 'records' }))
      expect(few.records.length).toBeWithin(2, 10)
      const next = await pageAt(few.next as string)
      expect(valuesOf([...few.records, ...next.records]).slice(0, 6)).toEqual(values(0, 6))
      const one = await route.records({ ...ordered, partition: 2, max_records: 3 })
      expect(valuesOf(one)).toEqual(['v2', 'v6', 'v10'])
      const lines = await route.fetch(
        { ...ordered, max_records: 5 },
        { headers: { accept: 'application/x-ndjson' } },
      )
      const parsed = (await lines.text()).trim().split('\n')
      expect(valuesOf(parsed.map((line) => JSON.parse(line) as StreamedRecord))).toEqual(
        values(0, 5),
      )
    })

    test('announces the records that retention has removed, once', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, everySecond(40))
      await kafka.expire(topic, 0, 5)
      const { lowOffset } = await kafka.watermarks(topic, 0)
      await using route = await Route.mount(target(), { topics: [topic] })
      const cursor = `${topic}:0=2,1=8,2=9,3=9`
      const page = (address: string) => within(fetch(address), 'an answer')
      const first = await page(
        route.url({ cursor, order: 'time', max_records: 2, format: 'records' }),
      )
      const { gaps } = (await first.json()) as { gaps: object[] }
      expect(gaps).toEqual([{ topic, partition: 0, from: 2, to: lowOffset, reason: 'retention' }])
      const next = await page(linkTo(first, 'next') as string)
      expect(await next.json()).not.toHaveProperty('gaps')
    })

    test('needs a position, and has no other value', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), { topics: [topic] })
      for (const query of [{ order: 'time' }, { start: 'earliest', order: 'offset' }]) {
        const response = await route.fetch(query)
        expect([query, response.status]).toEqual([query, 400])
        expect(((await response.json()) as { message: string }).message).toContain('"order"')
      }
    })
  })

  describe.concurrent('end', () => {
    test('bounds the pages of a range, and the last of them says that it has ended', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, everySecond(90))
      await using route = await Route.mount(target(), { topics: [topic] })
      const found: StreamedRecord[] = []
      let address: string | undefined = route.url({
        start: 'earliest',
        end: 'latest',
        max_records: 25,
        format: 'records',
      })
      let last: Page | undefined
      for (let pages = 0; address && pages < 10; pages++) {
        last = await pageAt(address)
        found.push(...last.records)
        address = last.next
        // The end of the first page holds for those that follow.
        if (pages === 0)
          await kafka.produce(
            topic,
            everySecond(8, (n) => n % 4, 90),
          )
      }
      expect(places(found)).toHaveLength(90)
      expect(valuesOf(found).sort()).toEqual(values(0, 90).sort())
      expect(last?.ended).toBe(true)
      expect(last?.next).toBeUndefined()
      expect(last?.cursor).toBe(`${topic}:0=23,1=23,2=22,3=22`)
    })

    test('is a time, a duration, a cursor or offsets of each partition', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, everySecond(40))
      await using route = await Route.mount(target(), { topics: [topic] })
      const read = async (end: string, start = 'earliest') => {
        const page = await pageAt(route.url({ start, end, format: 'records' }))
        expect(page.ended).toBe(true)
        return valuesOf(page.records).sort()
      }
      expect(await read('2026-01-31T09:00:10Z')).toEqual(values(0, 10).sort())
      expect(await read('2026-01-31T09:00:30Z', '2026-01-31T09:00:20Z')).toEqual(values(20, 30))
      expect(await read('-1s')).toHaveLength(40)
      expect(await read('earliest')).toEqual([])
      expect(await read(`${topic}:0=1,1=0,2=2,3=0`)).toEqual(['v0', 'v2', 'v6'])
      // A partition that the cursor does not name is newer than the cursor.
      expect(await read(`${topic}:1=2`)).toEqual(['v1', 'v5'])
      const offsets = [
        { topic, partition: 3, offset: 1 },
        { topic, partition: 0, offset: -1 },
      ]
      expect(await read(JSON.stringify(offsets))).toHaveLength(11)
      // An end before the start bounds an empty range.
      expect(await read(`${topic}:0=1,1=1,2=1,3=1`, '2026-01-31T09:00:20Z')).toEqual([])
    })

    test('with a filter ends where the range does, not at the last record that passes', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, everySecond(40))
      await using route = await Route.mount(target(), { topics: [topic] })
      const page = await pageAt(
        route.url({
          start: 'earliest',
          end: `${topic}:0=5,1=5,2=5,3=5`,
          key: 'k0',
          format: 'records',
        }),
      )
      expect(valuesOf(page.records).sort()).toEqual(
        ['v0', 'v12', 'v15', 'v18', 'v3', 'v6', 'v9'].sort(),
      )
      expect(page).toMatchObject({ ended: true, cursor: `${topic}:0=5,1=5,2=5,3=5` })
    })

    test('that lies in the future does not end the pages before it', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, everySecond(8))
      await using route = await Route.mount(target(), { topics: [topic] })
      const end = `${topic}:0=3,1=2,2=2,3=2`
      const first = await pageAt(route.url({ start: 'earliest', end, format: 'records' }))
      expect(first.records).toHaveLength(8)
      expect(first.ended).toBeUndefined()
      await kafka.produce(
        topic,
        everySecond(8, () => 0, 8),
      )
      const last = await pageAt(`${first.next}&timeout=5000`)
      expect(valuesOf(last.records)).toEqual(['v8'])
      expect(last.ended).toBe(true)
    })

    test('needs a position to read from, and a text that says where it is', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), { topics: [topic] })
      for (const query of [
        { end: 'latest' },
        { start: 'earliest', end: 'now' },
        { start: 'earliest', end: '-100' },
        { start: 'earliest', end: `${topic}:9=1` },
        { start: '-0' },
        { start: '-10001' },
        { start: '-1.5' },
        { start: '100' },
      ]) {
        const response = await route.fetch(query)
        expect([query, response.status]).toEqual([query, 400])
        expect(((await response.json()) as { message: string }).message).toMatch(/end|start/)
      }
    })

    test('ends an event stream, lines and a socket with a final word', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, everySecond(40))
      await using route = await Route.mount(target(), { topics: [topic], mode: 'auto' })
      const query = { start: 'earliest', end: '2026-01-31T09:00:20Z' }
      const end = `${topic}:0=5,1=5,2=5,3=5`

      await using stream = await route.stream(query)
      await within(stream.ended, 'the stream to end')
      expect(valuesOf(stream.records()).sort()).toEqual(values(0, 20).sort())
      expect(stream.events.at(-1)).toEqual({
        event: 'end',
        id: end,
        data: JSON.stringify({ cursor: end }),
      })
      // No id is beyond the end: a client that resumes there without an end misses nothing.
      for (const { id = '' } of stream.events) expect(id).not.toMatch(/=(?:[6-9]|10)\b/)
      // An EventSource reconnects after any end of a stream: this status ends it.
      const again = await route.fetch(query, {
        headers: { accept: 'text/event-stream', 'last-event-id': end },
      })
      expect([again.status, await again.text()]).toEqual([204, ''])

      await using lines = await Route.mount(target(), {
        topics: [topic],
        mode: 'server-sent-events',
      })
      const accept = { headers: { accept: 'application/x-ndjson' } }
      const text = await within((await lines.fetch(query, accept)).text(), 'the lines to end')
      const parsed = text
        .trim()
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as object)
      expect(parsed).toHaveLength(21)
      expect(parsed.at(-1)).toEqual({ ended: true, cursor: end })

      await using socket = await SocketClient.open(route.url(query))
      const { code } = await within(socket.closed, 'the socket to close')
      expect(socket.records()).toHaveLength(20)
      expect(socket.frames.at(-1)).toEqual({ ended: true, cursor: end })
      expect(code).toBe(1000)
    })

    test('that is not reached yet keeps a stream open until its records come', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, everySecond(8))
      await using route = await Route.mount(target(), {
        topics: [topic],
        mode: 'server-sent-events',
      })
      const end = `${topic}:0=3,1=2,2=2,3=3`
      await using stream = await route.stream({ start: '-2', end, key: ['k0', 'k1', 'k2'] })
      await until(() => stream.records().length === 2, 'the newest records')
      await kafka.produce(
        topic,
        everySecond(20, (n) => n % 4, 8),
      )
      await within(stream.ended, 'the stream to end')
      expect(valuesOf(stream.records()).sort()).toEqual(['v11', 'v6', 'v7', 'v8'])
    })
  })
}
