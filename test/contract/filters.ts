import { describe, expect, test } from 'bun:test'
import type { TestRecord } from '../support/kafka.ts'
import { places, Route, range, type Target } from '../support/route.ts'
import { until, within } from '../support/wait.ts'

/** Orders whose totals are their numbers. */
function orders(count: number): TestRecord[] {
  return range(0, count).map((n) => ({
    partition: n % 4,
    key: `customer-${n % 5}`,
    value: JSON.stringify({ type: n % 2 === 0 ? 'placed' : 'paid', total: n }),
    headers: [['tenant', n % 3 === 0 ? 'a' : 'b']],
  }))
}

const FILTER = 'value.type == "placed" && value.total >= 10 && headers.tenant == "a"'

function wanted(records: ReadonlyArray<{ partition: number; offset: number }>) {
  return places(records.filter((_, n) => n % 2 === 0 && n >= 10 && n % 3 === 0))
}

export function describeFilters(target: () => Target): void {
  describe.concurrent('a filter', () => {
    test('passes the records for which it is true, by GET, page by page, and by stream', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written = await kafka.produce(topic, orders(40))
      for (const messageDeserializer of ['noop', 'json'] as const) {
        await using route = await Route.mount(target(), {
          topics: [topic],
          mode: 'auto',
          messageDeserializer,
        })
        const all = await route.flat({ start: 'earliest', filter: FILTER })
        expect(places(all.records)).toEqual(wanted(written))
        // The cursor lies behind records that the filter left out, too.
        expect(all.cursor).toBe(`${topic}:0=10,1=10,2=10,3=10`)
        const first = await route.flat({ start: 'earliest', filter: FILTER, max_records: 2 })
        const rest = await route.flat({ cursor: first.cursor as string, filter: FILTER })
        expect(places([...first.records, ...rest.records])).toEqual(wanted(written))

        await using stream = await route.stream({ start: 'earliest', filter: FILTER })
        await until(() => stream.records().length >= wanted(written).length, 'the records')
        expect(places(stream.records())).toEqual(wanted(written))
      }
    })

    test('of a partition or a topic passes over the others at once where the read has an end', async () => {
      const { kafka } = target()
      const [topic, other] = [await kafka.createTopic(), await kafka.createTopic()]
      await kafka.produce(topic, orders(40))
      await kafka.produce(other, orders(40))
      await using route = await Route.mount(target(), { topics: [topic, other] })
      const range = { start: 'earliest', end: 'latest' }
      const one = await route.flat({ ...range, topic, partition: 1, max_records: 1 })
      expect(places(one.records)).toEqual(places([{ partition: 1, offset: 0 }]))
      const others = `${other}:0=10,1=10,2=10,3=10`
      expect(one.cursor?.split(';').sort()).toEqual([`${topic}:0=10,1=1,2=10,3=10`, others].sort())
      const rest = await route.flat({
        cursor: one.cursor as string,
        end: 'latest',
        partition: 1,
        topic,
      })
      expect(rest.records).toHaveLength(9)
    })

    test('that no record passes still moves the client’s last event id', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), {
        topics: [topic],
        mode: 'server-sent-events',
        heartbeat: 200,
      })
      await using stream = await route.stream({ start: 'earliest', filter: 'false' })
      await kafka.produce(topic, orders(8))
      await until(
        () => stream.lastEventId === `${topic}:0=2,1=2,2=2,3=2`,
        () => `the id at the end; it is ${stream.lastEventId}`,
      )
      expect(stream.records()).toEqual([])
    })

    test('of a group read: the records that it leaves out count as delivered', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written = await kafka.produce(topic, orders(40))
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
      })
      const records = await route.drain(wanted(written).length, { filter: FILTER })
      expect(places(records)).toEqual(wanted(written))
      expect(await route.records({ timeout: 300 })).toEqual([])
    })

    test('that has a name is used by it, and an unknown name is answered with the names', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written = await kafka.produce(topic, orders(40))
      const filters = { 'placed-a': FILTER, none: 'false' }
      await using route = await Route.mount(target(), { topics: [topic], mode: 'auto', filters })
      const query = { start: 'earliest', filter: '@placed-a' }
      const { records } = await route.flat(query)
      expect(places(records)).toEqual(wanted(written))
      await using stream = await route.stream(query)
      await until(() => stream.records().length >= records.length, 'the records')
      expect(places(stream.records())).toEqual(wanted(written))
      const newest = await route.records({ start: '-2', filter: '@placed-a' })
      expect(newest).toHaveLength(2)
      for (const name of ['@other', '@', '@constructor', '@placed-a ']) {
        const response = await route.fetch({ start: 'earliest', filter: name })
        expect([name, response.status]).toEqual([name, 400])
        const { message } = (await response.json()) as { message: string }
        expect(message).toContain('@placed-a, @none')
      }
      expect((await route.stats()).filters).toEqual(filters)
    })

    test('that is not an expression is refused, and the error says where it is wrong', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), { topics: [topic], mode: 'auto' })
      for (const [filter, says] of [
        ['value.total >', 'at character 14'],
        ['total > 5', 'Unknown variable: total'],
        ['offset', 'it must be true or false'],
        ['x'.repeat(5_000), 'at most 4096 characters'],
      ]) {
        for (const accept of ['application/json', 'text/event-stream']) {
          const response = await route.fetch({ filter } as Record<string, string>, {
            headers: { accept },
          })
          expect(response.status).toBe(400)
          const { code, message } = (await response.json()) as { code: string; message: string }
          expect(code).toBe('INVALID_PARAMETER')
          expect(message).toContain(`Cannot use parameter "filter": `)
          expect(message).toContain(says as string)
        }
      }
      const twice = await route.fetch({ filter: ['true', 'true'] })
      expect(twice.status).toBe(400)
    })

    test('that the last batches of the ring buffer do not pass ends a stream with an end at once', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = await Route.mount(target(), {
        topics: [topic],
        mode: 'server-sent-events',
        heartbeat: 60_000,
      })
      // The first stream makes the live consumer follow, which then holds a batch of each record.
      await using live = await route.stream()
      for (const [n, key] of ['yes', 'no', 'no'].entries()) {
        await kafka.produce(topic, [{ partition: 0, key, value: `v${n}` }])
        await until(() => live.records().length > n, 'the record on a stream without an end')
      }
      for (const only of [{ key: 'yes' }, { filter: 'key == "yes"' }]) {
        await using stream = await route.stream({ start: 'earliest', end: 'latest', ...only })
        await within(stream.ended, 'the stream to end')
        expect(stream.records().map(({ value }) => value)).toEqual(['v0'])
        expect(stream.named('end')).toHaveLength(1)
      }
    })
  })
}
