/** Logging in with a browser as a consumer of Kong's configuration. */
import { describe, expect, setSystemTime, test } from 'bun:test'
import { SignJWT } from 'jose'
import { createGateway, type GatewayOptions } from '../../src/gateway/app.ts'
import type { KafkaRoute } from '../../src/gateway/supervisor.ts'
import { clientOf } from '../../src/http/request/client.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import { CLIENTS, Cookies, HOUR_MS, ORIGIN, PAGE, SESSIONS } from '../gateway/login-client.ts'
import { idleHandler } from '../unit/fakes.ts'

/** How many streams have been opened. */
let streams = 0

/** A route that answers with its client, and whose streams never end by themselves. */
function make(): KafkaRoute {
  return Object.assign(
    (c: Parameters<KafkaRoute>[0]) => {
      const { name, until, credentialHeaders, forwardedCredentials, openStream } = clientOf(c)
      if (c.req.query('stream') !== undefined) {
        const ended = Promise.withResolvers<Response>()
        openStream?.(() => ended.resolve(new Response('ended')))
        streams++
        return ended.promise
      }
      return Promise.resolve(c.json({ name, until, credentialHeaders, forwardedCredentials }))
    },
    {
      start: async () => undefined,
      outage: () => undefined,
      ...idleHandler,
      close: async () => undefined,
    },
  )
}

const KAFKA =
  '{name: kafka-consume, config: {bootstrap_servers: [{host: k, port: 1}], topics: [{name: t}]}}'
const ROUTES = `
routes:
- {name: key, paths: [/key], plugins: [${KAFKA}, {name: key-auth}]}
- {name: basic, paths: [/basic], plugins: [${KAFKA}, {name: basic-auth}]}
- {name: token, paths: [/token], plugins: [${KAFKA}, {name: jwt, config: {claims_to_verify: [exp]}}]}
- {name: all, paths: [/all], plugins: [${KAFKA}, {name: key-auth}, {name: basic-auth}]}
- {name: any, paths: [/any], plugins: [${KAFKA}, {name: key-auth, config: {anonymous: guest}}]}
`
const SECRET = 'planted-secret-of-tokens-of-32-characters'
const CONSUMERS = `
consumers:
- username: ann
  keyauth_credentials: [{key: planted-of-ann}]
  basicauth_credentials: [{username: anna, password: planted-password}]
  jwt_secrets: [{key: shop, secret: ${SECRET}}]
- username: guest
`

async function open(document: string, options: GatewayOptions = {}, origin = ORIGIN) {
  const gateway = createGateway({ sessions: SESSIONS, ...options }, make)
  const load = async (text: string) =>
    gateway.apply(
      await readDeclarative(`_format_version: "3.0"\n${text}`, {
        environment: {},
        ignoreUnknown: false,
      }),
    )
  await load(document)
  const browser = new Cookies(gateway, origin)
  const at = async (path: string, headers: Record<string, string> = {}) => {
    const { status, text } = await browser.ask(path, { headers })
    return status === 200 ? JSON.parse(text) : status
  }
  return { browser, load, at }
}

const token = (claims: Record<string, unknown> = {}) =>
  new SignJWT({ iss: 'shop', exp: Math.floor(Date.now() / 1_000) + 600, ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(SECRET))

describe('the form', () => {
  test.each<[string, () => Promise<Record<string, string>>, string]>([
    ['a key', async () => ({ secret: 'planted-of-ann' }), '/key'],
    ['a name and a password', async () => ({ name: 'anna', secret: 'planted-password' }), '/basic'],
    ['a token', async () => ({ secret: await token() }), '/token'],
  ])(
    'takes %s, and the session has the rights of that credential and no others',
    async (_, form, path) => {
      const { browser, at } = await open(ROUTES + CONSUMERS)
      expect(await at(path)).toBe(401)
      const answer = await browser.logIn({ ...(await form()), next: '/?view=topics' })
      expect([answer.status, answer.location]).toEqual([303, '/?view=topics'])
      expect(browser.set[0]).toMatch(
        /^kafka-consumer-session=[^;]+; Max-Age=\d+; Path=\/; HttpOnly; SameSite=Lax$/,
      )
      for (const each of ['/key', '/basic', '/token']) {
        expect((await at(each)).name).toBe(each === path ? 'ann' : undefined)
      }
      // One credential does not pass a route that requires two.
      expect(await at('/all')).toBe(401)
      expect((await at('/any')).name).toBe(path === '/key' ? 'ann' : 'guest')
    },
  )

  test.each<[string, Record<string, string>]>([
    ['a wrong key', { secret: 'planted-of-an' }],
    ['a wrong password', { name: 'anna', secret: 'planted' }],
    ['the name of a consumer', { name: 'ann', secret: 'planted-password' }],
    ['a key as a password', { name: 'ann', secret: 'planted-of-ann' }],
    ['a token of another issuer', { secret: 'eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ4In0.AAAA' }],
  ])('refuses %s', async (_, form) => {
    const { browser } = await open(ROUTES + CONSUMERS)
    const answer = await browser.logIn(form)
    expect(answer.status).toBe(401)
    expect(answer.text).toContain('Cannot log in: ')
    expect(browser.held.size).toBe(0)
  })

  test('refuses a token that has expired or is not valid yet where a plugin verifies that', async () => {
    const { browser } = await open(ROUTES + CONSUMERS)
    const past = Math.floor(Date.now() / 1_000) - 60
    expect((await browser.logIn({ secret: await token({ exp: past }) })).status).toBe(401)
  })

  test('asks for what the plugins accept, and is not there without such plugins', async () => {
    const keys = `routes: [{paths: [/key], plugins: [${KAFKA}, {name: key-auth}]}]`
    const { browser, load } = await open(keys)
    const { text } = await browser.ask('/login')
    expect(text).toContain('Key <input')
    expect(text).not.toContain('name="name"')
    await load(`routes: [{paths: [/open], plugins: [${KAFKA}]}]`)
    expect((await browser.ask('/login')).status).toBe(404)
    await load(keys)
    const off = new Cookies(createGateway({}, make))
    off.gateway.apply(
      await readDeclarative(`_format_version: "3.0"\n${keys}`, {
        environment: {},
        ignoreUnknown: false,
      }),
    )
    expect((await off.ask('/login')).status).toBe(404)
  })

  test('leaves its paths to a route that has them', async () => {
    const { browser } = await open(
      `routes: [{paths: [/login], plugins: [${KAFKA}, {name: key-auth}]}]${CONSUMERS}`,
    )
    const answer = await browser.ask('/login')
    expect(JSON.parse(answer.text)).toMatchObject({ message: 'No API key found in request' })
    // The page to log in would post to that route.
    expect((await browser.ask('/', { headers: PAGE })).text).not.toContain('id="login"')
  })

  test('counts failed passwords as the plugin does for the header', async () => {
    const config = 'config: {brute_force_protection: {strategy: memory}}'
    const { browser, at } = await open(
      `routes: [{paths: [/basic], plugins: [${KAFKA}, {name: basic-auth, ${config}}]}]${CONSUMERS}`,
    )
    const wrong = { authorization: `Basic ${btoa('anna:wrong')}` }
    expect(await at('/basic', wrong)).toBe(401)
    expect((await browser.logIn({ name: 'anna', secret: 'wrong' })).status).toBe(401)
    const third = await browser.logIn({ name: 'anna', secret: 'wrong' })
    expect(third.status).toBe(429)
    expect(Number(third.headers.get('retry-after'))).toBeGreaterThan(0)
    // The right password has to wait, too, by the form and by the header.
    const right = await browser.logIn({ name: 'anna', secret: 'planted-password' })
    expect(right.status).toBe(429)
    expect(await at('/basic', { authorization: `Basic ${btoa('anna:planted-password')}` })).toBe(
      429,
    )
  })
})

describe('a session of a consumer', () => {
  test('ends when its credential or consumer is changed or removed, and not by other changes', async () => {
    const { browser, load, at } = await open(ROUTES + CONSUMERS)
    await browser.logIn({ secret: 'planted-of-ann' })
    await load(`${ROUTES}${CONSUMERS}- username: carl\n`)
    expect((await at('/key')).name).toBe('ann')
    for (const changed of [
      CONSUMERS.replace('planted-of-ann', 'planted-other'),
      CONSUMERS.replace('  keyauth_credentials: [{key: planted-of-ann}]', ''),
      'consumers: [{username: guest}]',
      CONSUMERS.replace('  keyauth_credentials: [{key: planted-of-ann}]', '').replace(
        '- username: guest',
        '- {username: guest, keyauth_credentials: [{key: planted-of-ann}]}',
      ),
    ]) {
      await load(ROUTES + changed)
      expect(await at('/key')).toBe(401)
    }
    await load(ROUTES + CONSUMERS)
    expect((await at('/key')).name).toBe('ann')
  })

  test('ends with the ttl of its key, with the exp of its token, and with its own time', async () => {
    const ttl = CONSUMERS.replace('{key: planted-of-ann}', '{key: planted-of-ann, ttl: 60}')
    const { browser, at } = await open(ROUTES + ttl)
    const soon = (until: number) => Math.abs(until - Date.now())
    await browser.logIn({ secret: 'planted-of-ann' })
    expect(soon((await at('/key')).until - 60_000)).toBeLessThan(5_000)
    await browser.logIn({ secret: await token() })
    expect(soon((await at('/token')).until - 600_000)).toBeLessThan(5_000)
    await browser.logIn({ name: 'anna', secret: 'planted-password' })
    expect(soon((await at('/basic')).until - HOUR_MS)).toBeLessThan(5_000)
    setSystemTime(Date.now() + HOUR_MS + 1_000)
    try {
      expect(await at('/basic')).toBe(401)
    } finally {
      setSystemTime()
    }
  })

  test('and streams by the header end when the credential is removed', async () => {
    const { browser, load } = await open(ROUTES + CONSUMERS)
    await browser.logIn({ secret: 'planted-of-ann' })
    streams = 0
    const bySession = browser.ask('/key?stream')
    const byHeader = browser.gateway.app.request(`${ORIGIN}/key?stream`, {
      headers: { apikey: 'planted-of-ann' },
    })
    while (streams < 2) await Bun.sleep(1)
    await load(`${ROUTES}${CONSUMERS}- username: carl\n`)
    expect(await Promise.race([bySession, byHeader, Bun.sleep(20)])).toBeUndefined()
    await load(`${ROUTES}consumers: [{username: ann}, {username: guest}]`)
    expect((await bySession).text).toBe('ended')
    expect(await (await byHeader).text()).toBe('ended')
  })

  test('yields to the request’s own credentials, and its cookie reaches no record', async () => {
    const { browser, at } = await open(
      `${ROUTES}${CONSUMERS}- {username: bob, keyauth_credentials: [{key: planted-of-bob}]}\n`,
    )
    await browser.logIn({ secret: 'planted-of-ann' })
    expect(await at('/key')).toMatchObject({
      name: 'ann',
      credentialHeaders: ['cookie'],
      forwardedCredentials: [],
    })
    expect(await at('/key', { apikey: 'planted-of-bob' })).toMatchObject({
      name: 'bob',
      credentialHeaders: ['cookie', 'apikey'],
    })
    expect(await at('/key', { apikey: 'planted-wrong' })).toBe(401)
  })

  test('keeps its cookie out of records of the gateway’s own routes, which no plugin guards', async () => {
    const { browser } = await open(ROUTES + CONSUMERS, {
      cluster: { brokers: ['k:1'], topics: ['t'] },
    })
    await browser.logIn({ secret: 'planted-of-ann' })
    const { text } = await browser.ask('/messages')
    expect(JSON.parse(text)).toEqual({ credentialHeaders: ['cookie'] })
  })

  test('keeps its cookie out of records also where a plugin forwards cookies', async () => {
    const cookies = '{name: jwt, config: {cookie_names: [t]}}'
    const { browser } = await open(
      `routes: [{paths: [/token], plugins: [${KAFKA}, ${cookies}]}]${CONSUMERS}`,
    )
    const form = { secret: await token() }
    await browser.logIn(form)
    browser.held.set('t', form.secret)
    const { text } = await browser.ask('/token')
    expect(JSON.parse(text)).toMatchObject({ name: 'ann', forwardedCredentials: [] })
  })

  test('counts for rate-limiting together with the header', async () => {
    const limit = '{name: rate-limiting, config: {hour: 2}}'
    const { browser, at } = await open(
      `routes: [{paths: [/key], plugins: [${KAFKA}, {name: key-auth}, ${limit}]}]${CONSUMERS}`,
    )
    await browser.logIn({ secret: 'planted-of-ann' })
    expect((await at('/key')).name).toBe('ann')
    expect((await at('/key', { apikey: 'planted-of-ann' })).name).toBe('ann')
    expect(await at('/key')).toBe(429)
  })

  test('counts on the gateway’s own pages only', async () => {
    const { browser, at } = await open(ROUTES + CONSUMERS)
    const foreign = { origin: 'https://evil.test', 'sec-fetch-site': 'cross-site' }
    expect((await browser.logIn({ secret: 'planted-of-ann' }, foreign)).status).toBe(403)
    await browser.logIn({ secret: 'planted-of-ann' })
    for (const headers of [foreign, { origin: 'null' }, { referer: 'https://evil.test/' }]) {
      expect(await at('/key', headers)).toBe(403)
      expect((await browser.ask('/logout', { method: 'POST', headers })).status).toBe(403)
    }
    expect((await at('/key', { 'sec-fetch-site': 'same-origin' })).name).toBe('ann')
  })

  test('ends by logging out, also for a copy of its cookie', async () => {
    const { browser, at } = await open(ROUTES + CONSUMERS)
    await browser.logIn({ secret: 'planted-of-ann' })
    const copy = [...browser.held]
    expect((await browser.ask('/logout', { method: 'POST' })).status).toBe(200)
    expect(browser.held.size).toBe(0)
    for (const [name, value] of copy) browser.held.set(name, value)
    expect(await at('/key')).toBe(401)
  })
})

describe('the pages beside the routes', () => {
  const GUARDED = `plugins: [{name: key-auth}]\n${ROUTES}${CONSUMERS}`

  test('behind a plugin for all routes are the page to log in for browsers, at their own address', async () => {
    const { browser } = await open(GUARDED)
    const page = await browser.ask('/?view=topics', { headers: PAGE })
    expect(page.status).toBe(401)
    expect(page.text).toContain('value="/?view=topics"')
    expect(page.headers.get('www-authenticate')).toBe('Bearer realm="hono-kafka-consume"')
    const program = await browser.ask('/status')
    expect(JSON.parse(program.text).message).toBe('No API key found in request')
    await browser.logIn({ secret: 'planted-of-ann' })
    const link = { ...PAGE, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }
    const opened = await browser.ask('/', { headers: link })
    expect(opened.status).toBe(200)
    expect(opened.text).toContain('<span class="account">ann</span>')
    expect((await browser.ask('/status')).status).toBe(200)
    expect((await browser.ask('/status', { headers: link })).status).toBe(403)
  })

  test('say that a session has ended, or that its credentials do not open them', async () => {
    const { browser, load } = await open(GUARDED)
    await browser.logIn({ name: 'anna', secret: 'planted-password' })
    const other = await browser.ask('/', { headers: PAGE })
    expect(other.text).toContain('The credentials of your session do not open this page.')
    await load(`plugins: [{name: key-auth}]\n${ROUTES}consumers: [{username: guest}]`)
    expect((await browser.ask('/', { headers: PAGE })).text).toContain('Your session has ended.')
  })

  test('without such a plugin have a link to log in, and then the consumer’s name', async () => {
    const { browser } = await open(ROUTES + CONSUMERS)
    expect((await browser.ask('/')).text).toContain('<a id="login" href="/login">Log in</a>')
    await browser.logIn({ secret: 'planted-of-ann' })
    const { text } = await browser.ask('/')
    expect(text).toContain('<span class="account">ann</span>')
    expect(text).not.toContain('id="login"')
  })

  test('routes keep Kong’s own answers, also for browsers', async () => {
    const { browser } = await open(ROUTES + CONSUMERS)
    const { text, headers } = await browser.ask('/basic', { headers: PAGE })
    expect(JSON.parse(text)).toEqual({ message: 'Unauthorized', code: 'UNAUTHENTICATED' })
    expect(headers.get('www-authenticate')).toBe('Basic realm="service"')
  })

  test('behind the gateway’s own guard need both logins, one after the other', async () => {
    const { browser, at } = await open(GUARDED, { guard: { clients: CLIENTS } })
    const own = await browser.logIn({ name: 'ann', secret: 'planted-of-ann' })
    expect(own.status).toBe(303)
    expect(await at('/key')).toBe(401)
    await browser.logIn({ secret: 'planted-of-ann' })
    expect((await at('/key')).name).toBe('ann')
    await browser.ask('/logout', { method: 'POST' })
    expect(browser.held.size).toBe(0)
  })
})
