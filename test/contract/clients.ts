import { describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import {
  type KafkaClient,
  KafkaConsumeError,
  type KafkaConsumeHandler,
  type KafkaReaderEnv,
  type KafkaReaderMiddleware,
  kafkaConsume,
  kafkaReader,
} from '../../src/index.ts'
import { uniqueName } from '../support/names.ts'
import { places, type RouteOptions, type Target } from '../support/route.ts'
import { serve, type TestServer } from '../support/server.ts'
import { SseClient, type StreamedRecord } from '../support/sse.ts'
import { until, within } from '../support/wait.ts'
import { spread } from './get.ts'

/** A route whose requests name their `KafkaClient` themselves: `?as={…}`. */
class Guarded implements AsyncDisposable {
  readonly handler: KafkaConsumeHandler
  readonly reader: KafkaReaderMiddleware
  readonly #server: TestServer
  /** Streams that were opened and have not ended. */
  open = 0

  constructor(target: Target, options: RouteOptions) {
    const all = {
      bootstrapServers: target.kafka.bootstrapServers,
      autoOffsetReset: 'earliest',
      ...options,
    } as const
    this.handler = kafkaConsume({ mode: 'auto', ...all })
    this.reader = kafkaReader(all)
    const app = new Hono<KafkaReaderEnv>()
    app.use(async (c, next) => {
      const openStream = () => {
        if (this.open === 1) throw new KafkaConsumeError('TOO_MANY_STREAMS', 'Cannot: one is open')
        this.open++
        return () => {
          this.open--
        }
      }
      const client = JSON.parse(c.req.query('as') ?? '{}') as KafkaClient
      c.set('kafkaClient', { ...client, credentialParameters: ['as'], openStream })
      await next()
    })
    app.all('/messages', this.handler).all('/messages/offsets', this.handler)
    app.use('/read', this.reader)
    app.get('/read', async (c) => {
      const { records } = await c.var.kafka.read({ start: 'earliest', timeout: 5_000 })
      return c.json({ records })
    })
    this.#server = serve(app as unknown as Hono)
  }

  url(client: KafkaClient, query: Record<string, string> = {}, path = '/messages'): string {
    const parameters = new URLSearchParams({ ...query, as: JSON.stringify(client) })
    return `${this.#server.url}${path}?${parameters}`
  }

  get(client: KafkaClient, query: Record<string, string> = {}, path?: string): Promise<Response> {
    return within(fetch(this.url(client, query, path)), 'an answer', 25_000)
  }

  async records(client: KafkaClient, query: Record<string, string> = {}, path?: string) {
    const response = await this.get(client, path ? query : { format: 'records', ...query }, path)
    if (response.status !== 200) throw new Error(await response.text())
    return ((await response.json()) as { records: StreamedRecord[] }).records
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = Promise.all([this.handler.close(), this.reader.close()])
    await within(closed, 'handler and reader to close')
    await this.#server.close()
  }
}

export function describeClients(target: () => Target): void {
  describe.concurrent('a client that a middleware identifies', () => {
    test('gets only the records of its scope, by every kind of read', async () => {
      const { kafka } = target()
      const [own, other] = [await kafka.createTopic(), await kafka.createTopic()]
      const written = await kafka.produce(own, spread(8))
      await kafka.produce(other, spread(8))
      await using route = new Guarded(target(), { topics: [own, other] })
      const client = { only: { topics: [own], partitions: [0, 1, 77] } }
      const mine = places(written.filter(({ partition }) => partition < 2))
      expect(mine).toHaveLength(4)

      expect(places(await route.records(client, { start: 'earliest' }))).toEqual(mine)
      expect(places(await route.records(client, {}, '/read'))).toEqual(mine)
      const one = await route.records(client, { start: 'earliest', partition: '1' })
      expect(places(one)).toEqual(mine.filter((place) => place.startsWith('1/')))
      await using stream = await SseClient.open(route.url(client, { start: 'earliest' }))
      await until(() => stream.records().length >= 4, 'its records by a stream')
      expect(places(stream.records())).toEqual(mine)

      const kong = (await (await route.get(client, { start: 'earliest' })).json()) as object
      expect(Object.keys(kong)).toEqual([own])
      for (const query of [{ topic: other }, { partition: '2' }]) {
        const refused = await route.get(client, { start: 'earliest', ...query })
        expect(refused.status).toBe(403)
        expect(await refused.json()).toMatchObject({ code: 'FORBIDDEN' })
      }
      const some = { only: { topics: [own], filters: ['offset == 1', 'partition > 1'] } }
      expect(places(await route.records(some, { start: 'earliest' }))).toEqual(
        places(written.filter(({ partition, offset }) => partition > 1 && offset === 1)),
      )
      for (const only of [
        { topics: ['none'] },
        { partitions: [99] },
        { keys: ['none'] },
        { filters: ['false'] },
      ]) {
        const none = { start: 'earliest', timeout: '0' }
        expect(await route.records({ only }, none)).toEqual([])
      }
    })

    test('with a scope may not read from a group that it shares with others, nor commit for it', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = new Guarded(target(), { topics: [topic], commitStrategy: 'off' })
      const client = { only: { partitions: [0] } }
      const answers = [
        await route.get(client),
        await fetch(route.url(client, {}, '/messages/offsets'), {
          method: 'POST',
          body: JSON.stringify({ [topic]: { 0: 0 } }),
        }),
      ]
      for (const answer of answers) {
        expect(answer.status).toBe(403)
        expect(await answer.json()).toMatchObject({ code: 'FORBIDDEN' })
      }
    })

    test('has a next link without its credentials', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = new Guarded(target(), { topics: [topic] })
      const answer = await route.get({ name: 'planted' }, { start: 'latest', timeout: '0' })
      expect(answer.status).toBe(200)
      expect(answer.headers.get('link')).toStartWith('</messages?timeout=0&cursor=')
    })

    test('may open another stream once its stream has ended in any way', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using route = new Guarded(target(), { topics: [topic] })
      const first = await SseClient.open(route.url({}))
      const refused = await fetch(route.url({}), { headers: { accept: 'text/event-stream' } })
      expect(refused.status).toBe(429)
      expect(await refused.json()).toMatchObject({ code: 'TOO_MANY_STREAMS', retryable: true })
      expect(route.handler.stats().subscribers).toBe(1)
      await first[Symbol.asyncDispose]()
      await until(() => route.open === 0, 'the stream that its client left to end')
      const wrong = await fetch(route.url({}, { partition: '99' }), {
        headers: { accept: 'text/event-stream' },
      })
      expect(wrong.status).toBe(400)
      expect(route.open).toBe(0)
      const second = await SseClient.open(route.url({}))
      await route.handler.close()
      await second.ended
      expect(route.open).toBe(0)
    })

    test('gets its stream until its credentials end, and no longer', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(4))
      await using route = new Guarded(target(), { topics: [topic] })
      // The first read takes its time to connect to Kafka, which may be longer than the credentials
      // last.
      await until(
        async () => (await route.records({}, { start: 'earliest' })).length === 4,
        'all records in one answer',
        20_000,
      )
      const client = { until: Date.now() + 3_000 }
      const stream = await SseClient.open(route.url(client, { start: 'earliest' }))
      await within(stream.ended, 'the stream to end')
      expect(stream.records()).toHaveLength(4)
      expect(stream.named('error')).toEqual([])
      expect(Date.now()).toBeGreaterThanOrEqual(client.until)
    })

    test('reads as a group of its own name, and gets all records', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written = await kafka.produce(topic, spread(8))
      await using route = new Guarded(target(), {
        topics: [topic],
        consumerGroup: { mode: 'kong_consumer' },
        maxGroups: 2,
      })
      const names = [uniqueName('ann'), uniqueName('bob')]
      for (const name of names) {
        const got: StreamedRecord[] = []
        await until(async () => {
          got.push(...(await route.records({ name })))
          return got.length >= 8
        }, `all records for ${name}`)
        expect(places(got)).toEqual(places(written))
      }
      // A bound client may use a group that is its alone; the one that rests longest makes room.
      const third = { name: uniqueName('eve'), only: { partitions: [0] } }
      const got: StreamedRecord[] = []
      await until(async () => {
        got.push(...(await route.records(third)))
        return got.length >= 2
      }, 'the records of one partition')
      expect(places(got)).toEqual(places(written.filter(({ partition }) => partition === 0)))
      expect(await route.records({ name: names[0] as string }, { timeout: '200' })).toEqual([])

      const nobody = await route.get({})
      expect(nobody.status).toBe(500)
      expect(await nobody.json()).toMatchObject({
        code: 'INVALID_OPTIONS',
        message: expect.stringContaining('no consumer is authenticated'),
      })
    })
  })
}
