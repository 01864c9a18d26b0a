/** The end of what shares a cluster: a part that cannot be closed keeps no other part open. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Context, Hono } from 'hono'
import { allSettled, inTurn } from '../../src/core/in-turn.ts'
import { Feed } from '../../src/feed/feed.ts'
import type { Subscription } from '../../src/feed/subscription.ts'
import type { KafkaClient } from '../../src/http/request/client.ts'
import { lease, leaseProducer } from '../../src/http/route/cluster-registry.ts'
import { setKafkaSide } from '../../src/http/route/load-kafka.ts'
import { type OpenStream, Route } from '../../src/http/route/route.ts'
import { LiveStream } from '../../src/http/stream/live-stream.ts'
import type { StreamEncoder } from '../../src/http/stream/stream-encoder.ts'
import { resolveOptions } from '../../src/options/consume-options.ts'
import type { KafkaSide, PartitionOffset } from '../../src/port/kafka.ts'
import type { OpenProducer, ProducerSettings } from '../../src/port/open-producer.ts'
import type { SharedPlaces } from '../../src/port/threads.ts'
import type { Messenger } from '../../src/threads/messenger.ts'
import { RemoteKafka } from '../../src/threads/remote-kafka.ts'
import { within } from '../support/wait.ts'
import { ReaderSource, ScriptedReader } from './fakes.ts'

const broken = () => Promise.reject(new Error('broken'))

/** A cluster whose consumers and producers cannot be closed. */
class Cluster extends ReaderSource {
  isClosed = false

  override async partitions() {
    return [{ topic: 't', partition: 0 }]
  }

  override async offsets(_: unknown, query: unknown): Promise<PartitionOffset[]> {
    return [{ topic: 't', partition: 0, offset: query === 'earliest' ? 0 : 5 }]
  }

  async openConsumer(from: readonly PartitionOffset[]): Promise<ScriptedReader> {
    return Object.assign(new ScriptedReader(from), { close: broken })
  }

  override openProducer(): never {
    return { close: broken } as unknown as OpenProducer as never
  }

  override async close(): Promise<void> {
    this.isClosed = true
  }
}

const connected: Cluster[] = []
const released: string[] = []

beforeAll(() => {
  const places = (name: string) =>
    ({ onAsked() {}, release: () => released.push(name) }) as unknown as SharedPlaces
  const connect = () => {
    const cluster = new Cluster()
    connected.push(cluster)
    return cluster
  }
  setKafkaSide({ connect, sharedPlaces: places } as unknown as KafkaSide)
})
afterAll(() => setKafkaSide(undefined as never))

function options(topic: string) {
  return resolveOptions({ bootstrapServers: 'localhost:9092', topics: [topic] })
}

describe('steps in turn', () => {
  test('are all done, and the first error is thrown', async () => {
    const done: number[] = []
    const step = (number: number) => async () => {
      done.push(number)
      if (number > 1) throw new Error(`step ${number}`)
    }
    await expect(inTurn(step(1), step(2), step(3))).rejects.toThrow('step 2')
    expect(done).toEqual([1, 2, 3])
  })

  test('wait for all of several that end together', async () => {
    let isOver = false
    const slow = Bun.sleep(5).then(() => {
      isOver = true
    })
    await expect(allSettled([broken(), undefined, slow])).rejects.toThrow('broken')
    expect(isOver).toBe(true)
  })
})

describe('a cluster is closed', () => {
  test('with its last lease, although the feed cannot be closed', async () => {
    const { feed, release } = await lease(options('a'))
    feed.close = broken
    released.length = 0
    await expect(release()).rejects.toThrow('broken')
    expect(connected.at(-1)?.isClosed).toBe(true)
    expect(released).toHaveLength(1)
  })

  test('with its last lease, although the producer cannot be closed', async () => {
    const connection = { bootstrapServers: ['localhost:9092'] }
    const { release } = await leaseProducer(connection, {} as ProducerSettings)
    await expect(release()).rejects.toThrow('broken')
    expect(connected.at(-1)?.isClosed).toBe(true)
  })

  test('with its last route, although a stream cannot be ended', async () => {
    const route = new Route(options('a'))
    await route.lease()
    route.addStream({ form: 'ndjson', end: broken } as OpenStream)
    await expect(route.close()).rejects.toThrow('broken')
    expect(connected.at(-1)?.isClosed).toBe(true)
  })
})

test('a subscription whose consumer cannot be closed counts no more', async () => {
  const feedOptions = { topics: ['t'], messageDeserializer: 'noop', ringBytes: 1e6 } as const
  const feed = new Feed(new Cluster(), { ...feedOptions, maxCatchUpReads: 1 })
  const subscription = await feed.subscribe({ start: 'earliest' }, () => undefined, 'read')
  expect(feed.stats()).toMatchObject({ readers: 1, catchUpReads: 1 })
  await expect(subscription.close()).rejects.toThrow('broken')
  expect(feed.stats()).toMatchObject({ readers: 0, catchUpReads: 0 })
  await feed.close()
})

test('a stream ends although the app cannot release its client', async () => {
  const route = new Route(options('a'))
  const client: KafkaClient = { openStream: async () => () => void brokenSync() }
  const releaseClient = await route.acquireStream(client, () => {})
  const subscription = { stop() {}, close: async () => {} } as unknown as Subscription
  const encoder = {} as StreamEncoder<string>
  const open = (c: Context) =>
    new LiveStream(c, route, subscription, 'ndjson', encoder, undefined, false, releaseClient)
  const app = new Hono().get('/', async (c) => {
    await within(open(c).abandon(), 'the end of the stream')
    return c.text('ended')
  })
  expect(await (await app.request('/')).text()).toBe('ended')
  expect(route.stats()).toMatchObject({ subscribers: 0, openStreams: { ndjson: 0 } })
  await route.close()
})

function brokenSync(): never {
  throw new Error('broken')
}

test('a consumer of another thread is closed without an error when that thread has ended', async () => {
  const opened = { id: 1, gaps: [], start: undefined }
  const messenger = {
    handle() {},
    notify() {},
    request: (name: string) => (name === 'openConsumer' ? Promise.resolve(opened) : broken()),
  } as unknown as Messenger
  const gauge = { value: 0, others: [], add() {}, release() {} }
  const cluster = new RemoteKafka(messenger, () => gauge).connect({ bootstrapServers: ['b:1'] })
  const consumer = await cluster.openConsumer([], 'catch-up')
  await within(consumer.close(), 'the consumer to close')
})
