/**
 * Brokers of a cluster of three are killed and stopped: streams, a group and writers lose nothing.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type LocalBroker, startBroker } from '../../tools/kafka/broker.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { readAll } from '../support/read-all.ts'
import { sleep, until } from '../support/wait.ts'
import { withEvidence } from './support/evidence.ts'
import { Followers, tallyOf } from './support/follower.ts'
import { sized } from './support/form.ts'
import { Pollers } from './support/pollers.ts'
import { Posters } from './support/posters.ts'
import { report } from './support/report.ts'
import { uncertainIn } from './support/uncertain.ts'
import { Writer } from './support/writer.ts'

const BROKERS = 3
const PARTITIONS = 6
const FOLLOWERS = sized(5, 20)
const POLLERS = 4
const POSTERS = 8
const RATE = sized(300, 1_000)
/** Between two faults. */
const PAUSE = sized(500, 5_000)
/** How long a broker is away, so that others become leaders: a cluster notices in 4 s. */
const AWAY = sized(5_000, 10_000)
const SILENCE = sized(3_000, 30_000)
const LIMIT = sized(120_000, 900_000)

/** Longer than the limit of `startBroker`, whose error says what is late. */
const START_LIMIT = 300_000

let broker: LocalBroker
let kafka: TestKafka
beforeAll(async () => {
  broker = await startBroker({
    name: `faults-${process.pid}`,
    brokers: BROKERS,
    port: 0,
    owned: true,
  })
  kafka = await TestKafka.connect(broker.bootstrapServers, { autoCreate: false })
}, START_LIMIT)
afterAll(async () => {
  await kafka?.close()
  await broker?.stop()
}, 120_000)

/** The faults of the brokers while records are written and read. */
type Fault = (topic: string) => Promise<void>

async function killAndRestart(...ids: number[]): Promise<void> {
  await Promise.all(ids.map((id) => broker.kill(id, 'SIGKILL')))
  await sleep(AWAY)
  // At once: one alone cannot tell that it is ready.
  await Promise.all(ids.map((id) => broker.restart(id)))
}

const killLeader: Fault = async (topic) => {
  const [leader = 1] = await kafka.leaders(topic)
  await killAndRestart(leader)
}

const killEach: Fault = async () => {
  for (let id = 1; id <= BROKERS; id++) {
    await killAndRestart(id)
    await sleep(PAUSE)
  }
}

const killAll: Fault = () => killAndRestart(1, 2, 3)

const stopLeader: Fault = async (topic) => {
  const [leader = 1] = await kafka.leaders(topic)
  await broker.kill(leader, 'SIGSTOP')
  await sleep(SILENCE)
  await broker.kill(leader, 'SIGCONT')
}

async function survive(name: string, faults: readonly Fault[]): Promise<void> {
  const topic = await kafka.createTopic(PARTITIONS, BROKERS)
  await using writer = await Writer.connect(broker.bootstrapServers, topic, PARTITIONS)
  const level = sized('info', 'debug')
  const flags = ['--brokers', broker.bootstrapServers, '--topics', topic, '--log-level', level]
  const { gateway, url } = await GatewayProcess.listening(flags)
  await using _ = gateway
  writer.start(RATE)
  using followers = new Followers(FOLLOWERS, `${url}/stream`, PARTITIONS)
  await using pollers = new Pollers(PARTITIONS, 200)
  for (let i = 0; i < POLLERS; i++) pollers.add(`${url}/messages`)
  const all = (count: number, what: string) =>
    until(
      () => followers.slowest >= count && pollers.distinct >= count,
      () =>
        `${what}: ${count} records; ${followers.slowest} streamed, ${pollers.distinct} by group. ` +
        `Last failure: ${pollers.lastFailure}`,
      120_000,
    )

  const sent = await withEvidence(gateway, url, async () => {
    for (const fault of faults) {
      const before = writer.acknowledged
      await writer.reaches(before + RATE)
      await all(before + RATE, 'all to follow')
      await sleep(PAUSE)
      await fault(topic)
    }
    await sleep(PAUSE)
    const sent = await writer.finish()
    await all(sent, 'everything')
    return sent
  })
  const uncertain = uncertainIn(gateway.stderr)
  const { doubled, wrong } = pollers.tally
  report(`${name}, ${FOLLOWERS} streams`, { sent, ...followers.tally })
  report(`${name}, group`, { sent, lost: sent - pollers.distinct, doubled, uncertain, wrong })
  expect(followers.tally).toEqual(tallyOf(sent * FOLLOWERS))
  expect([pollers.distinct, wrong]).toEqual([sent, 0])
  expect(doubled).toBeLessThanOrEqual(uncertain)
}

test.each<[string, Fault[]]>(
  sized<[string, Fault[]][]>(
    [['the leader killed, another one stopped', [killLeader, stopLeader]]],
    [
      ['the leader killed', [killLeader]],
      ['each broker killed in turn', [killEach]],
      ['all brokers killed', [killAll]],
      ['a broker stopped', [stopLeader]],
    ],
  ),
)('%s', survive, LIMIT)

test(
  'records that were confirmed while the leader was killed are in the topic once',
  async () => {
    const topic = await kafka.createTopic(PARTITIONS, BROKERS)
    await using posters = new Posters(broker.bootstrapServers, topic, POSTERS)
    const more = (what: string) => {
      const before = posters.confirmed.size
      return until(
        () => posters.confirmed.size >= before + RATE,
        () => `${RATE} confirmed ${what}; ${posters.confirmed.size - before} were`,
        60_000,
      )
    }
    for (let kills = 0; kills < sized(1, 5); kills++) {
      await more('before a kill')
      // Requests are on their way at any time.
      await killLeader(topic)
      await more('after it')
    }
    await posters.finish()
    const found = new Map<string, string[]>()
    for (const { partition, offset, value } of await readAll(kafka, topic)) {
      const text = new TextDecoder().decode(value ?? undefined)
      found.set(text, [...(found.get(text) ?? []), `${partition}/${offset}`])
    }
    const { confirmed, uncertain, refused } = posters
    const wrong = [...confirmed].filter(([value, place]) => {
      const [first] = found.get(value) ?? []
      return place.endsWith('?') ? !first?.startsWith(place.slice(0, -1)) : first !== place
    })
    const doubled = [...found].filter(([, places]) => places.length > 1)
    const refusedAndThere = [...refused].filter((value) => found.has(value))
    report('the leader killed while records are posted', {
      confirmed: confirmed.size,
      uncertain: uncertain.size,
      refused: refused.size,
      wrong: wrong.length,
      doubled: doubled.length,
    })
    expect({ wrong, doubled, refusedAndThere }).toEqual({
      wrong: [],
      doubled: [],
      refusedAndThere: [],
    })
  },
  LIMIT,
)
