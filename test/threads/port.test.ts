/** The ports of a gateway's threads. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { BrokerProcess } from '../gateway/broker-process.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { Certificates } from '../support/certificate.ts'
import { freePort } from '../support/port.ts'
import { until } from '../support/wait.ts'

/** Connections of which the kernel gives none to a stranger's listener once in 2^20 runs or less. */
const CONNECTIONS = 20
const STRANGER = { BUN_OPTIONS: `--preload ${join(import.meta.dirname, 'given-back-port.ts')}` }

setDefaultTimeout(60_000)

let certificates: Certificates
let broker: BrokerProcess

beforeAll(async () => {
  certificates = new Certificates()
  certificates.make('localhost')
  broker = await BrokerProcess.start('ports')
})
afterAll(async () => {
  await broker[Symbol.asyncDispose]()
  certificates[Symbol.dispose]()
})

test('no stranger can share a port that the system has chosen, since a thread listens on it from then on', async () => {
  const [cert, key] = ['crt', 'key'].map((type) => certificates.file(`localhost.${type}`))
  const { gateway, url } = await GatewayProcess.listening(
    [
      ...['--brokers', broker.address, '--topics', 'ports', '--workers', '2'],
      ...[
        '--admin-port',
        'off',
        '--https-port',
        '0',
        '--tls-cert',
        `${cert}`,
        '--tls-key',
        `${key}`,
      ],
    ],
    STRANGER,
  )
  await using _ = gateway
  for (const address of [url, gateway.httpsUrl]) {
    const asked = Array.from({ length: CONNECTIONS }, async () => {
      const answer = await fetch(`${address}/healthz`, {
        headers: { connection: 'close' },
        tls: { rejectUnauthorized: false },
      })
      return answer.text()
    })
    expect(new Set(await Promise.all(asked)).has('a stranger')).toBe(false)
  }
})

test('of two gateways that start at once on one port one serves, and the other ends and names the port', async () => {
  const port = await freePort()
  const flags = [
    ...['--port', `${port}`, '--host', '127.0.0.1', '--admin-port', 'off', '--workers', '2'],
    ...['--brokers', broker.address, '--topics', 'ports'],
  ]
  await using one = GatewayProcess.spawn(flags)
  await using other = GatewayProcess.spawn(flags)
  const isServing = ({ stdout }: GatewayProcess) => stdout.includes(`http://127.0.0.1:${port}`)
  const isRefused = ({ stderr }: GatewayProcess) =>
    stderr.includes(
      `Cannot listen on port ${port}: another process does, choose another with --port`,
    )
  const all = [one, other]
  await until(
    () => all.every((each) => isServing(each) || isRefused(each)),
    () =>
      `each to serve or end: ${JSON.stringify(all.map(({ stdout, stderr }) => stdout + stderr))}`,
    40_000,
  )
  expect(all.filter(isServing)).toHaveLength(1)
  const refused = all.find(isRefused)
  expect(await refused?.exited(20_000)).toBe(1)
})
