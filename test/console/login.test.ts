/** Logging in to the console with a real browser: by a form, and at a real OIDC issuer. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { axeFindings, dress, THEMES_AND_WIDTHS } from '../support/axe.ts'
import { Browser } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { TestIssuer } from '../support/oidc-issuer.ts'
import { freePort } from '../support/port.ts'
import { until } from '../support/wait.ts'
import { needChromium } from './need-chromium.ts'

const folder = mkdtempSync(join(tmpdir(), 'login-'))
const clients = join(folder, 'clients.yaml')

let kafka: TestKafka
let topic: string

needChromium()

beforeAll(async () => {
  kafka = await TestKafka.real()
  topic = await kafka.createTopic(1)
  writeFileSync(
    clients,
    `clients:
- {name: ann, password: planted-of-ann}
- {name: bob, key: planted-key-of-bob}
- {name: shop, key: planted-key-of-the-shop, only: {topics: [${topic}], keys: [mine]}}`,
  )
}, 120_000)

afterAll(async () => {
  rmSync(folder, { recursive: true })
  await kafka?.close()
}, 120_000)

async function open(flags: readonly string[], environment: Record<string, string> = {}) {
  const own = ['--brokers', kafka.bootstrapServers, '--topics', topic, ...flags]
  const started = await GatewayProcess.listening(own, environment)
  const isReady = async () => (await fetch(`${started.url}/readyz`)).status === 200
  await until(isReady, 'readiness')
  return started
}

const isLive = (browser: Browser) =>
  browser.page.locator('#state[data-state=live]').waitFor({ timeout: 60_000 })

test('a name and a password open the page that was asked for, and its streams; logging out ends that', async () => {
  const { gateway, url } = await open(['--clients', clients, '--log-level', 'debug'])
  await using _ = gateway
  await using browser = await Browser.start()
  const { page } = browser
  const first = await page.goto(`${url}/?from=a#there`)
  expect(first?.status()).toBe(401)
  await page.getByLabel('Name').fill('ann')
  await page.getByLabel('Password or key').fill('planted-wrong')
  await page.keyboard.press('Enter')
  await page.getByRole('alert').waitFor()
  expect(await page.getByLabel('Name').inputValue()).toBe('ann')
  // The password is what is left to correct.
  expect(await page.evaluate('document.activeElement.name')).toBe('secret')
  browser.errors.length = 0
  await page.keyboard.type('planted-of-ann')
  await page.keyboard.press('Enter')
  await isLive(browser)
  expect(page.url()).toBe(`${url}/?from=a#there`)
  expect(await page.evaluate('document.cookie')).toBe('')
  expect(browser.errors).toEqual([])
  await page.reload()
  await isLive(browser)
  expect(await page.locator('.account').textContent()).toBe('ann')
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByLabel('Password or key').waitFor()
  expect(page.url()).toBe(`${url}/?from=a#there`)
  expect(gateway.stdout + gateway.stderr).not.toContain('planted')
}, 120_000)

test('a client with a scope reads its part in the console, and gets out of a page that is not for it', async () => {
  await kafka.produce(topic, [
    { key: 'mine', value: 'a record of mine', partition: 0 },
    { key: 'other', value: 'a record of others', partition: 0 },
    { key: 'mine', value: 'the last of mine', partition: 0 },
  ])
  const { gateway, url } = await open(['--clients', clients, '--produce'])
  await using _ = gateway
  await using browser = await Browser.start()
  const { page } = browser
  await page.goto(`${url}/?start=earliest`)
  await page.getByLabel('Password or key').fill('planted-key-of-the-shop')
  browser.errors.length = 0
  await page.keyboard.press('Enter')
  await page.getByText('the last of mine').waitFor({ timeout: 60_000 })
  expect(await page.getByText('a record of mine').count()).toBe(1)
  expect(await page.getByText('a record of others').count()).toBe(0)
  expect(await page.locator('.scope').textContent()).toBe(`You may read: topic ${topic} · key mine`)
  expect(await page.locator('#views a').allTextContents()).toEqual(['Records', 'Topics'])
  await page.goto(url)
  await isLive(browser)
  await page.goto(`${url}/?view=topics`)
  await page.getByRole('link', { name: topic }).waitFor()
  expect(browser.errors).toEqual([])
  await page.goto(`${url}/docs`)
  await page.getByRole('link', { name: 'Open the console' }).click()
  await page.locator('.scope').waitFor()
  await page.goto(`${url}/metrics`)
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByText('You are logged out.').waitFor()
  expect(gateway.stdout + gateway.stderr).not.toContain('planted')
}, 120_000)

test('a session that ends under an open page is told there, and a click away from the login', async () => {
  const { gateway, url } = await open(['--clients', clients])
  await using _ = gateway
  await using browser = await Browser.start()
  const { page } = browser
  await page.goto(url)
  await page.getByLabel('Password or key').fill('planted-key-of-bob')
  await page.keyboard.press('Enter')
  await isLive(browser)
  await page.context().clearCookies()
  await page.getByRole('button', { name: 'Log in again' }).click({ timeout: 60_000 })
  await page.getByLabel('Password or key').waitFor()
}, 120_000)

test('the users of an issuer log in there and come back to their view', async () => {
  const port = await freePort()
  const callback = `http://localhost:${port}/login/callback`
  await using issuer = await TestIssuer.start(callback, 'planted-client-secret')
  const { gateway } = await open(
    [
      ...['--port', String(port), '--host', 'localhost'],
      ...['--oidc-issuer', issuer.url, '--oidc-client-id', 'gateway', '--log-level', 'debug'],
    ],
    { OIDC_CLIENT_SECRET: 'planted-client-secret' },
  )
  await using _ = gateway
  // Content security policies would refuse the script that axe is.
  await using browser = await Browser.start({ bypassCSP: true })
  const { page } = browser
  await page.goto(`http://localhost:${port}/?from=a#there`)
  const findings = async () => {
    const found: string[] = []
    for (const [width, theme] of THEMES_AND_WIDTHS) {
      await dress(page, width, theme)
      found.push(...(await axeFindings(page)))
    }
    return found
  }
  expect(await findings()).toEqual([])
  await page.getByRole('link', { name: 'Log in with localhost' }).click()
  await page.getByRole('link', { name: 'Cancel' }).click()
  await page.getByText('Cannot log in: it was cancelled at').waitFor()
  expect(await findings()).toEqual([])
  await page.getByRole('link', { name: 'Try again with localhost' }).click()
  await page.getByPlaceholder('Enter any login').fill('mia')
  await page.getByPlaceholder('and password').fill('any')
  await page.getByRole('button', { name: 'Sign-in' }).click()
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.waitForURL(`http://localhost:${port}/?from=a#there`)
  await isLive(browser)
  expect(await page.locator('.account').textContent()).toBe('mia@example.test')
  expect(gateway.stdout + gateway.stderr).not.toContain('planted')
}, 120_000)
