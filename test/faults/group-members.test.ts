/**
 * Gateways join and leave one consumer group under load: nothing is lost, and what is doubled is
 * counted.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { freePorts } from '../../tools/kafka/ports.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { groupOf } from '../support/metrics.ts'
import { sleep, until } from '../support/wait.ts'
import { sized } from './support/form.ts'
import { Pollers, type Repeat } from './support/pollers.ts'
import { report } from './support/report.ts'
import { uncertainIn } from './support/uncertain.ts'
import { Writer } from './support/writer.ts'

const GATEWAYS = 3
const CLIENTS_OF_EACH = 4
const PARTITIONS = 8
const MAX_RECORDS = 100
const RATE = sized(500, 2_000)
/** Between two faults: the group reads on with the members that are left. */
const PAUSE = sized(500, 4_000)
/** Beyond the 10 s after which Kafka gives the partitions of a silent member to others. */
const SILENCE = 14_000

/**
 * Milliseconds within which a delivered record is committed: 50 ms between two commits, and two commits, each
 * of which the brokers answer late on a busy machine.
 */
const UNCOMMITTED = sized(12_000, 1_000)
/** Milliseconds after which repeats of a member's crash have come, and of its answers under way. */
const AFTERMATH = 5_000

/** Milliseconds after a change of members in which commits that Kafka refused meanwhile are made again. */
const COMMITS_AGAIN = 2_000

type End = 'SIGTERM' | 'SIGKILL' | 'SIGSTOP'

/** A member that was killed, or was stopped for a while. */
interface Crash {
  readonly end: End
  readonly url: string
  /** In `performance.now()`'s time. */
  readonly from: number
  /** When it was back, or dead. */
  readonly to: number
}

/** Whether a record came twice because of a crash: by the member that crashed, around its end. */
function isOfCrash({ first, again }: Repeat, { url, from, to }: Crash): boolean {
  return [first, again].some(
    (arrival) =>
      arrival.url === url && from - UNCOMMITTED < arrival.at && arrival.at < to + AFTERMATH,
  )
}

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

/** @param ends How a member ends, one after the other; it comes back each time. */
async function churn(ends: readonly End[], protocol = 'classic'): Promise<void> {
  const topic = await kafka.createTopic(PARTITIONS)
  await using writer = await Writer.connect(kafka.bootstrapServers, topic, PARTITIONS)
  const ports = await freePorts(GATEWAYS)
  const ran: GatewayProcess[] = []
  await using running = new AsyncDisposableStack()
  const start = async (port: number) => {
    const flags = ['--brokers', kafka.bootstrapServers, '--topics', topic, '--admin-port', 'off']
    flags.push('--group-protocol', protocol)
    const gateway = running.use(
      GatewayProcess.spawn(['--host', '127.0.0.1', '--port', String(port), ...flags]),
    )
    ran.push(gateway)
    await gateway.url()
    return gateway
  }
  const gateways = await Promise.all(ports.map(start))
  await using clients = new Pollers(PARTITIONS, MAX_RECORDS)
  const urlOf = (port: number) => `http://127.0.0.1:${port}/messages`
  for (const port of ports) {
    for (let i = 0; i < CLIENTS_OF_EACH; i++) clients.add(urlOf(port))
  }
  writer.start(RATE)
  await until(() => clients.distinct > RATE, 'all to begin', 40_000)

  let uncommitted = 0
  const crashes: Crash[] = []
  for (const [index, end] of ends.entries()) {
    await sleep(PAUSE)
    const member = index % GATEWAYS
    const gateway = gateways[member] as GatewayProcess
    const url = urlOf(ports[member] as number)
    const group = await groupOf(url)
    // Kafka answers no commit of the classic protocol while it waits for a member.
    await until(() => kafka.isStable(group), `group ${group} to have its members`, 60_000)
    await sleep(COMMITS_AGAIN)
    const crashed = (from: number) => crashes.push({ end, url, from, to: performance.now() })
    if (end === 'SIGSTOP') {
      gateway.signal(end)
      const from = performance.now()
      await sleep(SILENCE)
      gateway.signal('SIGCONT')
      crashed(from)
      continue
    }
    if (end === 'SIGTERM') {
      gateway.signal(end)
      expect(await gateway.exited()).toBe(0)
    } else {
      const from = performance.now()
      await gateway.kill()
      crashed(from)
      // Others get its partitions later only: these are the offsets that it has committed.
      const committed = await kafka.committed(group, topic, PARTITIONS)
      uncommitted += clients.receivedFrom(url, committed)
      // Answers that came, and were not counted yet.
      uncommitted += CLIENTS_OF_EACH * MAX_RECORDS
    }
    await sleep(PAUSE)
    gateways[member] = await start(ports[member] as number)
  }
  await sleep(PAUSE)
  const sent = await writer.finish()
  await until(
    () => clients.distinct === sent,
    () =>
      `${sent} records in all; ${clients.distinct} came. Last failure: ${clients.lastFailure}. ` +
      `Logs:\n${ran.map(({ stderr }) => stderr.slice(-1_000)).join('\n')}`,
    60_000,
  )
  // Committed records stay committed: nothing is delivered again.
  await sleep(PAUSE)
  const { doubled, wrong, ...counts } = clients.tally
  const uncertain = ran.reduce((sum, { stderr }) => sum + uncertainIn(stderr), 0)
  const lost = sent - clients.distinct
  report(`${GATEWAYS} gateways in a group, protocol ${protocol}, ${ends.join(' ')}`, {
    sent,
    lost,
    doubled,
    uncertain,
    uncommitted,
    wrong,
    ...counts,
  })
  expect([lost, wrong]).toEqual([0, 0])
  // A member that is killed takes its count with it. How much it has not committed depends on how quickly
  // it delivered, which is many times more than usual while it catches up.
  expect(doubled).toBeLessThanOrEqual(uncertain + uncommitted)
  // A crash repeats what its member delivered in its last moments, and the answers under way.
  for (const crash of crashes) {
    const repeats = clients.repeats.filter((repeat) => isOfCrash(repeat, crash))
    const { end, url, from } = crash
    const recent = clients.receivedBetween(url, from - UNCOMMITTED, from)
    const ages = repeats.map(({ first }) => Math.round(from - first.at))
    report(`  ${end}`, {
      repeated: repeats.length,
      'ms before it at most': Math.max(0, ...ages),
      'in the last second': clients.receivedBetween(url, from - 1_000, from),
    })
    expect(repeats.length).toBeLessThanOrEqual(recent + CLIENTS_OF_EACH * MAX_RECORDS)
  }
  const unexplained = clients.repeats.filter(
    (repeat) => !crashes.some((crash) => isOfCrash(repeat, crash)),
  )
  expect(unexplained).toEqual([])
}

test.each(['classic', 'consumer'])(
  'members of the protocol %s that leave in good order and come back lose nothing',
  (protocol) => churn(sized<End[]>(['SIGTERM', 'SIGTERM'], Array(12).fill('SIGTERM')), protocol),
  sized(90_000, 600_000),
)

test(
  'members that are killed, or do not answer for a while, lose nothing',
  () => churn(sized<End[]>(['SIGKILL'], ['SIGKILL', 'SIGSTOP', 'SIGKILL', 'SIGSTOP', 'SIGKILL'])),
  sized(90_000, 600_000),
)

// Brokers give the partitions of a silent member of this protocol to others after 45 s.
test(
  'members of the protocol consumer that are killed lose nothing',
  () => churn(sized<End[]>(['SIGKILL'], ['SIGKILL', 'SIGSTOP', 'SIGKILL']), 'consumer'),
  sized(120_000, 600_000),
)

test('a gateway that was stopped for longer than its session delivers nothing that another one has delivered', async () => {
  const topic = await kafka.createTopic(1)
  const flags = ['--brokers', kafka.bootstrapServers, '--topics', topic, '--admin-port', 'off']
  const ports = await freePorts(2)
  await using running = new AsyncDisposableStack()
  const start = async (port: number) => {
    const gateway = running.use(
      GatewayProcess.spawn(['--host', '127.0.0.1', '--port', String(port), ...flags]),
    )
    return { gateway, url: `${await gateway.url()}/messages?format=value` }
  }
  const get = async (url: string) => (await (await fetch(url)).json()) as string[]
  const stopped = await start(ports[0] as number)
  // A new group begins at the end.
  expect(await get(`${stopped.url}&timeout=100`)).toEqual([])
  const values = Array.from({ length: 5_000 }, (_, n) => `${n}`)
  await kafka.produce(
    topic,
    values.map((value) => ({ partition: 0, value })),
  )
  const got = await get(`${stopped.url}&max_records=10&timeout=5000`)
  const other = await start(ports[1] as number)
  const begun = get(`${other.url}&max_records=10000&timeout=30000`)
  await sleep(1_000)
  stopped.gateway.signal('SIGSTOP')
  // Their requests wait in the socket, and are the first that the process sees.
  const late = Array.from({ length: 5 }, () => get(`${stopped.url}&max_records=100&timeout=1000`))
  got.push(...(await begun))
  await until(async () => {
    got.push(...(await get(`${other.url}&max_records=10000&timeout=500`)))
    return got.length === values.length
  }, 'the other one to have all')
  stopped.gateway.signal('SIGCONT')
  expect((await Promise.all(late)).flat()).toEqual([])
  expect(got.toSorted()).toEqual(values.toSorted())
}, 120_000)
