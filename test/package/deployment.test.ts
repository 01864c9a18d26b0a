/** The files by which the gateway is deployed: compose.yaml, the Dockerfile, and the examples for systemd and Kubernetes. */
import { expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { load, loadAll } from 'js-yaml'
import { readGatewayConfig } from '../../src/gateway/settings/gateway-settings.ts'
import { run } from '../support/run-program.ts'

/** The gateway ends within so many seconds of SIGTERM. */
const SHUTDOWN_SECONDS = 10

const root = join(import.meta.dirname, '../..')
const read = (name: string) => readFileSync(join(root, name), 'utf8')

interface Manifest {
  readonly kind: string
  readonly data?: Record<string, string>
  readonly stringData?: Record<string, string>
  readonly spec?: {
    readonly strategy?: { readonly rollingUpdate: { readonly maxUnavailable: number } }
    readonly template?: { readonly spec: Pod }
  }
}
interface Pod {
  readonly terminationGracePeriodSeconds: number
  readonly containers: ReadonlyArray<{
    readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } }
    readonly readinessProbe: { readonly httpGet: { readonly path: string } }
    readonly livenessProbe: { readonly httpGet: { readonly path: string } }
    readonly securityContext: { readonly readOnlyRootFilesystem: boolean }
  }>
}

const manifests = loadAll(read('examples/kubernetes.yaml')) as Manifest[]
const compose = load(read('compose.yaml')) as {
  services: Record<string, { environment: Record<string, string>; ports: string[] }>
}
const deployment = manifests.find(({ kind }) => kind === 'Deployment')
const pod = deployment?.spec?.template?.spec as Pod

test('the variables that the examples set are variables of the gateway', async () => {
  const help = await run([process.execPath, 'src/server.ts', '--help'], root)
  const names = [
    ...manifests.flatMap(({ data, stringData }) => Object.keys({ ...data, ...stringData })),
    ...Object.keys(compose.services['gateway']?.environment ?? {}),
  ]
  expect(names).toContain('KAFKA_BROKERS')
  for (const name of names) expect(help).toMatch(new RegExp(` ${name} `))
})

test("the manifest's settings are accepted with secrets of one's own, and its placeholders are refused", () => {
  const settings = Object.assign(
    {},
    ...manifests.map(({ data, stringData }) => ({ ...data, ...stringData })),
  )
  const { stringData: placeholders = {} } = manifests.find(({ kind }) => kind === 'Secret') ?? {}
  const random = 'ab'.repeat(16)
  const own = { ...settings, BEARER_KEYS: `shop=${random}`, SESSION_SECRET: random }
  expect(readGatewayConfig({}, own)).toMatchObject({
    cluster: { topics: ['orders'] },
    guard: { clients: [{ name: 'shop', key: random }] },
    sessions: { secret: random },
    adminPort: 'off',
    logFormat: 'json',
  })
  expect(Object.keys(placeholders)).toEqual(['BEARER_KEYS', 'SESSION_SECRET'])
  for (const [name, placeholder] of Object.entries(placeholders)) {
    const read = () => readGatewayConfig({}, { ...own, [name]: placeholder })
    expect(read).toThrow(new RegExp(`${name}: .*at least \\d+ characters are required`))
  }
})

test('a pod has time to drain, and is replaced by one that is ready', () => {
  expect(deployment?.spec?.strategy?.rollingUpdate.maxUnavailable).toBe(0)
  for (const { lifecycle, readinessProbe, livenessProbe } of pod.containers) {
    const { seconds } = lifecycle.preStop.sleep
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(seconds + SHUTDOWN_SECONDS)
    expect(readinessProbe.httpGet.path).toBe('/readyz')
    // Kafka's outages must not restart it.
    expect(livenessProbe.httpGet.path).toBe('/healthz')
  }
})

test('compose.yaml publishes Kafka at the address by which the broker names itself there', () => {
  const { environment, ports } = compose.services['kafka'] as (typeof compose.services)[string]
  expect(ports).toEqual(['127.0.0.1:9092:9092'])
  expect(environment['KAFKA_LISTENERS']).toContain('HOST://:9092')
  expect(environment['KAFKA_ADVERTISED_LISTENERS']).toContain('HOST://localhost:9092')
})

test('the image compiles the addon before it has the sources', () => {
  const lines = read('Dockerfile').split('\n')
  const sources = lines.indexOf('COPY . .')
  expect(lines.indexOf('RUN bun native/setup.ts')).toBeLessThan(sources)
  expect(lines.indexOf('RUN bun native/setup.ts')).toBeGreaterThan(0)
  expect(lines.find((line) => line.startsWith('USER'))).toMatch(/^USER \d+:\d+$/)
})

test('a check of health starts no Bun, and the gateway writes no file', () => {
  expect(read('Dockerfile')).toMatch(/^HEALTHCHECK .*\\\n +CMD curl [^\n]*\/healthz"$/m)
  expect(compose.services['gateway']).toMatchObject({ read_only: true })
  for (const { securityContext } of pod.containers) {
    expect(securityContext.readOnlyRootFilesystem).toBe(true)
  }
})

test('the image is built without what git ignores', () => {
  const ignored = read('.gitignore').trim().split('\n')
  const expected = ignored.map((pattern) => `**/${pattern.replace(/\/$/, '')}`)
  expect(read('.dockerignore').trim().split('\n').sort()).toEqual([...expected, '.git'].sort())
})

test.if(Bun.which('systemd-analyze') !== null)('systemd accepts the unit', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'unit-'))
  try {
    const unit = join(folder, 'hono-kafka-consume.service')
    const text = read('examples/hono-kafka-consume.service')
    // The program must exist for the check.
    writeFileSync(unit, text.replace('/usr/local/bin/bun', process.execPath))
    expect(await run(['systemd-analyze', 'verify', unit], folder)).toBe('')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
