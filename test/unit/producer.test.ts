import { describe, expect, test } from 'bun:test'
import { EventEmitter } from 'node:events'
import type { ProducerClient } from '../../kafka/client/client.ts'
import { ConfirmingProducer, type ProducerHost } from '../../kafka/producer.ts'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import type { ProducerRecord } from '../../src/port/producer.ts'
import { until, within } from '../support/wait.ts'

/** The Kafka client's producer. It confirms records on command only. */
class FakeClient extends EventEmitter {
  readonly produced: Array<{ topic: string; opaque: unknown }> = []
  connected = false
  disconnections = 0
  wouldCrash = false
  fullAt = Number.POSITIVE_INFINITY
  /** A client that connects waits for its threads first, then for the metadata of a broker. */
  readonly threads = Promise.withResolvers<void>()
  readonly metadata = Promise.withResolvers<void>()

  constructor(isSlow = false) {
    super()
    if (isSlow) return
    this.threads.resolve()
    this.metadata.resolve()
  }

  async connect(_options: object, done: (error: null, metadata: object) => void): Promise<void> {
    await this.threads.promise
    this.connected = true
    await this.metadata.promise
    done(null, {})
  }
  isConnected(): boolean {
    return this.connected
  }
  /** Confluent's client ends the process when this is called after `disconnect`. */
  setPollInBackground(): void {
    this.wouldCrash = this.disconnections > 0
  }
  flush(_timeout: number, done: () => void): void {
    done()
  }
  disconnect(_flush: number, done: () => void): void {
    this.disconnections++
    this.connected = false
    done()
  }
  produce(topic: string, ...rest: unknown[]): void {
    if (this.produced.length >= this.fullAt) {
      throw Object.assign(new Error('Local: Queue full'), { code: -184 })
    }
    this.produced.push({ topic, opaque: rest[4] })
  }
  report(error: { message: string; code: number } | null = null, offset = 7): void {
    const { topic, opaque } = this.produced.shift() as { topic: string; opaque: unknown }
    this.emit('delivery-report', error, { topic, partition: 0, offset, opaque })
  }
}

function producerWith(partitions: ProducerHost['partitions'] = async () => [{ partition: 0 }]) {
  const clients: FakeClient[] = []
  const producer = new ConfirmingProducer({
    reachable: async () => {},
    partitions,
    create: () => {
      clients.push(new FakeClient())
      return clients.at(-1) as unknown as ProducerClient
    },
  })
  return { producer, clients }
}

const record: ProducerRecord = { topic: 't', key: null, value: new Uint8Array(1_000) }

describe('the producer', () => {
  test('returns no offset if Kafka names none', async () => {
    const { producer, clients } = producerWith()
    const sending = producer.send([record])
    await until(() => clients[0]?.produced.length === 1, 'the record to be handed over')
    clients[0]?.report(null, -1001)
    expect(await sending).toEqual([{ topic: 't', partition: 0, offset: null }])
  })

  test('reports the outcome of each record of a batch', async () => {
    const { producer, clients } = producerWith()
    const sending = producer.send([record, record, record])
    await until(() => clients[0]?.produced.length === 3, 'the records to be handed over')
    clients[0]?.report()
    clients[0]?.report({ message: 'Local: Message timed out', code: -192 })
    clients[0]?.report({ message: 'Broker: Message size too large', code: 10 })
    const [first, second, third] = await sending
    expect(first).toEqual({ topic: 't', partition: 0, offset: 7 })
    expect(second).toMatchObject({ code: 'KAFKA_TIMEOUT', retryable: true })
    expect(third).toMatchObject({ code: 'RECORD_TOO_LARGE', retryable: false })
    await producer.close()
  })

  test('refuses a whole batch that does not fit beside waiting records, and accepts it later', async () => {
    const { producer, clients } = producerWith()
    const many = Array.from({ length: 15_000 }, () => record)
    const sending = producer.send(many)
    await until(() => clients[0]?.produced.length === many.length, 'the records to be handed over')
    const refusal = await producer.send(many).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: 'TOO_MANY_RECORDS', status: 503, retryAfter: 1 })
    expect(clients[0]?.produced.length).toBe(many.length)
    while (clients[0]?.produced.length) clients[0].report()
    await sending
    const again = producer.send([record])
    await until(() => clients[0]?.produced.length === 1, 'the record to be handed over')
    clients[0]?.report()
    expect(await again).toHaveLength(1)
    await producer.close()
  })

  test('accepts a batch larger than the limit when no record waits', async () => {
    const { producer, clients } = producerWith()
    const sending = producer.send([{ ...record, value: new Uint8Array(40 * 1024 * 1024) }])
    await until(() => clients[0]?.produced.length === 1, 'the record to be handed over')
    await expect(producer.send([record])).rejects.toMatchObject({ code: 'TOO_MANY_RECORDS' })
    clients[0]?.report()
    await sending
    await producer.close()
  })

  test('fails only the record that the Kafka client refuses', async () => {
    const { producer, clients } = producerWith()
    const first = producer.send([record])
    await until(() => clients[0]?.produced.length === 1, 'the record to be handed over')
    const [client] = clients as [FakeClient]
    client.fullAt = 2
    const sending = producer.send([record, record])
    await until(() => client.produced.length === 2, 'the record to be handed over')
    client.report()
    client.report()
    await first
    const [taken, refused] = await sending
    expect(taken).toMatchObject({ offset: 7 })
    expect(refused).toBeInstanceOf(KafkaConsumeError)
    await producer.close()
  })

  test('fails the records of a Kafka client that has ended, and sends the next ones by a new client', async () => {
    const { producer, clients } = producerWith()
    const sending = producer.send([record, record])
    await until(() => clients[0]?.produced.length === 2, 'the records to be handed over')
    // The second one is never reported: nobody is left to do so.
    clients[0]?.report({ message: 'Local: Fatal error', code: -150 })
    const results = await within(sending, 'both results')
    for (const result of results) expect(result).toMatchObject({ code: 'KAFKA_ERROR' })
    expect(clients[0]?.connected).toBe(false)
    const next = producer.send([record])
    await until(() => clients[1]?.produced.length === 1, 'the record to be handed over')
    clients[1]?.report()
    expect(await next).toMatchObject([{ offset: 7 }])
    await producer.close()
  })

  describe('a Kafka client that is given up while it connects', () => {
    const fatal = {
      fac: 'FATAL',
      message: 'Fatal error: Broker: Cluster authorization failed: test',
    }
    /** A producer whose client connects slowly, and whose records wait for that only for a moment. */
    function slowProducer(patience?: number) {
      const client = new FakeClient(true)
      const producer = new ConfirmingProducer(
        {
          reachable: async () => {},
          partitions: async () => [],
          create: () => client as unknown as ProducerClient,
        },
        { records: 1, bytes: 1e6, patience },
      )
      return { producer, client }
    }

    test('by a fatal error, before its metadata has come, is disconnected and not used', async () => {
      const { producer, client } = slowProducer()
      const sending = producer.send([record])
      client.threads.resolve()
      await until(() => client.connected, 'the threads')
      client.emit('event.log', fatal)
      expect(client.disconnections).toBe(1)
      client.metadata.resolve()
      await expect(sending).rejects.toMatchObject({ code: 'KAFKA_AUTHORIZATION' })
      expect(client).toMatchObject({ disconnections: 1, wouldCrash: false })
    })

    test('by a fatal error, before it has threads, is disconnected when it has them', async () => {
      const { producer, client } = slowProducer()
      const sending = producer.send([record])
      await until(() => client.listenerCount('event.log') > 0, 'a client')
      client.emit('event.log', fatal)
      expect(client.disconnections).toBe(0)
      client.threads.resolve()
      client.metadata.resolve()
      await expect(sending).rejects.toMatchObject({ code: 'KAFKA_AUTHORIZATION' })
      expect(client.disconnections).toBe(1)
    })

    test('by the end of its producer is disconnected and not used', async () => {
      const { producer, client } = slowProducer(1)
      client.threads.resolve()
      await expect(producer.send([record])).rejects.toMatchObject({ code: 'KAFKA_TIMEOUT' })
      await within(producer.close(), 'the producer to close')
      expect(client.disconnections).toBe(1)
      client.metadata.resolve()
      await Bun.sleep(0) // All microtasks that follow the metadata.
      expect(client).toMatchObject({ disconnections: 1, wouldCrash: false })
    })
  })

  test('waits at close for records in transit, and accepts no more', async () => {
    const { producer, clients } = producerWith()
    const sending = producer.send([record])
    await until(() => clients[0]?.produced.length === 1, 'the record to be handed over')
    const closing = producer.close()
    await expect(producer.send([record])).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    clients[0]?.report()
    await within(closing, 'the producer to close')
    expect(await sending).toMatchObject([{ offset: 7 }])
    expect(clients[0]?.connected).toBe(false)
  })

  test('does not count records that cannot be sent in an outage against its buffer', async () => {
    let away = true
    const client = new FakeClient()
    const producer = new ConfirmingProducer({
      reachable: async () => {
        if (away) throw new KafkaConsumeError('KAFKA_UNAVAILABLE', 'Cannot test: it is away')
      },
      partitions: async () => [],
      create: () => client as unknown as ProducerClient,
    })
    const many = Array.from({ length: 15_000 }, () => record)
    for (let i = 0; i < 3; i++) {
      await expect(producer.send(many)).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    }
    away = false
    const sending = producer.send(many)
    await until(() => client.produced.length === many.length, 'the records to be handed over')
    while (client.produced.length > 0) client.report()
    await sending
    await producer.close()
  })

  describe('a broker that says that it has no such topic or partition', () => {
    const denial = { message: 'Broker: Unknown topic or partition', code: 3 }
    const missing = new KafkaConsumeError('UNKNOWN_TOPIC', 'Cannot read topic "t": it is a test')
    const away = new KafkaConsumeError('KAFKA_UNAVAILABLE', 'Cannot test: it is away')

    test.each<[string, ProducerHost['partitions'], number, object]>([
      [
        'is starting where the metadata has it',
        async () => [{ partition: 0 }],
        0,
        { code: 'KAFKA_UNAVAILABLE', status: 503, retryable: true },
      ],
      [
        'is right where the metadata has fewer partitions',
        async () => [{ partition: 0 }],
        1,
        { code: 'UNKNOWN_TOPIC', status: 404 },
      ],
      [
        'is right where the metadata does not have the topic',
        () => Promise.reject(missing),
        0,
        { code: 'UNKNOWN_TOPIC', status: 404 },
      ],
      [
        'is not believed where nothing else answers',
        () => Promise.reject(away),
        0,
        { code: 'KAFKA_UNAVAILABLE', status: 503, retryable: true },
      ],
    ])('%s', async (_, partitions, partition, expected) => {
      let asked = 0
      const { producer, clients } = producerWith((topic) => {
        asked++
        return partitions(topic)
      })
      const sending = producer.send([
        { ...record, partition },
        { ...record, partition },
      ])
      await until(() => clients[0]?.produced.length === 2, 'the records to be handed over')
      clients[0]?.report(denial)
      clients[0]?.report(denial)
      expect(await sending).toMatchObject([expected, expected])
      // Records that fail together share one question.
      expect(asked).toBe(1)
    })
  })
})
