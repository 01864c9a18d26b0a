import { describe, expect, spyOn, test } from 'bun:test'
import { Hono } from 'hono'
import {
  type KafkaReader,
  type KafkaReaderEnv,
  type KafkaReaderMiddleware,
  kafkaReader,
} from '../../src/index.ts'
import { throwingApp } from '../runtimes/throwing.ts'
import { uniqueName } from '../support/names.ts'
import { places, range, type Target } from '../support/route.ts'
import { serve, type TestServer } from '../support/server.ts'
import type { StreamedRecord } from '../support/sse.ts'
import { sleep, until, within } from '../support/wait.ts'
import { spread } from './get.ts'

/** Requests to the handler behind the middleware, which choose what it does. */
class Behind implements AsyncDisposable {
  readonly middleware: KafkaReaderMiddleware
  readonly #server: TestServer
  /** How many records loops over streams have taken, and how many loops have ended. */
  taken = 0
  ended = 0
  /** How polls ended that their handler did not wait for: with so many records, or an error. */
  readonly left: Array<number | string> = []
  /** The reader of the last such handler. */
  reader: KafkaReader | undefined

  constructor(target: Target, topic: string) {
    this.middleware = kafkaReader({
      bootstrapServers: target.kafka.bootstrapServers,
      topics: [topic],
      autoOffsetReset: 'earliest',
      consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('group') },
    })
    const app = new Hono<KafkaReaderEnv>()
    app.use('/*', this.middleware)
    app.get('/poll/:then', async (c) => {
      const { records, commit, requeue } = await c.var.kafka.poll({
        maxRecords: 3,
        timeout: 2_000,
      })
      const then = c.req.param('then')
      if (then === 'throw') throw new Error('the handler failed')
      if (then === 'requeue') requeue()
      if (then === 'commit') commit()
      return c.json(records)
    })
    app.get('/signal/:method/:when', async (c) => {
      const abort = new AbortController()
      if (c.req.param('when') === 'before') abort.abort()
      else setTimeout(() => abort.abort(), 500)
      const limits = { timeout: 60_000, signal: abort.signal }
      const reading =
        c.req.param('method') === 'poll'
          ? c.var.kafka.poll(limits)
          : c.var.kafka.read({ start: 'latest', ...limits })
      return c.json((await reading).records)
    })
    app.get('/left/:then', async (c) => {
      const polled = c.var.kafka.poll({ timeout: 60_000 })
      void polled.then(
        ({ records }) => this.left.push(records.length),
        (error: Error) => this.left.push(error.message),
      )
      await Promise.race([polled, sleep(500)])
      this.reader = c.var.kafka
      if (c.req.param('then') === 'throw') throw new Error('the handler failed')
      return c.text('did not wait')
    })
    app.get('/read', async (c) => c.json(await c.var.kafka.read({ start: 'earliest' })))
    app.get('/end', async (c) => c.json(await c.var.kafka.read()))
    app.get('/wait', async (c) => c.json(await c.var.kafka.read({ timeout: Infinity })))
    app.get('/refused', async (c) => {
      const refused = await Promise.all(
        [Number.NaN, -1, Number.POSITIVE_INFINITY, 'now' as 'latest'].map(async (start) => {
          const error = await c.var.kafka.read({ start }).catch((thrown: unknown) => thrown)
          return (error as Error).message
        }),
      )
      return c.json(refused)
    })
    app.get('/stream/:count', async (c) => {
      const records: unknown[] = []
      try {
        for await (const record of c.var.kafka.stream({ start: 'earliest' })) {
          records.push(record)
          this.taken += 1
          if (records.length === Number(c.req.param('count'))) break
        }
      } finally {
        this.ended += 1
      }
      return c.json(records)
    })
    app.onError((_, c) => c.text('failed', 500))
    this.#server = serve(app as unknown as Hono)
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return within(fetch(`${this.#server.url}${path}`, init), `an answer of ${path}`, 15_000)
  }

  async json<T>(path: string): Promise<T> {
    const response = await this.fetch(path)
    if (response.status !== 200) throw new Error(`${path}: ${await response.text()}`)
    return (await response.json()) as T
  }

  /** Polls and commits until a number of records has come in all; more than that is returned, too. */
  async drain(count: number): Promise<StreamedRecord[]> {
    const records: StreamedRecord[] = []
    await until(
      async () => {
        records.push(...(await this.json<StreamedRecord[]>('/poll/return')))
        return records.length >= count
      },
      () => `${count} records by polls; ${records.length} came`,
    )
    return records
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await within(this.middleware.close(), 'the middleware to close', 15_000)
    await this.#server.close()
  }
}

export function describeReader(target: () => Target): void {
  describe.concurrent('kafkaReader, with a handler behind it', () => {
    test('a start that is not a time is refused by an error that names the form', async () => {
      const { kafka } = target()
      await using behind = new Behind(target(), await kafka.createTopic())
      for (const message of await behind.json<string[]>('/refused')) {
        expect(message).toStartWith('Cannot read: start: "earliest", "latest" or milliseconds')
      }
    })

    test('a read without parameters begins at the end', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(3))
      await using behind = new Behind(target(), topic)
      expect(await behind.json<object>('/end')).toMatchObject({ records: [], gaps: [] })
    })

    test('errors that a handler lets through are answered with their status, and are not printed', async () => {
      const { kafka } = target()
      const { bootstrapServers } = kafka
      const topic = uniqueName('absent')
      const middleware = kafkaReader({ bootstrapServers, topics: [topic] })
      const printed = spyOn(console, 'error').mockImplementation(() => {})
      try {
        const app = throwingApp(middleware)
        for (const path of ['/default', '/own']) {
          const response = await within(Promise.resolve(app.request(path)), 'an answer', 30_000)
          expect(response.status).toBe(404)
          expect(response.headers.get('retry-after')).toBeNull()
          expect(await response.json()).toEqual({
            message: expect.stringMatching(/^Cannot .*does not/),
            code: 'UNKNOWN_TOPIC',
          })
        }
        // Tests beside this one may print errors of their own.
        expect(printed.mock.calls.flat().join('\n')).not.toContain(topic)
      } finally {
        printed.mockRestore()
        await middleware.close()
      }
    })

    test('poll gets each record once as the group, and requeues those of a handler that failed', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written = await kafka.produce(topic, spread(12, 1))
      await using behind = new Behind(target(), topic)
      const got: StreamedRecord[] = []
      for (const then of ['throw', 'return', 'requeue', 'commit', 'throw']) {
        const response = await behind.fetch(`/poll/${then}`)
        expect(response.status).toBe(then === 'throw' ? 500 : 200)
        if (then === 'return' || then === 'commit') {
          got.push(...((await response.json()) as StreamedRecord[]))
        }
      }
      got.push(...(await behind.drain(12 - got.length)))
      expect(places(got)).toEqual(places(written))
      expect(got[0]).toMatchObject({ topic, partition: 0, offset: 0, key: null, value: 'v0' })
    })

    test('a read without a limit of its time waits for a record, by timers that do not overflow', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using behind = new Behind(target(), topic)
      using timers = spyOn(globalThis, 'setTimeout')
      let isDone = false
      const reading = behind.json<{ records: StreamedRecord[] }>('/wait').finally(() => {
        isDone = true
      })
      while (!isDone) {
        await Promise.race([reading, sleep(500)])
        await kafka.produce(topic, spread(1))
      }
      expect((await reading).records.length).toBeGreaterThan(0)
      // Node's and Bun's timers hold 31 bits: a longer time fires at once, and the read would spin.
      for (const [, delay = 0] of timers.mock.calls) expect(delay).toBeLessThan(2 ** 31)
    })

    test('a poll or a read whose own signal aborts ends without records', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using behind = new Behind(target(), topic)
      const paths = ['poll', 'read'].flatMap((method) => [`${method}/before`, `${method}/during`])
      const ended = await Promise.all(paths.map((path) => behind.json(`/signal/${path}`)))
      expect(ended).toEqual([[], [], [], []])
      const written = await kafka.produce(topic, spread(4, 1))
      expect(places(await behind.drain(4))).toEqual(places(written))
    })

    test('a poll that outlives its handler takes no records', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await using behind = new Behind(target(), topic)
      for (const [then, status] of [
        ['return', 200],
        ['throw', 500],
      ]) {
        expect((await behind.fetch(`/left/${then}`)).status).toBe(status as number)
      }
      await until(() => behind.left.length === 2, 'both polls to end')
      expect(behind.left).toEqual([0, 0])
      const written = await kafka.produce(topic, spread(8))
      expect(places(await behind.drain(8))).toEqual(places(written))
      const late = behind.reader?.poll({ timeout: 0 }) ?? Promise.resolve()
      await expect(late).rejects.toThrow('the handler has ended')
    })

    test('read and stream read without the group, as often as wanted', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      const written = await kafka.produce(topic, spread(8))
      await using behind = new Behind(target(), topic)
      for (const _ of range(0, 2)) {
        const read = await behind.json<{ records: StreamedRecord[]; cursor: string }>('/read')
        expect(places(read.records)).toEqual(places(written))
        expect(read.cursor).toBe(`${topic}:0=2,1=2,2=2,3=2`)
        const streamed = await behind.json<(StreamedRecord & { cursor: string })[]>('/stream/8')
        expect(places(streamed)).toEqual(places(written))
        expect(streamed.at(-1)?.cursor).toBe(`${topic}:0=2,1=2,2=2,3=2`)
      }
    })

    test('a loop over a stream ends when its client leaves, and when the middleware closes', async () => {
      const { kafka } = target()
      const topic = await kafka.createTopic()
      await kafka.produce(topic, spread(4))
      const behind = new Behind(target(), topic)
      const leaver = new AbortController()
      const left = behind.fetch('/stream/5', { signal: leaver.signal }).catch(() => undefined)
      const stays = behind.fetch('/stream/5')
      await until(() => behind.taken === 8, 'both loops to have all there is')
      leaver.abort()
      await left
      await until(() => behind.ended === 1, 'the loop of the client that left to end')
      await within(behind.middleware.close(), 'the middleware to close')
      expect(await (await stays).json()).toHaveLength(4)
      expect(behind.ended).toBe(2)
      await behind[Symbol.asyncDispose]()
    })
  })
}
