/** Logging in as a consumer of Kong's configuration, with a real browser and with curl. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { axeFindings, dress, THEMES_AND_WIDTHS } from '../support/axe.ts'
import { Browser } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { until } from '../support/wait.ts'
import { needChromium } from './need-chromium.ts'

const SECRET = 'planted-secret-of-tokens-of-32-characters'
const folder = mkdtempSync(join(tmpdir(), 'kong-login-'))
const config = join(folder, 'kong.yaml')

let kafka: TestKafka
let topic: string

needChromium()

beforeAll(async () => {
  kafka = await TestKafka.real()
  topic = await kafka.createTopic(1)
  await kafka.produce(topic, [{ key: 'k', value: 'the record', partition: 0 }])
  const [host, port] = kafka.bootstrapServers.split(',')[0]?.split(':') ?? []
  const consume = (mode: string) =>
    `{name: kafka-consume, config: {mode: ${mode}, bootstrap_servers: [{host: ${host}, port: ${port}}], topics: [{name: ${topic}}]}}`
  writeFileSync(
    config,
    `_format_version: "3.0"
routes:
- {name: orders, paths: [/orders], plugins: [${consume('http-get')}, {name: key-auth}]}
- {name: live, paths: [/live], plugins: [${consume('server-sent-events')}, {name: key-auth}]}
- {name: by-password, paths: [/by-password], plugins: [${consume('http-get')}, {name: basic-auth}]}
- {name: by-token, paths: [/by-token], plugins: [${consume('http-get')}, {name: jwt}]}
consumers:
- username: ann
  keyauth_credentials: [{key: planted-key-of-ann}]
  basicauth_credentials: [{username: anna, password: planted-password}]
  jwt_secrets: [{key: shop, secret: ${SECRET}}]
`,
  )
}, 120_000)

afterAll(async () => {
  rmSync(folder, { recursive: true })
  if (topic) await kafka.deleteTopic(topic)
  await kafka?.close()
}, 120_000)

async function open(environment: Record<string, string> = {}) {
  const started = await GatewayProcess.listening(
    ['--config', config, '--log-level', 'debug'],
    environment,
  )
  const isReady = async () => (await fetch(`${started.url}/readyz`)).status === 200
  await until(isReady, 'readiness')
  return started
}

/** Removes an entity by the Admin API. */
async function remove(gateway: GatewayProcess, path: string): Promise<void> {
  const { status } = await fetch(`${gateway.adminUrl}${path}`, { method: 'DELETE' })
  expect(status).toBe(204)
}

async function idOfKey(gateway: GatewayProcess): Promise<string> {
  const list = await fetch(`${gateway.adminUrl}/consumers/ann/key-auth`)
  return ((await list.json()) as { data: [{ id: string }] }).data[0].id
}

test('a key opens the records in the console; when the Admin API removes it, the console says so', async () => {
  const { gateway, url } = await open()
  await using _ = gateway
  // Content security policies would refuse the script that axe is.
  await using browser = await Browser.start({ bypassCSP: true })
  const { page } = browser
  await page.goto(`${url}/?route=orders&start=earliest`)
  const refused = page.locator('#state').filter({ hasText: 'not logged in' })
  await refused.waitFor({ timeout: 60_000 })
  expect(await page.locator('#no-records').textContent()).toBe(
    'No API key found in request. Log in',
  )
  for (const [width, theme] of THEMES_AND_WIDTHS) {
    await dress(page, width, theme)
    expect(await axeFindings(page)).toEqual([])
  }
  await page.locator('#no-records').getByRole('link', { name: 'Log in' }).click()
  await page.getByLabel('Password, key or token').fill('planted-key-of-ann')
  await page.keyboard.press('Enter')
  await page.getByText('the record').first().waitFor({ timeout: 60_000 })
  expect(page.url()).toBe(`${url}/?route=orders&start=earliest`)
  expect(await page.locator('.account').textContent()).toBe('ann')
  expect(await page.evaluate('document.cookie')).toBe('')
  await page.goto(url)
  await page.locator('#state[data-state=live]').waitFor({ timeout: 60_000 })
  await remove(gateway, `/consumers/ann/key-auth/${await idOfKey(gateway)}`)
  await refused.waitFor({ timeout: 60_000 })
  await page.reload()
  await page.locator('#login').click()
  await page.getByLabel('Password, key or token').waitFor()
  expect(gateway.stdout + gateway.stderr).not.toContain('planted')
}, 120_000)

describe.each([1, 2])('curl with a cookie jar, beside %i serving threads', (threads) => {
  let gateway: GatewayProcess
  let url: string

  beforeAll(async () => {
    ;({ gateway, url } = await open({ WORKERS: String(threads) }))
  }, 120_000)

  afterAll(async () => {
    expect(gateway.stdout + gateway.stderr).not.toContain('planted')
    await gateway?.kill()
  }, 120_000)

  /** @returns The status, and the answer with its headers. */
  async function curl(jar: string, path: string, form: Record<string, string> = {}) {
    const file = join(folder, jar)
    const fields = Object.entries(form).flatMap(([name, value]) => [
      '--data-urlencode',
      `${name}=${value}`,
    ])
    // A connection of its own may come to another thread.
    const command = ['curl', '-siS', '-m', '20', '-b', file, '-c', file, ...fields, url + path]
    const { stdout, exitCode } = Bun.spawnSync(command)
    expect(exitCode).toBe(0)
    const text = stdout.toString()
    return { status: Number(text.slice(9, 12)), text }
  }

  const token = () =>
    new SignJWT({ iss: 'shop', exp: Math.floor(Date.now() / 1_000) + 600 })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode(SECRET))

  test.each<[string, string, () => Promise<Record<string, string>>]>([
    ['a key', '/orders', async () => ({ secret: 'planted-key-of-ann' })],
    ['a password', '/by-password', async () => ({ name: 'anna', secret: 'planted-password' })],
    ['a token', '/by-token', async () => ({ secret: await token() })],
  ])(
    'reads by %s whatever thread answers, until it logs out or the consumer is gone',
    async (kind, path, form) => {
      const jar = kind.replaceAll(' ', '-') + threads
      const read = async () => (await curl(jar, `${path}?start=earliest&format=records`)).status
      const credentials = await form()
      expect(await read()).toBe(401)
      const wrong = await curl(jar, '/login', { ...credentials, secret: 'planted-wrong' })
      expect(wrong.status).toBe(401)
      expect(wrong.text).not.toContain('planted')
      const answer = await curl(jar, '/login', { ...credentials, next: '/?a' })
      expect(answer.status).toBe(303)
      expect(answer.text).not.toContain(credentials['secret'] ?? '')
      const held = readFileSync(join(folder, jar), 'utf8')
      expect(held).toContain('#HttpOnly_')
      for (const secret of ['planted', 'ann', credentials['secret'] ?? '']) {
        expect(held).not.toContain(secret)
      }
      for (let each = 0; each < 6; each++) expect(await read()).toBe(200)
      const copy = readFileSync(join(folder, jar))
      expect((await curl(jar, '/logout', { x: '' })).status).toBe(200)
      writeFileSync(join(folder, jar), copy)
      // The threads tell each other of the end.
      await until(
        async () => (await Promise.all([read(), read(), read()])).every((each) => each === 401),
        'the end of the session in each thread',
      )
      for (let each = 0; each < 6; each++) expect(await read()).toBe(401)
    },
    60_000,
  )

  test('is refused in each thread once the Admin API has removed the consumer', async () => {
    const jar = `removed${threads}`
    const read = async () => (await curl(jar, '/orders?start=earliest')).status
    await curl(jar, '/login', { secret: 'planted-key-of-ann' })
    expect(await read()).toBe(200)
    await remove(gateway, '/consumers/ann')
    for (let each = 0; each < 6; each++) expect(await read()).toBe(401)
  }, 120_000)
})
