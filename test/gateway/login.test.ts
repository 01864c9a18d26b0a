/** Logging in with a browser, by what it sends: forms and sessions. */
import { describe, expect, setSystemTime, test } from 'bun:test'
import type { Context } from 'hono'
import { SignJWT } from 'jose'
import { createGateway } from '../../src/gateway/app.ts'
import type { GuardOptions } from '../../src/gateway/auth/guard.ts'
import { localPath } from '../../src/gateway/login/login.ts'
import { stopClock } from '../support/clock.ts'
import {
  CLIENTS,
  Cookies,
  gatewayOf,
  HOUR_MS,
  make,
  ORIGIN,
  PAGE,
  SECRET,
  SESSIONS,
} from './login-client.ts'

describe('the login page', () => {
  test('answers a browser’s page at its own address, and nothing else', async () => {
    const browser = gatewayOf()
    const page = await browser.ask('/?topic=a"b', { headers: PAGE })
    expect(page.status).toBe(401)
    expect(page.headers.get('www-authenticate')).toBe('Bearer realm="hono-kafka-consume"')
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(page.headers.get('cache-control')).toBe('no-store')
    expect(page.text).toContain('value="/?topic=a%22b"')
    const program = await browser.ask('/messages')
    expect(program.status).toBe(401)
    expect(JSON.parse(program.text).code).toBe('UNAUTHENTICATED')
    const posted = await browser.ask('/messages', { method: 'POST', headers: PAGE })
    expect(posted.text).toStartWith('{')
  })

  test.each<[string, GuardOptions, string[]]>([
    ['passwords and keys', {}, ['name="name"', 'Password or key']],
    ['keys', { clients: CLIENTS.slice(1) }, ['Key <input']],
    ['passwords', { clients: CLIENTS.slice(0, 1) }, ['name="name"', 'Password <input']],
  ])('asks for %s where these are accepted', async (_, options, expected) => {
    const { text } = await gatewayOf(options).ask('/login')
    for (const each of expected) expect(text).toContain(each)
    expect(text.includes('name="name"')).toBe(expected.includes('name="name"'))
  })

  test('is not there where no credentials are required, or where it is switched off', async () => {
    const open = new Cookies(
      createGateway(
        {
          cluster: { brokers: ['k:1'], topics: ['t'] },
          guard: { limits: { minute: 9 } },
          sessions: SESSIONS,
        },
        make,
      ),
    )
    expect((await open.ask('/login')).status).toBe(404)
    const off = gatewayOf({}, ORIGIN, { sessions: undefined })
    expect((await off.ask('/', { headers: PAGE })).headers.get('www-authenticate')).toStartWith(
      'Basic',
    )
  })

  test('does not tell a client of the settings apart from an unknown one', async () => {
    const browser = gatewayOf()
    const known = await browser.logIn({ name: 'ann', secret: 'wrong' })
    const unknown = await browser.logIn({ name: 'eve', secret: 'wrong' })
    expect(known.status).toBe(401)
    expect(known.text).toContain('Cannot log in: this name or password is wrong, or no longer good')
    expect(unknown.text.replace('"eve"', '"ann"').replaceAll(/nonce="[^"]*"/g, '')).toBe(
      known.text.replaceAll(/nonce="[^"]*"/g, ''),
    )
    expect(browser.held.size).toBe(0)
  })

  test.each<[string, RequestInit, number]>([
    ['a form of 70,000 bytes', { body: new URLSearchParams({ secret: 'x'.repeat(70_000) }) }, 400],
    ['JSON', { body: '{}', headers: { 'content-type': 'application/json' } }, 400],
    ['nothing', {}, 400],
    ['an empty form', { body: new URLSearchParams({}) }, 401],
  ])('refuses %s', async (_, init, status) => {
    const answer = await gatewayOf().ask('/login', { method: 'POST', ...(init as object) })
    expect(answer.status).toBe(status)
    expect(answer.text).toContain('Cannot log in: ')
  })

  test('counts failed logins by address, where requests are limited', async () => {
    const browser = gatewayOf({ limits: { hour: 2 } })
    for (const status of [401, 401, 429, 429]) {
      expect((await browser.logIn({ name: 'ann', secret: 'wrong' })).status).toBe(status)
    }
  })
})

describe('guessed passwords', () => {
  const RIGHT = { name: 'ann', secret: 'planted-of-ann' }
  const WRONG = { name: 'ann', secret: 'wrong' }
  const basic = (name: string, password: string, from = 'a') => ({
    headers: { authorization: `Basic ${btoa(`${name}:${password}`)}`, 'x-from': from },
  })

  test('have to wait after five failures, and so has the right one, by the form and by the header', async () => {
    using clock = stopClock()
    const browser = gatewayOf()
    for (let each = 0; each < 3; each++) expect((await browser.logIn(WRONG)).status).toBe(401)
    for (let each = 0; each < 2; each++) {
      expect((await browser.ask('/messages', basic('ann', 'wrong'))).status).toBe(401)
    }
    const waiting = await browser.logIn(RIGHT)
    expect(waiting.status).toBe(429)
    expect(waiting.text).toContain('too many attempts have failed; try again in 1 s')
    expect(waiting.headers.get('retry-after')).toBe('1')
    expect(browser.held.size).toBe(0)
    expect((await browser.ask('/messages', basic('ann', RIGHT.secret))).status).toBe(429)
    // Other names, and keys, do not wait.
    expect((await browser.logIn({ secret: 'planted-key-of-bob' })).status).toBe(303)
    clock.pass(1_000)
    expect((await browser.logIn(WRONG)).status).toBe(401)
    // Each failure doubles the wait.
    clock.pass(1_999)
    expect((await browser.logIn(RIGHT)).status).toBe(429)
    clock.pass(1)
    expect((await browser.logIn(RIGHT)).status).toBe(303)
    // A success ends the count.
    for (let each = 0; each < 5; each++) expect((await browser.logIn(WRONG)).status).toBe(401)
    expect((await browser.logIn(WRONG)).status).toBe(429)
    browser.gateway.replaceClients(CLIENTS)
    expect((await browser.logIn(RIGHT)).status).toBe(303)
  })

  test('count when they come at one time, too', async () => {
    using _ = stopClock()
    const browser = gatewayOf()
    const answers = await Promise.all(Array.from({ length: 30 }, () => browser.logIn(WRONG)))
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(5)
    const guesses = Array.from({ length: 30 }, () => browser.logIn({ secret: 'guess' }))
    const keys = (await Promise.all(guesses)).filter(({ status }) => status === 401)
    expect(keys).toHaveLength(5)
  })

  test('count by address, so that nobody else keeps a user out', async () => {
    using _ = stopClock()
    const addressOf = (c: Context) => c.req.header('x-from') ?? 'b'
    const browser = gatewayOf({}, ORIGIN, { sessions: SESSIONS, addressOf })
    for (const status of [401, 401, 401, 401, 401, 429]) {
      expect((await browser.ask('/messages', basic('ann', 'wrong', 'evil'))).status).toBe(status)
    }
    expect((await browser.logIn(RIGHT)).status).toBe(303)
  })
})

describe('the address after a login', () => {
  test.each([
    [undefined, '/'],
    ['/?a=1#b', '/?a=1#b'],
    ['/topics/a%2Fb', '/topics/a%2Fb'],
    ['//evil.test/', '/'],
    ['/\\evil.test/', '/'],
    ['/.//evil.test/', '/'],
    ['/\t/evil.test/', '/'],
    ['/a\r\nSet-Cookie: kafka-session=x', '/aSet-Cookie:%20kafka-session=x'],
    ['/@evil.test', '/@evil.test'],
    ['///evil.test', '/'],
    ['/%2F/evil.test', '/%2F/evil.test'],
    ['', '/'],
    ['https://evil.test/', '/'],
    ['javascript:alert(1)', '/'],
    ['topics', '/'],
  ])('%j is %j', (next, expected) => {
    expect(localPath(next)).toBe(expected)
  })
})

describe('a session', () => {
  test('is that of the client whose password or key was given', async () => {
    const browser = gatewayOf()
    const answer = await browser.logIn({
      name: 'ann',
      secret: 'planted-of-ann',
      next: '/?topic=a#b',
    })
    expect([answer.status, answer.location]).toEqual([303, '/?topic=a#b'])
    const [, value = ''] =
      /^kafka-session=([^;]+); Max-Age=3600; Path=\/; HttpOnly; SameSite=Lax$/.exec(
        browser.set[0] ?? '',
      ) ?? []
    expect(value).not.toBe('')
    expect(await browser.name()).toBe('ann')
    expect((await browser.ask('/status')).status).toBe(200)
    const before = Date.now()
    await browser.logIn({ name: '', secret: 'planted-key-of-the-shop' })
    const { text } = await browser.ask('/messages')
    const { until, ...client } = JSON.parse(text)
    expect(client).toEqual({ name: 'shop', only: { topics: ['t'] }, credentialHeaders: ['cookie'] })
    // Streams end with the session.
    expect(Math.abs(until - before - HOUR_MS)).toBeLessThan(5_000)
  })

  test('over HTTPS is kept in a cookie that only this host over HTTPS can set', async () => {
    for (const [origin, headers] of [
      ['https://gateway.test', {}],
      [ORIGIN, { 'x-forwarded-proto': 'https' }],
    ] as const) {
      const browser = gatewayOf({}, origin)
      await browser.logIn({ secret: 'planted-key-of-bob' }, headers)
      expect(browser.set[0]).toMatch(
        /^__Host-kafka-session=[^;]+; Max-Age=3600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
      )
      expect((await browser.ask('/status', { headers })).status).toBe(200)
    }
  })

  test('ends by logging out, also for a copy of its cookie', async () => {
    const browser = gatewayOf()
    await browser.logIn({ secret: 'planted-key-of-bob' })
    const copy = new Map(browser.held)
    const out = await browser.ask('/logout', { method: 'POST' })
    expect(out.status).toBe(200)
    expect(browser.held.size).toBe(0)
    for (const [name, value] of copy) browser.held.set(name, value)
    expect(await browser.name()).toBeUndefined()
    expect((await browser.ask('/', { headers: PAGE })).text).toContain('Your session has ended.')
  })

  test('ends with its time, and when its client is changed or removed', async () => {
    const browser = gatewayOf()
    await browser.logIn({ secret: 'planted-key-of-the-shop' })
    const [shop] = CLIENTS.slice(2)
    browser.gateway.replaceClients(CLIENTS)
    expect(await browser.name()).toBe('shop')
    browser.gateway.replaceClients([{ ...shop, name: 'shop', only: { topics: ['other'] } }])
    expect(await browser.name()).toBeUndefined()
    browser.gateway.replaceClients(CLIENTS.slice(0, 2))
    expect(await browser.name()).toBeUndefined()
    browser.gateway.replaceClients(CLIENTS)
    setSystemTime(Date.now() + HOUR_MS + 1_000)
    try {
      expect(await browser.name()).toBeUndefined()
    } finally {
      setSystemTime()
    }
  })

  test('is good on every node with its secret, and on no other one', async () => {
    const browser = gatewayOf()
    await browser.logIn({ secret: 'planted-key-of-bob' })
    const onNode = (node: Cookies) => {
      for (const [name, value] of browser.held) node.held.set(name, value)
      return node.name()
    }
    expect(await onNode(gatewayOf())).toBe('bob')
    for (const secret of [undefined, `${SECRET}-other`]) {
      const other = gatewayOf({}, ORIGIN, { sessions: { maxAge: HOUR_MS, secret } })
      expect(await onNode(other)).toBeUndefined()
    }
  })

  test('that was tampered with is none', async () => {
    const browser = gatewayOf()
    await browser.logIn({ secret: 'planted-key-of-bob' })
    const sealed = browser.held.get('kafka-session') ?? ''
    const forged = await new SignJWT({ jti: '1', sub: 'bob' })
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(SECRET))
    const parts = sealed.split('.')
    for (const value of [
      '',
      'x',
      forged,
      `${sealed.slice(0, -4)}AAAA`,
      [...parts.slice(0, 3), 'AAAA', parts[4]].join('.'),
      browser.held.get('kafka-login') ?? 'a.b.c.d.e',
    ]) {
      browser.held.set('kafka-session', value)
      expect(await browser.name()).toBeUndefined()
    }
  })

  test('counts on the gateway’s own pages only; links from elsewhere open the console and no reads', async () => {
    const browser = gatewayOf({ corsOrigins: ['https://shop.test'] })
    const foreign = { origin: 'https://shop.test', 'sec-fetch-site': 'cross-site' }
    const link = { ...PAGE, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }
    expect((await browser.logIn({ secret: 'planted-key-of-bob' }, foreign)).status).toBe(403)
    expect(browser.held.size).toBe(0)
    await browser.logIn({ secret: 'planted-key-of-bob' }, { 'sec-fetch-site': 'same-origin' })
    for (const headers of [foreign, { origin: 'null' }, { referer: 'https://evil.test/' }, link]) {
      expect((await browser.ask('/messages', { headers })).status).toBe(403)
      expect((await browser.ask('/logout', { method: 'POST', headers })).status).toBe(403)
    }
    expect((await browser.ask('/', { headers: link })).status).toBe(200)
    expect((await browser.ask('/docs', { headers: link })).status).toBe(200)
    expect((await browser.ask('/status', { headers: link })).status).toBe(403)
    expect(await browser.name()).toBe('bob')
  })

  test('yields to credentials in a header, and is kept out of records then, too', async () => {
    const browser = gatewayOf()
    await browser.logIn({ secret: 'planted-key-of-bob' })
    const headers = { authorization: 'Bearer planted-key-of-the-shop' }
    const { text } = await browser.ask('/messages', { headers })
    expect(JSON.parse(text)).toMatchObject({
      name: 'shop',
      credentialHeaders: ['authorization', 'cookie'],
    })
  })
})
