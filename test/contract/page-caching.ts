/** The contract of pages that caches keep, and of requests that share a read. */
import { describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { kafkaConsume } from '../../src/index.ts'
import { type BrokerFeatures, type FlatBody, Route, range, type Target } from '../support/route.ts'
import { serve } from '../support/server.ts'
import { until } from '../support/wait.ts'

/** The address that the header `Link` has for a relation. */
export function linkTo(response: Response, relation: 'next' | 'prev'): string {
  const links = (response.headers.get('link') ?? '').split(/,\s*(?=<)/)
  const found = links.find((link) => link.endsWith(`rel="${relation}"`))
  if (!found) throw new Error(`No rel="${relation}" in the Link header "${links.join()}"`)
  return new URL(/<([^>]*)>/.exec(found)?.[1] ?? '', response.url).href
}

async function flatOf(response: Response): Promise<FlatBody> {
  expect(response.status).toBe(200)
  return (await response.json()) as FlatBody
}

/** Waits until the route knows the ids of its topics, which are asked for when the topics are read first. */
async function topicIdsAreKnown(route: Route): Promise<void> {
  const query = { start: 'earliest', max_records: 1, format: 'records' }
  await until(
    async () => linkTo(await route.fetch(query), 'next').includes('version='),
    'topic ids to be known',
    20_000,
  )
}

/**
 * librdkafka asks the cluster's controller for topic ids, and its mock cluster names a controller that it
 * does not have: broker 0, where its only broker is 1. Only C programs can change that.
 */
const NO_TOPIC_IDS = 'the embedded broker cannot be asked for topic ids: it has no controller'

/** Tests that need topic ids, by which re-created topics can be told apart: skipped where there are none. */
function testsWithTopicIds({ hasTopicIds }: BrokerFeatures) {
  return (name: string, body: () => Promise<void>) =>
    hasTopicIds ? test(name, body) : test.skip(`${name} (${NO_TOPIC_IDS})`, body)
}

export function describePageCaching(target: () => Target, features: BrokerFeatures): void {
  const testWithIds = testsWithTopicIds(features)

  async function topicOf(count: number): Promise<string> {
    const { kafka } = target()
    const topic = await kafka.createTopic()
    await kafka.produce(
      topic,
      range(0, count).map((n) => ({ partition: n % 4, key: `k${n % 3}`, value: `v${n}` })),
    )
    return topic
  }

  describe.concurrent('pages that caches keep', () => {
    testWithIds(
      'a full page from a cursor is immutable at the address of `Link`, and a client that has it gets 304',
      async () => {
        const topic = await topicOf(40)
        await using route = await Route.mount(target(), { topics: [topic] })
        await topicIdsAreKnown(route)
        const first = await route.fetch({ start: 'earliest', max_records: 10, format: 'records' })
        // Where the topics begin changes by retention.
        expect(first.headers.get('cache-control')).toBe('no-store')
        const address = linkTo(first, 'next')
        const page = await fetch(address)
        const { headers } = page
        expect(headers.get('cache-control')).toBe('private, max-age=3600, immutable, no-transform')
        const etag = headers.get('etag') as string
        expect(etag).toMatch(/^W\/"[0-9a-f]{16}"$/)
        expect(headers.get('vary')).toMatch(/Accept/)
        const { records } = await flatOf(page)
        expect(records).toHaveLength(10)
        for (const asked of [etag, `"other", ${etag}`, etag.replace('W/', '')]) {
          const again = await fetch(address, { headers: { 'if-none-match': asked } })
          expect([again.status, await again.text()]).toEqual([304, ''])
          expect(again.headers.get('etag')).toBe(etag)
          expect(again.headers.get('cache-control')).toBe(headers.get('cache-control'))
        }
        const other = await fetch(`${address}&max_records=11`.replace('max_records=10&', ''), {
          headers: { 'if-none-match': etag },
        })
        expect((await flatOf(other)).records).toHaveLength(11)
      },
    )

    testWithIds(
      'an address without the version, or with a former one, is validated each time',
      async () => {
        const topic = await topicOf(40)
        await using route = await Route.mount(target(), { topics: [topic] })
        await topicIdsAreKnown(route)
        const query = { cursor: `${topic}:0=0,1=0,2=0,3=0`, max_records: 5, format: 'records' }
        for (const more of [{}, { version: '0123456789abcdef' }]) {
          const response = await route.fetch({ ...query, ...more })
          expect(response.headers.get('cache-control')).toBe('private, no-cache, no-transform')
          const tag = response.headers.get('etag') as string
          const again = await route.fetch(
            { ...query, ...more },
            { headers: { 'if-none-match': tag } },
          )
          expect(again.status).toBe(304)
          expect(linkTo(response, 'next')).not.toContain('0123456789abcdef')
        }
        expect((await route.fetch({ ...query, version: 'a b' })).status).toBe(400)
      },
    )

    testWithIds(
      'a range up to a cursor and the page before a cursor are kept; a page that may grow, or shows watermarks, is not',
      async () => {
        const topic = await topicOf(40)
        await using route = await Route.mount(target(), { topics: [topic] })
        await topicIdsAreKnown(route)
        const begin = `${topic}:0=0,1=0,2=0,3=0`
        const end = `${topic}:0=5,1=5,2=5,3=5`
        const isKept = async (query: Record<string, string | number>, accept = '*/*') => {
          const response = await route.fetch(query, { headers: { accept } })
          expect(response.status).toBe(200)
          await response.arrayBuffer()
          return response.headers.get('etag')?.startsWith('W/"') ?? false
        }
        const lines = 'application/x-ndjson'
        expect(await isKept({ cursor: begin, end, format: 'records' })).toBe(true)
        expect(await isKept({ cursor: begin, end }, lines)).toBe(true)
        expect(await isKept({ start: '-7', end, format: 'value' })).toBe(true)
        expect(await isKept({ cursor: begin, max_bytes: 300, format: 'records' })).toBe(true)
        expect(await isKept({ cursor: begin, end, key: 'k1', format: 'records' })).toBe(true)
        const notKept: Array<Record<string, string | number>> = [
          { cursor: begin, format: 'records', timeout: 0 },
          { cursor: begin, end },
          { cursor: begin, end: 'latest', format: 'records' },
          { start: 'earliest', end, format: 'records' },
          { start: '-7', format: 'records' },
          { start: '-100', end, format: 'records' },
          { cursor: `${topic}:0=0`, max_records: 1, format: 'records' },
          { cursor: `${topic}:0=99,1=0,2=0,3=0`, max_records: 1, format: 'records' },
        ]
        for (const query of notKept) expect([query, await isKept(query)]).toEqual([query, false])
      },
    )

    test('pages of one range lead to each other by kept addresses, each record once', async () => {
      const topic = await topicOf(40)
      await using route = await Route.mount(target(), { topics: [topic] })
      let response = await route.fetch({ start: '-10', format: 'records' })
      const found = [(await flatOf(response)).records]
      for (let pages = 0; pages < 3; pages++) {
        response = await fetch(linkTo(response, 'prev'))
        found.unshift((await flatOf(response)).records)
      }
      expect(
        found
          .flat()
          .map(({ value }) => value)
          .sort(),
      ).toEqual(
        range(0, 40)
          .map((n) => `v${n}`)
          .sort(),
      )
    })

    test('with pageCaching off no page is kept, and addresses have no version', async () => {
      const topic = await topicOf(40)
      await using route = await Route.mount(target(), { topics: [topic], pageCaching: 'off' })
      const query = { cursor: `${topic}:0=0,1=0,2=0,3=0`, max_records: 5, format: 'records' }
      const response = await route.fetch(query, { headers: { 'if-none-match': '*' } })
      expect(response.status).toBe(200)
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(linkTo(response, 'next')).not.toContain('version')
    })

    test('clients that ask for one page at one time get it, whatever becomes of the first of them', async () => {
      const topic = await topicOf(2_000)
      await using route = await Route.mount(target(), { topics: [topic] })
      const query = { cursor: `${topic}:0=0,1=0,2=0,3=0`, max_records: 1_000, format: 'records' }
      for (let round = 0; round < 3; round++) {
        const leaving = new AbortController()
        const first = route.fetch(query, { signal: leaving.signal }).catch(() => undefined)
        const others = range(0, 30).map(() => route.flat(query))
        leaving.abort()
        await first
        const pages = await Promise.all(others)
        for (const { records } of pages) expect(records).toHaveLength(1_000)
      }
      await until(async () => (await route.stats()).answerBytes < 1024 * 1024, 'memory to be free')
    })

    test('clients that wait for a first record each wait for as long as they have asked', async () => {
      const topic = await topicOf(4)
      await using route = await Route.mount(target(), { topics: [topic] })
      const cursor = `${topic}:0=1,1=1,2=1,3=1`
      let isOver = false
      const long = route.flat({ cursor, timeout: 30_000 }).finally(() => {
        isOver = true
      })
      const short = await route.flat({ cursor, timeout: 100 })
      expect(short.records).toEqual([])
      expect(isOver).toBe(false)
      await target().kafka.produce(topic, [{ partition: 0, value: 'new' }])
      expect((await long).records.map(({ value }) => value)).toEqual(['new'])
    })
  })
}

/** The part that needs code of the app's own. */
export function describePageScopes(target: () => Target, { hasTopicIds }: BrokerFeatures): void {
  test('pages are public for clients without credentials only, and clients of another scope share none', async () => {
    const { kafka } = target()
    const topic = await kafka.createTopic()
    await kafka.produce(
      topic,
      range(0, 40).map((n) => ({ partition: n % 4, value: `v${n}` })),
    )
    const orders = kafkaConsume({
      bootstrapServers: kafka.bootstrapServers,
      topics: [topic],
      pageCaching: 'public',
      pageMaxAge: 60_000,
    })
    const app = new Hono()
    app.use(async (c, next) => {
      const partition = c.req.header('x-partition')
      if (partition) c.set('kafkaClient', { name: 'a', only: { partitions: [Number(partition)] } })
      await next()
    })
    app.all('/orders', orders)
    await using server = serve(app)
    const begin = `${topic}:0=0,1=0,2=0,3=0`
    const end = `${topic}:0=10,1=10,2=10,3=10`
    const address = `${server.url}/orders?format=records&cursor=${begin}&end=${end}&max_records=5`
    const page = async (headers: Record<string, string> = {}) => fetch(address, { headers })
    const tagOf = async () => (await page()).headers.get('etag') ?? ''
    if (hasTopicIds) {
      await until(async () => (await tagOf()).startsWith('W/'), 'topic ids to be known', 20_000)
    }
    const control = async (headers: Record<string, string> = {}) => {
      const response = await page(headers)
      const { records } = await flatOf(response)
      const partitions = new Set(records.map(({ partition }) => partition))
      return { control: response.headers.get('cache-control'), partitions, response }
    }
    const [anonymous, authorized, one, three] = await Promise.all([
      control(),
      control({ authorization: 'Basic eDp5' }),
      control({ 'x-partition': '1' }),
      control({ 'x-partition': '3' }),
    ])
    expect([one.partitions, three.partitions]).toEqual([new Set([1]), new Set([3])])
    if (hasTopicIds) {
      const etag = one.response.headers.get('etag') as string
      expect(anonymous.control).toStartWith('public, ')
      expect(authorized.control).toStartWith('private, ')
      expect(one.control).toStartWith('private, ')
      expect(one.response.headers.get('vary')).toContain('Authorization')
      expect(etag).not.toBe(three.response.headers.get('etag') as string)
      const asked = { 'x-partition': '3', 'if-none-match': etag }
      expect((await page(asked)).status).toBe(200)
    }
    await orders.close()
  })
}
