/** The only broker is away for longer than a session: groups do not answer empty while there are records. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { kafkaSide } from '../../kafka/index.ts'
import type { GroupOptions, GroupSession, KafkaCluster } from '../../src/port/kafka.ts'
import { type LocalBroker, startBroker } from '../../tools/kafka/broker.ts'
import { TestKafka } from '../support/kafka.ts'
import { sleep, until, within } from '../support/wait.ts'

/** Longer than the session of a member without an instance id. */
const AWAY_MS = 13_000
/** Longer than the limit of `startBroker`, whose error says what is late. */
const START_LIMIT = 300_000
const LIMIT = 200_000

let broker: LocalBroker
let kafka: TestKafka
let cluster: KafkaCluster
beforeAll(async () => {
  broker = await startBroker({
    name: `group-outage-${process.pid}`,
    port: 0,
    engine: 'java',
    owned: true,
  })
  kafka = await TestKafka.connect(broker.bootstrapServers, { autoCreate: false })
  cluster = kafkaSide.connect({ bootstrapServers: broker.bootstrapServers.split(',') })
}, START_LIMIT)
afterAll(async () => {
  await cluster?.close()
  await kafka?.close()
  await broker?.stop()
}, 120_000)

/**
 * @param timeout Milliseconds. The default is enough for a client to connect again, and less than a group takes
 * to give a member that was lost its partitions back.
 */
async function poll(session: GroupSession, timeout = 5_000): Promise<string[]> {
  const limits = { maxRecords: 500, maxBytes: 1e6, timeout }
  const delivery = await within(session.poll(limits), 'a poll', 40_000)
  const decoder = new TextDecoder()
  const values = delivery.decodeRecords().map(({ value }) => decoder.decode(value ?? undefined))
  delivery.ack()
  return values
}

test(
  'the first poll after an outage of Kafka has the records, and a member without partitions answers empty',
  async () => {
    const topic = await kafka.createTopic(2)
    const single = await kafka.createTopic(1)
    const member = (groupId: string, topics: string[], more: Partial<GroupOptions> = {}) =>
      cluster.group({
        groupId: `${topic}-${groupId}`,
        topics,
        autoOffsetReset: 'earliest',
        commitStrategy: 'auto',
        ...more,
      })
    const members = {
      classic: member('classic', [topic]),
      static: member('static', [topic], { instanceId: 'a' }),
      consumer: member('consumer', [topic], { protocol: 'consumer' }),
    }
    const crowd = [member('crowd', [single]), member('crowd', [single])]
    const crowdOfConsumers = [1, 2].map(() =>
      member('consumers', [single], { protocol: 'consumer' }),
    )
    const all = [...Object.values(members), ...crowd, ...crowdOfConsumers]
    await Promise.all(all.map((session) => within(session.ready(), 'the group', 60_000)))
    await kafka.produce(topic, [{ partition: 0, value: 'before' }])
    for (const session of Object.values(members)) {
      await until(async () => (await poll(session)).includes('before'), 'the first record', 30_000)
    }

    await broker.kill(1, 'SIGKILL')
    await sleep(AWAY_MS)
    await broker.restart(1)
    await until(() => cluster.outage() === undefined, 'the end of the outage', 60_000)
    await kafka.produce(topic, [{ partition: 1, value: 'after' }])

    const entries = Object.entries(members)
    const first = await Promise.all(
      entries.map(async ([name, session]) => [name, await poll(session)]),
    )
    for (const session of [...crowd, ...crowdOfConsumers]) {
      expect(await poll(session, 500)).toEqual([])
    }
    expect(first).toEqual(entries.map(([name]) => [name, ['after']]))
    await Promise.all(all.map((session) => session.close()))
  },
  LIMIT,
)
