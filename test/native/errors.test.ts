import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { Producer } from '@confluentinc/kafka-javascript'
import { connect, connectProducer, disconnectAll } from './clients.ts'
import { type Cluster, startMockCluster } from './clusters.ts'

let cluster: Cluster
beforeAll(async () => {
  cluster = await startMockCluster()
})
afterEach(disconnectAll)
afterAll(() => cluster.close())

const wrong: [string, Record<string, unknown>][] = [
  ['an unknown key', { 'no.such.key': 1 }],
  ['text for a number', { 'queue.buffering.max.ms': 'soon' }],
  ['a number out of range', { 'queue.buffering.max.ms': -5 }],
  ['an unknown codec', { 'compression.codec': 'brotli' }],
]
for (const [what, options] of wrong) {
  test(`A configuration with ${what} is an error that names the key`, () => {
    const key = Object.keys(options)[0] ?? ''
    expect(() => new Producer(options).connect()).toThrow(key)
  }, 120_000)
}

test('A connect without brokers fails after its timeout', async () => {
  const producer = new Producer({ 'bootstrap.servers': '127.0.0.1:1' })
  const started = performance.now()
  await expect(connect(producer, 1500)).rejects.toThrow('broker transport failure')
  // The client's own limit is a minute.
  expect(performance.now() - started).toBeLessThan(20_000)
}, 120_000)

test('A record for a producer that is not connected is an error', () => {
  const producer = new Producer({ 'bootstrap.servers': cluster.brokers })
  expect(() => producer.produce('topic', 0, Buffer.from('x'))).toThrow('not connected')
}, 120_000)

test('Arguments of the wrong kind are errors', async () => {
  const producer = await connectProducer(cluster.brokers)
  const produce = producer.produce.bind(producer) as (...args: unknown[]) => unknown
  expect(() => produce('topic', 0, 'text')).toThrow('buffer')
  expect(() => produce(undefined, 0, Buffer.from('x'))).toThrow('topic')
  const partition = {
    valueOf() {
      throw new Error('thrown by valueOf')
    },
  }
  expect(() => produce('topic', partition, Buffer.from('x'))).toThrow('thrown by valueOf')
}, 120_000)

test('A method called on an object of another class is an error', async () => {
  const producer = await connectProducer(cluster.brokers)
  const native = producer.getClient()
  expect(() => native.poll.call({})).toThrow('Illegal invocation')
}, 120_000)
