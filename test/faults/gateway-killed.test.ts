/** Gateways are killed while clients follow: each client gets each record once, in order. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { freePorts } from '../../tools/kafka/ports.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { sleep, until } from '../support/wait.ts'
import { Balancer } from './support/balancer.ts'
import { Followers, tallyOf } from './support/follower.ts'
import { sized } from './support/form.ts'
import { report } from './support/report.ts'
import { Writer } from './support/writer.ts'

const CLIENTS = 50
const PARTITIONS = 4
const KILLS = sized(1, 5)
const RATE = sized(300, 1_000)
/** Between two kills: enough for all clients to be back and to be in the middle of it. */
const PAUSE = sized(1_000, 5_000)
const LIMIT = sized(90_000, 600_000)

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

async function gatewayOn(port: number, topic: string): Promise<GatewayProcess> {
  const { bootstrapServers } = kafka
  const flags = ['--brokers', bootstrapServers, '--topics', topic, '--admin-port', 'off']
  const gateway = GatewayProcess.spawn(['--host', '127.0.0.1', '--port', String(port), ...flags])
  await gateway.url()
  return gateway
}

/** @param gateways How many there are behind the one address of all clients. */
async function killWhileFollowed(gateways: number): Promise<void> {
  const topic = await kafka.createTopic(PARTITIONS)
  await using writer = await Writer.connect(kafka.bootstrapServers, topic, PARTITIONS)
  const ports = await freePorts(gateways)
  await using running = new AsyncDisposableStack()
  const started = await Promise.all(ports.map((port) => gatewayOn(port, topic)))
  for (const gateway of started) running.use(gateway)
  using balancer = await Balancer.listen(ports)
  const url = gateways === 1 ? `http://127.0.0.1:${ports[0]}` : balancer.url

  writer.start(RATE)
  using clients = new Followers(CLIENTS, `${url}/stream`, PARTITIONS)
  let kills = 0
  for (; kills < KILLS * gateways; kills++) {
    const before = writer.acknowledged
    await until(() => clients.slowest > before, 'all clients to follow', 60_000)
    await sleep(PAUSE)
    const victim = kills % gateways
    await started[victim]?.kill()
    started[victim] = running.use(await gatewayOn(ports[victim] as number, topic))
  }
  await sleep(PAUSE)
  const sent = await writer.finish()
  await until(
    () => clients.slowest === sent,
    () => `${sent} records at each client; the slowest has ${clients.slowest}`,
    60_000,
  )
  report(`${gateways} gateway(s), ${CLIENTS} clients`, { kills, sent, ...clients.tally })
  if (gateways === 1) expect(clients.opened).toBeGreaterThan(kills)
  expect(clients.tally).toEqual(tallyOf(sent * CLIENTS))
}

test(
  'clients of a gateway that is killed and started again lose and double nothing',
  () => killWhileFollowed(1),
  LIMIT,
)

test(
  'clients of two gateways behind one address, of which one is killed, lose and double nothing',
  () => killWhileFollowed(2),
  LIMIT,
)
