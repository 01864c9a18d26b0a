/** Idle streams and their events by the kind of connection: HTTP/1.1, with TLS, and HTTP/2. */

import { Certificates } from '../../test/support/certificate.ts'
import { npmTool } from '../../test/support/npm-tool.ts'
import { type Figure, figure } from '../figure.ts'
import type { ConnectionForm, Connections } from '../programs/connections.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Pacer } from '../programs/pacer.ts'
import { alternate, type Statistic, statisticOf } from '../rounds.ts'
import { type Bench, PARTITIONS, type Scenario } from '../scenario.ts'

const STREAMS = 3_600
const VALUE_BYTES = 1_000
const PER_SECOND = 4
const OPEN_LIMIT_MS = 60_000
/** Milliseconds for the work of opening, and of the first heartbeats, to be done. */
const REST_MS = 9_000

const NAMES: Readonly<Record<ConnectionForm, string>> = {
  http: 'HTTP/1.1',
  https: 'HTTP/1.1 over TLS',
  http2: 'HTTP/2 over TLS',
}

export const connections: Scenario = {
  name: 'connections',
  summary: `memory of an idle stream and processor time of an event by ${Object.values(NAMES).join(', ')}`,
  async run(bench) {
    using certificates = new Certificates()
    certificates.make('localhost')
    const tls = {
      cert: certificates.read('localhost.crt'),
      key: certificates.read('localhost.key'),
    }
    const side = (form: ConnectionForm) => () => runForm(bench, form, tls)
    const measured = await alternate(
      { http: side('http'), https: side('https'), http2: side('http2') },
      bench.quick ? 1 : 3,
      (form, round, { kilobytes, cpu }) =>
        bench.say(
          `  ${NAMES[form]} ${round}: ${kilobytes.toFixed(1)} KB for an idle stream, ${cpu.toFixed(1)} µs of CPU an event`,
        ),
      false,
    )
    const forms = Object.keys(NAMES) as ConnectionForm[]
    return forms.flatMap((form): Figure[] => {
      const of = (name: string, unit: string, what: 'kilobytes' | 'cpu') => {
        const [ours, plain] = [form, 'http' as const].map((one) =>
          statisticOf(measured[one], (round) => round[what]),
        ) as [Statistic, Statistic]
        const title = `${STREAMS.toLocaleString('en-US')} streams, ${NAMES[form]}, ${name}`
        return form === 'http' ? figure(title, unit, ours) : figure(title, unit, ours, plain)
      }
      return [of('idle', 'KB each', 'kilobytes'), of('CPU', 'µs/event', 'cpu')]
    })
  },
}

/** A gateway of its own for each round: a process returns memory late. */
async function runForm(bench: Bench, form: ConnectionForm, tls: { cert: string; key: string }) {
  const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
  const gateway = bench.spawn<Gateway>('gateway')
  const clients = bench.spawn<Connections>('connections', await npmTool('node'))
  const pacer = bench.spawn<Pacer>('pacer')
  const serving = { brokers: bench.brokers, topic: topic.name }
  const { port } = await gateway.ask('serve', form === 'http' ? serving : { ...serving, tls })
  await pacer.ask('open', { brokers: bench.brokers })
  const sending = {
    topic: topic.name,
    partitions: PARTITIONS,
    bytes: VALUE_BYTES,
    perSecond: PER_SECOND,
  }
  // The first connection and the first records do work that later ones do not need.
  await clients.ask('open', { port, form, count: 1 })
  await pacer.ask('send', { ...sending, seconds: 2 })
  await Bun.sleep(1_000)

  const empty = await gateway.usage()
  await clients.ask('open', { port, form, count: STREAMS }, OPEN_LIMIT_MS)
  await Bun.sleep(REST_MS)
  const idle = await gateway.usage()
  await clients.ask('take')
  await pacer.ask('send', { ...sending, seconds: 5 })
  await Bun.sleep(500)
  const after = await gateway.usage()
  const { events } = await clients.ask('take')
  await bench.stop(gateway, clients, pacer)
  return {
    kilobytes: (idle.rss - empty.rss) / 1024 / STREAMS,
    cpu: ((after.cpu - idle.cpu) / events) * 1e6,
  }
}
