/** A member of a group that nobody calls leaves it, and comes back: nothing is lost, nothing doubled. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { kafkaSide } from '../../kafka/index.ts'
import type {
  EmbeddedBroker,
  GroupOptions,
  GroupSession,
  KafkaCluster,
} from '../../src/port/kafka.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { until, within } from '../support/wait.ts'

const LIMIT = 150_000
/** Kafka waits for a static member whose client left during a rebalance until its session of 45 s ends. */
const JOINED = 70_000
const IDLE_MS = 1_000

let kafka: TestKafka
let source: KafkaCluster
let embedded: TestKafka
let broker: EmbeddedBroker
beforeAll(async () => {
  kafka = await TestKafka.real()
  source = kafkaSide.connect({ bootstrapServers: kafka.bootstrapServers.split(',') })
  const topic = uniqueName('idle')
  broker = await kafkaSide.startEmbeddedBroker({ topic, records: 0, recordsPerSecond: 0 })
  embedded = await TestKafka.connect(broker.bootstrapServers.join(','), { autoCreate: true })
}, 120_000)
afterAll(async () => {
  await source?.close()
  await Promise.all([kafka?.close(), embedded?.close()])
  await broker?.close()
}, 120_000)

/** A member, and the values that its clients got. */
class GroupClient implements AsyncDisposable {
  readonly session: GroupSession
  readonly values: string[] = []

  constructor(
    options: Pick<GroupOptions, 'groupId' | 'topics'> & Partial<GroupOptions>,
    cluster = source,
  ) {
    this.session = cluster.group({
      autoOffsetReset: 'earliest',
      commitStrategy: 'auto',
      idleTimeout: IDLE_MS,
      ...options,
    })
  }

  async poll(maxRecords = 500): Promise<void> {
    const delivery = await this.session.poll({ maxRecords, maxBytes: 1e6, timeout: 500 })
    const decoder = new TextDecoder()
    for (const { value } of delivery.decodeRecords())
      this.values.push(decoder.decode(value ?? undefined))
    delivery.ack()
  }

  get partitions(): number {
    return this.session.stats().partitions.length
  }

  untilLeft(): Promise<void> {
    return until(() => this.partitions === 0, 'the member to leave', JOINED)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await within(this.session.close(), 'the member to leave', JOINED)
  }
}

function named(name: string, count: number) {
  return Array.from({ length: count }, (_, n) => ({ partition: n % 4, value: `${name}${n}` }))
}

/** Polls each member in a loop of its own: one that waits for another one's poll becomes idle, and leaves. */
async function pollUntil(
  holds: () => boolean,
  what: () => string,
  ...clients: GroupClient[]
): Promise<void> {
  const loop = async (client: GroupClient) => {
    await client.poll()
    return holds()
  }
  await Promise.all(clients.map((client) => until(() => loop(client), what, JOINED)))
}

/** Reads until the members have had so many values together. */
function untilRead(count: number, ...clients: GroupClient[]): Promise<void> {
  const sum = () => clients.reduce((sum, { values }) => sum + values.length, 0)
  return pollUntil(
    () => sum() >= count,
    () => `${count} values; ${sum()} came`,
    ...clients,
  )
}

test(
  'records that an idle member read ahead go to the members that are called, later ones to both',
  async () => {
    const topic = await kafka.createTopic(4)
    const group = { groupId: uniqueName('idle'), topics: [topic] }
    await kafka.produce(topic, named('a', 400))
    await using quiet = new GroupClient(group)
    await within(quiet.session.ready(), 'the first member', JOINED)
    await until(
      async () => {
        await quiet.poll(10)
        return quiet.values.length > 0
      },
      'its first values',
      JOINED,
    )
    await quiet.untilLeft()
    await using busy = new GroupClient(group)
    await within(busy.session.ready(), 'the second member', JOINED)
    await untilRead(400 - quiet.values.length, busy)
    expect(new Set([...quiet.values, ...busy.values]).size).toBe(400)

    await kafka.produce(topic, named('b', 400))
    await untilRead(800, busy, quiet)
    const all = [...quiet.values, ...busy.values]
    expect([all.length, new Set(all).size]).toEqual([800, 800])
    expect(quiet.session.stats().uncertain + busy.session.stats().uncertain).toBe(0)
  },
  LIMIT,
)

test.each([['a real Kafka'], ['the embedded broker']])(
  'a member alone comes and goes again and again, and delivers each record once, on %s',
  async (name) => {
    const on = name === 'a real Kafka' ? kafka : embedded
    const cluster = kafkaSide.connect({ bootstrapServers: on.bootstrapServers.split(',') })
    const topic = await on.createTopic(4)
    const group = {
      groupId: uniqueName('idle'),
      topics: [topic],
      autoOffsetReset: 'latest',
    } as const
    {
      await using member = new GroupClient(group, cluster)
      await within(member.session.ready(), 'the member', JOINED)
      const written: string[] = []
      for (const name of ['a', 'b', 'c']) {
        await member.untilLeft()
        const records = named(name, 20)
        written.push(...records.map(({ value }) => value))
        await on.produce(topic, records)
        await untilRead(written.length, member)
      }
      await member.poll()
      expect(member.values.toSorted()).toEqual(written.toSorted())
    }
    await cluster.close()
  },
  LIMIT,
)

// Where the quiet member leaves while the other one joins, two partitions have no member until a check
// asks for a rebalance: see group-static.test.ts.
test(
  'a static member that comes back in time finds its partitions as they were',
  async () => {
    const topic = await kafka.createTopic(4)
    const group = { groupId: uniqueName('idle'), topics: [topic] }
    await using busy = new GroupClient({ ...group, instanceId: 'busy', idleTimeout: 60_000 })
    await using quiet = new GroupClient({ ...group, instanceId: 'quiet' })
    const share = (member: GroupClient) =>
      member.session
        .stats()
        .partitions.map(({ partition }) => partition)
        .toSorted()
    const isShared = () => quiet.partitions === 2 && busy.partitions === 2
    // A static member that leaves during a rebalance says so to nobody: Kafka waits for it until its
    // session ends.
    await pollUntil(
      isShared,
      () => `both to read; ${JSON.stringify([busy.session.stats(), quiet.session.stats()])}`,
      busy,
      quiet,
    )
    const before = [share(busy), share(quiet)]
    await quiet.untilLeft()
    // Kafka keeps its partitions for it until its session ends.
    expect(busy.partitions).toBe(2)
    await kafka.produce(topic, named('a', 40))
    await untilRead(40, busy, quiet)
    expect([share(busy), share(quiet)]).toEqual(before)
    expect(new Set([...busy.values, ...quiet.values]).size).toBe(40)
  },
  LIMIT,
)
