/** Topics change while streams follow them: partitions are added, topics are re-created, records are deleted. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Gap } from '../../src/port/kafka.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { RawClient } from '../support/raw.ts'
import { Route, range } from '../support/route.ts'
import type { StreamedRecord } from '../support/sse.ts'
import { sleep, until } from '../support/wait.ts'
import { sized } from './support/form.ts'
import { Recorder } from './support/recorder.ts'
import { report } from './support/report.ts'

const CLIENTS = sized(5, 30)
const LIMIT = 120_000

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(async () => {
  await kafka.close()
})

async function gatewayOf(topic: string, ...more: readonly string[]) {
  const own = ['--brokers', kafka.bootstrapServers, '--topics', topic, '--admin-port', 'off']
  const flags = [...own, ...more]
  const { gateway, url } = await GatewayProcess.listening(flags)
  return { gateway, url: `${url}/stream` }
}

/** Writes to partitions in turn; a record says which one of which life of its topic it is. */
async function write(topic: string, life: number, partitions: number, from: number, to: number) {
  const numbers = range(from, to)
  // One that knows of no earlier state of the topic.
  const writer = await TestKafka.real()
  await writer.produce(
    topic,
    range(0, partitions).flatMap((partition) =>
      numbers.map((n) => ({ partition, value: `${life}:${partition}:${n}` })),
    ),
  )
  await writer.close()
}

describe.concurrent('topics that change while clients follow them', () => {
  test(
    'a gateway that reads and writes one topic, which does not exist, is not ready until it is created; one whose topic is deleted later stays ready, and names the topic',
    async () => {
      const topic = uniqueName('later')
      const { gateway, url } = await gatewayOf(topic, '--produce')
      await using _ = gateway
      const readyz = async () => (await fetch(new URL('/readyz', url))).json()
      const isReady = async () => ((await readyz()) as { status: string }).status === 'ready'
      const isMissing = async () => JSON.stringify(await readyz()).includes('"UNKNOWN_TOPIC"')
      await until(isMissing, 'the missing topic to be the reason', 30_000)
      expect(await readyz()).toMatchObject({
        status: 'unavailable',
        reasons: [{ code: 'UNKNOWN_TOPIC', message: expect.stringContaining(topic) }],
      })
      await kafka.createTopic(1, 1, topic)
      await until(isReady, 'readiness', 30_000)
      await kafka.deleteTopic(topic)
      const read = () => fetch(new URL('/messages?start=earliest&timeout=0', url))
      await until(async () => (await read()).status === 404, 'the topic to be gone', 30_000)
      expect(await (await read()).json()).toMatchObject({
        code: 'UNKNOWN_TOPIC',
        message: expect.stringContaining(topic),
      })
      expect(await isReady()).toBe(true)
    },
    LIMIT,
  )

  test(
    'partitions are added: none of their records is missed, and streams go on',
    async () => {
      const topic = await kafka.createTopic(2)
      await using stack = new AsyncDisposableStack()
      const [one, two] = [await gatewayOf(topic), await gatewayOf(topic)]
      stack.use(one.gateway)
      stack.use(two.gateway)
      const clients = range(0, CLIENTS).map(() => stack.use(new Recorder(one.url)))
      // A stream keeps the live consumer of the other gateway as it was before the change.
      const other = stack.use(new Recorder(two.url))
      for (const client of [...clients, other]) await client.untilOpened()
      await write(topic, 1, 2, 0, 100)
      await kafka.addPartitions(topic, 5)
      let written = 100
      for (const _ of range(0, 5)) {
        await write(topic, 1, 5, written, written + 100)
        written += 100
        // Spread over the seconds in which the gateways learn of the partitions.
        await sleep(500)
      }
      const total = 2 * 100 + 5 * 500
      for (const client of [...clients, other]) {
        await client.until(total)
        expect(client.records).toHaveLength(total)
        for (const partition of [0, 1]) {
          expect(client.offsets(partition)).toEqual(range(0, 600))
        }
        for (const partition of [2, 3, 4]) {
          expect(client.offsets(partition)).toEqual(range(0, 500))
        }
        expect([client.opened, client.gaps, client.errors]).toEqual([1, [], []])
        expect(client.lastId).toContain(',4=')
      }
      report('partitions added', {
        clients: CLIENTS + 1,
        sent: total,
        received: total * (CLIENTS + 1),
        lost: 0,
        doubled: 0,
      })
    },
    LIMIT,
  )

  test(
    'a node that does not know of a partition yet serves a cursor that names it',
    async () => {
      const topic = await kafka.createTopic(1)
      const { gateway, url } = await gatewayOf(topic)
      await using _ = gateway
      using first = new Recorder(url)
      await first.untilOpened()
      await kafka.addPartitions(topic, 2)
      await write(topic, 1, 2, 0, 10)
      using resumed = new Recorder(url, `${topic}:0=4,1=7`)
      await resumed.until(9)
      expect(resumed.offsets(0)).toEqual(range(4, 10))
      expect(resumed.offsets(1)).toEqual(range(7, 10))
    },
    LIMIT,
  )

  for (const [form, count] of [
    ['shorter', 40],
    ['as long', 100],
    ['longer', 160],
  ] as const) {
    test(
      `a topic is re-created, ${form} than before: a gap, then all of it`,
      async () => {
        const topic = await kafka.createTopic(1)
        const { gateway, url } = await gatewayOf(topic)
        await using _ = gateway
        await write(topic, 1, 1, 0, 100)
        using client = new Recorder(`${url}?start=earliest`)
        await client.until(100)
        await kafka.recreateTopic(topic, 1)
        await write(topic, 2, 1, 0, count)
        await until(() => client.gaps.length > 0, 'a gap', 60_000)
        const { from, to, reason, after } = client.gaps[0] as Recorder['gaps'][number]
        await client.until(after + count)
        expect(client.gaps).toHaveLength(1)
        expect([to, reason]).toEqual([0, 'out-of-range'])
        expect(client.records.slice(after).map(({ value }) => value)).toEqual(
          range(0, count).map((n) => `2:0:${n}`),
        )
        // Until it was noticed, reading may have gone on where the old topic was.
        const early = client.offsets(0).slice(100, after)
        expect(early).toEqual(range(100, from))
        expect([client.opened, client.errors]).toEqual([1, []])
        report(`topic re-created, ${form}`, {
          sent: 100 + count,
          lost: 0,
          'doubled before it was noticed': early.length,
          gaps: 1,
        })
      },
      LIMIT,
    )
  }

  test(
    'a topic is re-created with more partitions, while clients are away and while they are connected',
    async () => {
      const topic = await kafka.createTopic(1)
      const { gateway, url } = await gatewayOf(topic)
      await using _ = gateway
      await write(topic, 1, 1, 0, 100)
      using client = new Recorder(`${url}?start=earliest`)
      await client.until(100)
      await kafka.recreateTopic(topic, 3)
      await write(topic, 2, 3, 0, 50)
      await until(() => client.records.length >= 250, 'the new topic', 60_000)
      for (const partition of range(0, 3)) {
        expect(client.offsets(partition, 100)).toEqual(range(0, 50))
      }
      expect(client.gaps.map(({ partition, from, to }) => [partition, from, to])).toEqual([
        [0, 100, 0],
      ])
      using away = new Recorder(url, `${topic}:0=100`)
      await away.until(150)
      expect(away.gaps.map(({ partition, from, to }) => [partition, from, to])).toEqual([
        [0, 100, 0],
      ])
      expect(away.gaps[0]?.after).toBeLessThan(150)
      for (const partition of range(0, 3)) expect(away.offsets(partition)).toEqual(range(0, 50))
    },
    LIMIT,
  )

  test(
    'a topic that is deleted is announced as an error, not by silence',
    async () => {
      const topic = await kafka.createTopic(1)
      const { gateway, url } = await gatewayOf(topic)
      await using _ = gateway
      await write(topic, 1, 1, 0, 10)
      using client = new Recorder(`${url}?start=earliest`)
      await client.until(10)
      await kafka.deleteTopic(topic)
      await until(() => client.errors.length > 0, 'an error', 60_000)
      expect(client.errors).toEqual(['UNKNOWN_TOPIC'])
      await until(() => client.isClosed, 'the client to be refused', 20_000)
      expect((await fetch(url)).status).toBe(404)
    },
    LIMIT,
  )

  test(
    'a client resumes where records have been deleted: one gap, and the rest',
    async () => {
      const topic = await kafka.createTopic(1)
      await write(topic, 1, 1, 0, 1_000)
      const { gateway, url } = await gatewayOf(topic)
      await using _ = gateway
      await kafka.expire(topic, 0, 900)
      using away = new Recorder(url, `${topic}:0=10`)
      await away.until(100)
      expect(away.gaps).toEqual([
        { topic, partition: 0, from: 10, to: 900, reason: 'retention', after: 0 },
      ])
      expect(away.offsets(0)).toEqual(range(900, 1_000))
    },
    LIMIT,
  )

  test(
    'records are deleted before a slow stream has read them: a gap at their place, and the rest',
    async () => {
      const topic = await kafka.createTopic(1)
      const options = { topics: [topic], mode: 'server-sent-events', ringBytes: 64 * 1024 } as const
      await using route = await Route.mount({ kafka, close: async () => {} }, options)
      await using slow = await RawClient.open(route.url({ start: 'earliest' }), {
        accept: 'text/event-stream',
      })
      // One that has begun to read takes more than it is asked to.
      await route.untilSubscribers(1)
      const value = 'x'.repeat(20_000)
      const written = sized(2_000, 10_000)
      for (const _ of range(0, written / 200)) {
        await kafka.produce(
          topic,
          range(0, 200).map(() => ({ partition: 0, value })),
        )
      }
      const kept = written - 100
      await kafka.expire(topic, 0, kept)
      slow.resume()
      const text = () => slow.body().toString()
      await until(
        async () => {
          // The text is long: not to look at it more often.
          await sleep(100)
          return text().includes(`"offset":${written - 1},`)
        },
        'the last record',
        60_000,
      )
      let due = 0
      let received = 0
      const gaps: Gap[] = []
      for (const frame of text().split('\n\n')) {
        const data = /^data: (.*)$/m.exec(frame)?.[1]
        if (data === undefined || frame.includes('event: cursor\n')) continue
        if (frame.startsWith('event: gap')) {
          const gap = JSON.parse(data) as Gap
          expect(gap.from).toBe(due)
          gaps.push(gap)
          due = gap.to
        } else {
          expect((JSON.parse(data) as StreamedRecord).offset).toBe(due)
          due++
          received++
        }
      }
      expect(due).toBe(written)
      expect(gaps.map(({ to, reason }) => [to, reason])).toEqual([[kept, 'retention']])
      report('records deleted under a slow stream', {
        sent: written,
        received,
        gaps: 1,
        doubled: 0,
      })
    },
    LIMIT,
  )
})
