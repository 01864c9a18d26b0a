/** Logging in where the gateway runs as a module on Deno and Node: by the form and by an OIDC issuer. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { Browser, provideChromium } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { npmTool } from '../support/npm-tool.ts'
import { TestIssuer } from '../support/oidc-issuer.ts'
import { freePort } from '../support/port.ts'
import { until } from '../support/wait.ts'

const root = join(import.meta.dirname, '../..')
const { TEST_KAFKA_BROKERS: brokers = '' } = process.env
const folder = mkdtempSync(join(tmpdir(), 'runtime-login-'))

const COMMANDS: Array<[string, (port: string) => Promise<string[]>]> = [
  [
    'Deno',
    async (port) => [
      await npmTool('deno'),
      ...['serve', '-A', '--host', '127.0.0.1', '--port', port, 'src/worker.ts'],
    ],
  ],
  ['Node', async () => [await npmTool('node'), 'src/node.ts']],
]

let kafka: TestKafka
let topic: string

beforeAll(async () => {
  await provideChromium()
}, 600_000)

beforeAll(async () => {
  kafka = await TestKafka.real()
  topic = await kafka.createTopic(1)
  await kafka.produce(topic, [{ key: 'k', value: 'the record', partition: 0 }])
}, 120_000)

afterAll(async () => {
  rmSync(folder, { recursive: true })
  await kafka?.deleteTopic(topic)
  await kafka?.close()
}, 120_000)

describe.each(COMMANDS)('on %s', (runtime, command) => {
  let gateway: GatewayProcess
  let issuer: TestIssuer
  let url: string
  const jar = join(folder, runtime)

  beforeAll(async () => {
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    issuer = await TestIssuer.start(`${url}/login/callback`, 'planted-client-secret')
    gateway = GatewayProcess.spawnCommand(
      await command(String(port)),
      {
        ...{ HOST: '127.0.0.1', PORT: String(port), LOG_LEVEL: 'debug', NO_COLOR: '1' },
        ...{ KAFKA_BROKERS: brokers, KAFKA_TOPICS: topic },
        ...{ BEARER_KEYS: 'bob=planted-key-of-bob' },
        ...{ OIDC_ISSUER: issuer.url, OIDC_CLIENT_ID: 'gateway' },
        OIDC_CLIENT_SECRET: 'planted-client-secret',
      },
      root,
    )
    await until(
      async () => (await fetch(`${url}/healthz`).catch(() => undefined))?.status === 200,
      () => `health in ${gateway.stdout}${gateway.stderr}`,
      60_000,
    )
  }, 180_000)

  afterAll(async () => {
    await gateway?.kill()
    await issuer?.[Symbol.asyncDispose]()
  }, 120_000)

  /** curl with a cookie jar. */
  async function curl(path: string, ...more: string[]) {
    const argv = ['curl', '-siS', '-m', '30', '-b', jar, '-c', jar, ...more, `${url}${path}`]
    const child = Bun.spawn(argv, { stdout: 'pipe' })
    const text = await new Response(child.stdout).text()
    expect(await child.exited).toBe(0)
    const [, location] = /^location: (\S+)/im.exec(text) ?? []
    return { status: Number(text.slice(9, 12)), text, location }
  }

  const read = () => curl('/messages?start=earliest&format=records')

  test('the form begins a session, whose cookie reads until it logs out', async () => {
    expect((await curl('/', '-H', 'Accept: text/html')).text).toContain('Key <input')
    expect((await curl('/login', '-d', 'secret=wrong')).status).toBe(401)
    const secret = 'secret=planted-key-of-bob'
    const evil = await curl('/login', '-d', secret, '-H', 'Origin: https://evil.test')
    expect(evil.status).toBe(403)
    const begun = await curl('/login', '-d', secret, '-d', 'next=/docs')
    expect([begun.status, begun.location]).toEqual([303, '/docs'])
    expect(begun.text).toMatch(/^set-cookie: kafka-session=[^;]+; .*HttpOnly; SameSite=Lax/im)
    const answer = await read()
    expect(answer.status).toBe(200)
    expect(answer.text).toContain('the record')
    expect((await curl('/logout', '-X', 'POST')).status).toBe(200)
    expect((await read()).status).toBe(401)
  }, 120_000)

  test('the issuer’s code begins a session of its user', async () => {
    const { location = '' } = await curl('/login/oidc?next=/docs')
    const back = (await issuer.visit(location, { user: 'mia' })).slice(url.length)
    const answer = await curl(back)
    expect(answer.status).toBe(200)
    expect(answer.text).toContain('content="0; url=/docs"')
    expect((await read()).status).toBe(200)
    await curl('/logout', '-X', 'POST')
    expect((await read()).status).toBe(401)
  }, 120_000)

  test('a browser logs in and sees records in the console', async () => {
    await using browser = await Browser.start()
    const { page } = browser
    await page.goto(`${url}/?start=earliest`)
    await page.getByLabel('Key').fill('planted-key-of-bob')
    browser.errors.length = 0
    await page.keyboard.press('Enter')
    await page.getByText('the record').first().waitFor({ timeout: 30_000 })
    await page.goto(url)
    await page.locator('#state[data-state=live]').waitFor({ timeout: 30_000 })
    expect(browser.errors).toEqual([])
    expect(gateway.stdout + gateway.stderr).not.toContain('planted')
  }, 90_000)
})
