/**
 * The order of steps by which examples/kubernetes.yaml replaces gateways, with processes in place of pods
 * and a balancer in place of the service: a client of the group gets each record once.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { sleep, until } from '../support/wait.ts'
import { Balancer } from './support/balancer.ts'
import { sized } from './support/form.ts'
import { Pollers } from './support/pollers.ts'
import { Recorder } from './support/recorder.ts'
import { report } from './support/report.ts'
import { uncertainIn } from './support/uncertain.ts'
import { Writer } from './support/writer.ts'

const REPLICAS = 2
const UPDATES = sized(1, 4)
const CLIENTS = 6
const PARTITIONS = 8
const RATE = sized(500, 2_000)
/** Between the change of the service's endpoints and SIGTERM: the pod's `preStop`. */
const PRE_STOP_MS = sized(1_000, 5_000)

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

test(
  'a rolling update of gateways in one group loses and doubles nothing',
  async () => {
    const topic = await kafka.createTopic(PARTITIONS)
    await using writer = await Writer.connect(kafka.bootstrapServers, topic, PARTITIONS)
    await using running = new AsyncDisposableStack()
    const ran: GatewayProcess[] = []
    const flags = ['--brokers', kafka.bootstrapServers, '--topics', topic]
    /** Starts a gateway, and waits for what the readiness probe waits for. */
    const start = async () => {
      const { gateway, url } = await GatewayProcess.listening(flags)
      ran.push(running.use(gateway))
      await until(async () => (await fetch(`${url}/readyz`)).ok, 'it to be ready', 30_000)
      return { gateway, port: Number(new URL(url).port) }
    }
    let pods = await Promise.all(Array.from({ length: REPLICAS }, start))
    using service = await Balancer.listen(pods.map(({ port }) => port))
    await using clients = new Pollers(PARTITIONS, 100)
    for (let i = 0; i < CLIENTS; i++) clients.add(`${service.url}/messages`)
    using stream = new Recorder(`${service.url}/stream?start=earliest`)
    writer.start(RATE)
    await until(() => clients.distinct > RATE, 'all to begin', 40_000)

    for (let replaced = 0; replaced < REPLICAS * UPDATES; replaced++) {
      const [oldest, ...others] = pods
      // maxSurge: the new pod is ready before an old one is told to end.
      pods = [...others, await start()]
      service.targets = pods.map(({ port }) => port)
      await sleep(PRE_STOP_MS)
      oldest?.gateway.signal('SIGTERM')
      expect(await oldest?.gateway.exited()).toBe(0)
    }
    const sent = await writer.finish()
    await until(
      () => clients.distinct === sent && stream.records.length >= sent,
      () =>
        `${sent} records; the group got ${clients.distinct}, the stream ${stream.records.length}. ` +
        `Last failure: ${clients.lastFailure}`,
      60_000,
    )
    const { doubled, wrong, ...counts } = clients.tally
    const uncertain = ran.reduce((sum, { stderr }) => sum + uncertainIn(stderr), 0)
    const streams = stream.opened
    const lost = sent - clients.distinct
    report('A rolling update', { sent, lost, doubled, uncertain, wrong, ...counts, streams })
    expect([lost, wrong]).toEqual([0, 0])
    expect(doubled).toBeLessThanOrEqual(uncertain)
    // The stream resumed where it was cut.
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const offsets = stream.offsets(partition)
      expect(offsets).toEqual(offsets.map((_, index) => index))
    }
    expect(stream.records.length).toBe(sent)
  },
  sized(120_000, 600_000),
)
