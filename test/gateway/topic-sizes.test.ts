/** Sizes of topics and partitions on brokers' disks, compared with what Kafka's own tool prints. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startEmbeddedBroker } from '../../kafka/embedded/embedded.ts'
import { kafkaConsume, kafkaTopics, type PartitionSizes } from '../../src/index.ts'
import { SizeCache } from '../../src/observability/partition-sizes.ts'
import type { PartitionReplicas } from '../../src/port/topic-details.ts'
import { type LocalBroker, startBroker } from '../../tools/kafka/broker.ts'
import { skip } from '../support/clock.ts'
import { TestKafka } from '../support/kafka.ts'
import { type PrintedSize, printedSizes } from '../support/kafka-tools.ts'
import { until } from '../support/wait.ts'

/** Writes records of different numbers and sizes to each partition. */
async function fill(kafka: TestKafka, topic: string, partitions: number): Promise<void> {
  await kafka.produce(
    topic,
    Array.from({ length: 60 }, (_, index) => {
      return { partition: index % partitions, value: 'x'.repeat(100 * (1 + (index % partitions))) }
    }),
  )
}

function sum(sizes: readonly PrintedSize[]): number {
  return sizes.reduce((total, { size }) => total + size, 0)
}

describe('the sizes of a topic', () => {
  const PARTITIONS = 3
  let kafka: TestKafka
  let topic: string
  let empty: string
  let handler: ReturnType<typeof kafkaConsume>
  beforeAll(async () => {
    kafka = await TestKafka.real()
    topic = await kafka.createTopic(PARTITIONS)
    empty = await kafka.createTopic(1)
    await fill(kafka, topic, PARTITIONS)
    handler = kafkaConsume({
      bootstrapServers: kafka.bootstrapServers,
      topics: [topic, empty],
      mode: 'server-sent-events',
    })
    await handler.start()
  }, 120_000)
  afterAll(async () => {
    await handler?.close()
    for (const each of [topic, empty]) await kafka.deleteTopic(each)
    await kafka?.close()
  }, 120_000)

  test('are those that kafka-log-dirs prints, of the topic and of each partition', async () => {
    const app = kafkaTopics({ '/t': handler })
    const { clusters } = await (await app.request('/')).json()
    const printed = await printedSizes(kafka.bootstrapServers, topic)
    expect(printed).toHaveLength(PARTITIONS)
    expect(sum(printed)).toBeGreaterThan(60 * 100)
    const listed = new Map<string, object>(
      clusters[0].topics.map(({ name, ...facts }: { name: string }) => [name, facts]),
    )
    expect(listed.get(topic)).toMatchObject({ bytes: sum(printed), replicaBytes: sum(printed) })
    expect(listed.get(empty)).toMatchObject({ bytes: 0, replicaBytes: 0 })
    expect(clusters[0].sizeError).toBeUndefined()
    const described = await (await app.request(`/${topic}`)).json()
    expect(described).toMatchObject({ bytes: sum(printed), replicaBytes: sum(printed) })
    for (const { partition, size } of printed) {
      expect(described.partitions[partition]).toMatchObject({ bytes: size, replicaBytes: size })
    }
  }, 90_000)

  test('leave out partitions that brokers do not have, as after a topic was deleted', async () => {
    const { partitions } = await handler.topicDetails([topic])
    const gone = { topic, partition: 9, leader: 1, replicas: [1], inSync: [1] }
    const found = await handler.partitionSizes([gone, ...partitions])
    expect(found.partitions[0]).toEqual({
      topic,
      partition: 9,
      bytes: undefined,
      replicaBytes: undefined,
    })
    expect(found.partitions.slice(1).every(({ bytes = 0 }) => bytes > 0)).toBeTrue()
    expect(await handler.partitionSizes([])).toEqual({ partitions: [], unknown: undefined })
  }, 120_000)
})

describe('the sizes of partitions on three brokers', () => {
  const PARTITIONS = 6
  const DEAD = 3
  let broker: LocalBroker
  let kafka: TestKafka
  let topic: string
  let handler: ReturnType<typeof kafkaConsume>
  beforeAll(async () => {
    broker = await startBroker({ name: `sizes-${process.pid}`, brokers: 3, port: 0, owned: true })
    kafka = await TestKafka.connect(broker.bootstrapServers, { autoCreate: false })
    topic = await kafka.createTopic(PARTITIONS, 2)
    await fill(kafka, topic, PARTITIONS)
    handler = kafkaConsume({
      bootstrapServers: broker.bootstrapServers,
      topics: [topic],
      mode: 'server-sent-events',
    })
    await handler.start()
  }, 240_000)
  afterAll(async () => {
    await handler?.close()
    await kafka?.close()
    await broker?.stop()
  }, 120_000)

  /** Asks until the answer is as expected: a broker that was started again is reached after a while. */
  async function asked(
    partitions: readonly PartitionReplicas[],
    isExpected: (sizes: PartitionSizes) => boolean,
  ): Promise<PartitionSizes> {
    let sizes: PartitionSizes | undefined
    await until(
      async () => {
        const found = await handler.partitionSizes(partitions)
        sizes = found
        return isExpected(found)
      },
      () => `sizes; the last were ${JSON.stringify(sizes)}`,
      90_000,
    )
    return sizes as PartitionSizes
  }

  test('come from the leaders and from all replicas, and from those brokers that answer', async () => {
    const { partitions } = await handler.topicDetails()
    const printed = await printedSizes(broker.bootstrapServers, topic)
    expect(printed).toHaveLength(2 * PARTITIONS)
    const { partitions: sizes } = await asked(partitions, ({ unknown }) => unknown === undefined)
    for (const [index, { partition, leader }] of partitions.entries()) {
      const own = printed.filter((each) => each.partition === partition)
      const ofLeader = own.filter((each) => each.broker === leader)
      expect(ofLeader[0]?.size).toBeGreaterThan(0)
      expect(sizes[index]).toMatchObject({ bytes: sum(ofLeader), replicaBytes: sum(own) })
    }

    const isHeld = ({ replicas }: PartitionReplicas) => replicas.includes(DEAD)
    /** Whether sizes are those of before, except where the broker is needed for them. */
    const isWithoutDead = ({ partitions: found, unknown }: PartitionSizes) =>
      unknown !== undefined &&
      partitions.every((at, index) => {
        const [{ bytes, replicaBytes } = {}, before] = [found[index], sizes[index]]
        const isSameLeader = at.leader === DEAD ? bytes === undefined : bytes === before?.bytes
        return isSameLeader && replicaBytes === (isHeld(at) ? undefined : before?.replicaBytes)
      })
    await broker.kill(DEAD, 'SIGSTOP')
    const frozen = await asked(partitions, isWithoutDead)
    expect(['KAFKA_TIMEOUT', 'KAFKA_UNAVAILABLE']).toContain(frozen.unknown?.code as string)
    await broker.kill(DEAD, 'SIGCONT')
    const thawed = await asked(partitions, ({ unknown }) => unknown === undefined)
    expect(thawed.partitions).toEqual(sizes)

    await broker.kill(DEAD, 'SIGKILL')
    const dead = await asked(partitions, isWithoutDead)
    expect(dead.unknown?.message).toStartWith('Cannot read the sizes of partitions: ')
  }, 240_000)
})

test('the embedded broker leaves sizes unknown, and says so', async () => {
  const embedded = await startEmbeddedBroker({ topic: 't', records: 3, recordsPerSecond: 0 })
  const handler = kafkaConsume({
    bootstrapServers: [...embedded.bootstrapServers],
    topics: ['t'],
    mode: 'server-sent-events',
  })
  try {
    await handler.start()
    const { clusters } = await (await kafkaTopics({ '/t': handler }).request('/')).json()
    expect(clusters[0].topics[0]).toMatchObject({ name: 't', bytes: null, replicaBytes: null })
    expect(clusters[0].sizeError).toEqual({
      message: 'Cannot read the sizes of partitions: the brokers do not support this request',
      code: 'KAFKA_ERROR',
    })
  } finally {
    await handler.close()
    await embedded.close()
  }
}, 120_000)

describe('brokers', () => {
  const at = (partition: number): PartitionReplicas => {
    return { topic: 't', partition, leader: 1, replicas: [1, 2], inSync: [1, 2] }
  }

  /** A cache, and what it asked for. */
  function cacheOf(bytes: (partition: number) => number | undefined) {
    const asked: number[][] = []
    const cache = new SizeCache()
    const refresh = (partitions: readonly PartitionReplicas[]) =>
      cache.refresh(partitions, async (wanted) => {
        asked.push(wanted.map(({ partition }) => partition))
        return {
          partitions: wanted.map(({ topic, partition }) => {
            return { topic, partition, bytes: bytes(partition), replicaBytes: undefined }
          }),
          unknown: undefined,
        }
      })
    return { cache, asked, refresh }
  }

  test('are asked for sizes once in half a minute, and for new partitions at once', async () => {
    const { cache, asked, refresh } = cacheOf((partition) => 10 + partition)
    await refresh([at(0), at(1)])
    await refresh([at(1)])
    expect(asked).toEqual([[0, 1]])
    expect(cache.sum([at(0), at(1)])).toEqual({ bytes: 21, replicaBytes: null })
    await refresh([at(0), at(1), at(2)])
    expect(asked).toEqual([
      [0, 1],
      [0, 1, 2],
    ])
    using _ = skip(30_001)
    await refresh([at(0)])
    expect(asked).toHaveLength(3)
  })

  test('that do not report a size leave that of the topic unknown, and not that of other partitions', async () => {
    const { cache, refresh } = cacheOf((partition) => (partition === 1 ? undefined : 5))
    await refresh([at(0), at(1)])
    expect(cache.sum([at(0), at(1)]).bytes).toBeNull()
    expect(cache.sum([at(0)]).bytes).toBe(5)
  })

  test('that cannot be asked leave sizes unknown with the reason, without words of the client', async () => {
    const cache = new SizeCache()
    await cache.refresh([at(0)], () => Promise.reject(new Error('planted words of the client')))
    expect(cache.sum([at(0)])).toEqual({ bytes: null, replicaBytes: null })
    expect(cache.unknown?.code).toBe('INTERNAL')
    expect(cache.unknown?.message).not.toContain('planted')
  })
})
