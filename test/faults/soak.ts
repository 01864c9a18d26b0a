/**
 * `bun test/faults/soak.ts [minutes]`, 30 by default: a gateway under a steady load, with clients that
 * stay and clients that come and go. Prints its memory every 10 s, and fails where something is lost or
 * the second half of the curve is not flat.
 */
import { startBroker } from '../../tools/kafka/broker.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { sleep, until } from '../support/wait.ts'
import { Followers } from './support/follower.ts'
import { RawStream } from './support/raw-stream.ts'
import { report } from './support/report.ts'
import { memoryOf } from './support/usage.ts'
import { Writer } from './support/writer.ts'

const PARTITIONS = 4
const CLIENTS = 20
const RATE = 500
const SAMPLE_MS = 10_000
/** MiB by which the mean of the last quarter may be above that of the quarter before. */
const FLAT = 32

const minutes = Number(process.argv[2] ?? 30)
if (!(minutes > 0)) throw new Error('Cannot soak: minutes are to be a number above 0')

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Clients that read a little from the beginning or the end, and leave. */
async function comeAndGo(url: string, isOver: () => boolean): Promise<number> {
  let visits = 0
  while (!isOver()) {
    let left = 200
    const start = visits % 5 === 0 ? 'earliest' : 'latest'
    const stream = new RawStream(`${url}?start=${start}`, undefined, () => {
      left--
      if (left === 0) stream.leave(visits % 2 === 0 ? 'fin' : 'reset')
    })
    await Promise.race([stream.closed, sleep(2_000)])
    stream.end()
    visits++
  }
  return visits
}

const broker = await startBroker({ name: `soak-${process.pid}`, port: 0, owned: true })
const kafka = await TestKafka.connect(broker.bootstrapServers, { autoCreate: false })
const topic = await kafka.createTopic(PARTITIONS)
const flags = ['--brokers', broker.bootstrapServers, '--topics', topic, '--admin-port', 'off']
const { gateway, url } = await GatewayProcess.listening(flags)
const writer = await Writer.connect(broker.bootstrapServers, topic, PARTITIONS)
const followers = new Followers(CLIENTS, `${url}/stream`, PARTITIONS)
const samples: number[] = []
let isOver = false
try {
  writer.start(RATE)
  const visitors = Promise.all([1, 2, 3].map(() => comeAndGo(`${url}/stream`, () => isOver)))
  const end = performance.now() + minutes * 60_000
  while (performance.now() < end) {
    await sleep(Math.min(SAMPLE_MS, Math.max(0, end - performance.now())))
    const memory = memoryOf(gateway.pid)
    samples.push(memory)
    console.log(`${samples.length * (SAMPLE_MS / 1_000)} s: ${memory.toFixed(0)} MiB`)
  }
  isOver = true
  const visits = (await visitors).reduce((sum, count) => sum + count, 0)
  const sent = await writer.finish()
  await until(() => followers.slowest === sent, 'all clients to have all records', 60_000)
  const quarter = Math.max(1, Math.floor(samples.length / 4))
  const growth = mean(samples.slice(-quarter)) - mean(samples.slice(-2 * quarter, -quarter))
  report(`${minutes} minutes`, { sent, visits, ...followers.tally, 'MiB grown': growth })
  const { lost, doubled, wrong } = followers.tally
  if (lost + doubled + wrong > 0) throw new Error('Records are lost, doubled or wrong')
  if (growth > FLAT) throw new Error(`Memory has grown by ${growth.toFixed(0)} MiB at the end`)
} finally {
  isOver = true
  followers[Symbol.dispose]()
  await writer[Symbol.asyncDispose]()
  await gateway.kill()
  await kafka.close()
  await broker.stop()
}
process.exit(0)
