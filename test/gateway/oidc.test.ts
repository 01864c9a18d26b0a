/** Logging in at a real OIDC issuer, by the code flow with PKCE. */
import { describe, expect, setSystemTime, test } from 'bun:test'
import type { GuardOptions } from '../../src/gateway/auth/guard.ts'
import { type IssuerChoice, TestIssuer } from '../support/oidc-issuer.ts'
import { freePort } from '../support/port.ts'
import { until } from '../support/wait.ts'
import { GatewayProcess } from './gateway-process.ts'
import { type Cookies, gatewayOf, ORIGIN, PAGE } from './login-client.ts'

const callback = `${ORIGIN}/login/callback`

/** @returns The path with which the issuer sends the browser back. */
const atIssuer = async (issuer: TestIssuer, start: string | null, choice: IssuerChoice) =>
  (await issuer.visit(start ?? '', choice)).slice(ORIGIN.length)

const options = (issuer: string, rest: object = {}): GuardOptions => ({
  clients: undefined,
  oidc: { issuer, clientId: 'gateway', scopes: ['openid', 'profile'], ...rest },
})

describe('logging in by an OIDC issuer', () => {
  test.each([
    ['a public client', undefined],
    ['a client with a secret', 'planted-client-secret'],
  ])(
    'as %s begins a session of the user, by code and PKCE',
    async (_, clientSecret) => {
      await using issuer = await TestIssuer.start(callback, clientSecret)
      const browser = gatewayOf(options(issuer.url, { clientSecret }))
      const page = await browser.ask('/?topic=t', { headers: PAGE })
      expect(page.text).toContain('href="/login/oidc?next=%2F%3Ftopic%3Dt"')
      expect(page.text).not.toContain('<form')
      const begun = await browser.ask('/login/oidc?next=/%3Ftopic%3Dt')
      expect(begun.status).toBe(303)
      expect(Object.fromEntries(new URL(begun.location ?? '').searchParams)).toMatchObject({
        response_type: 'code',
        code_challenge_method: 'S256',
        redirect_uri: callback,
        scope: 'openid profile',
      })
      const answer = await atIssuer(issuer, begun.location, { user: 'mia' })
      const back = await browser.ask(answer, {
        headers: { ...PAGE, 'sec-fetch-site': 'cross-site' },
      })
      expect(back.status).toBe(200)
      expect(back.text).toContain('content="0; url=/?topic=t"')
      expect(await browser.name()).toBe('mia')
      // The code, and what belongs to it, are good once.
      expect((await browser.ask(answer)).status).toBe(401)
    },
    120_000,
  )

  test('gives the scope that the issuer’s claim names, and refuses a user without one', async () => {
    const only = { topics: ['t'], partitions: [1] }
    for (const [claims, expected] of [
      [{ kafka: only }, only],
      [{ kafka: 'all' }, undefined],
    ] as const) {
      await using issuer = await TestIssuer.start(callback, undefined, claims)
      const browser = gatewayOf(options(issuer.url, { claim: 'kafka' }))
      const { location } = await browser.ask('/login/oidc')
      const back = await browser.ask(await atIssuer(issuer, location, { user: 'mia' }))
      expect(back.status).toBe(expected ? 200 : 403)
      const { text } = await browser.ask('/messages')
      expect(JSON.parse(text).only).toEqual(expected)
    }
  }, 120_000)

  test('refuses an answer that belongs to no login of this browser, or to another one', async () => {
    await using issuer = await TestIssuer.start(callback, undefined)
    const attacker = gatewayOf(options(issuer.url))
    const { location } = await attacker.ask('/login/oidc')
    const answer = await atIssuer(issuer, location, { user: 'eve' })
    const victim = gatewayOf(options(issuer.url))
    expect((await victim.ask(answer)).status).toBe(401)
    await victim.ask('/login/oidc')
    const back = await victim.ask(answer)
    expect(back.status).toBe(401)
    expect(back.text).toContain('is not valid')
    expect(await victim.name()).toBeUndefined()
    const link = { 'sec-fetch-site': 'cross-site' }
    expect((await victim.ask('/login/oidc?next=/messages', { headers: link })).status).toBe(403)
  }, 120_000)
})

describe('a login by an OIDC issuer that fails shows a page with the reason and a way to try again', () => {
  /** Expects a page for people, whose link begins another login for the same address. */
  const expectPage = (
    { status, text, headers }: Awaited<ReturnType<Cookies['ask']>>,
    expected: { status: number; error: string; host: string; next?: string },
  ) => {
    const { host, next = '/?topic=t' } = expected
    expect(headers.get('content-type')).toStartWith('text/html')
    expect(headers.get('cache-control')).toBe('no-store')
    const [, error = ''] = /id="error">([^<]+)</.exec(text) ?? []
    expect({ status, error: error.replaceAll('&#39;', "'") }).toEqual({
      status: expected.status,
      error: `Cannot log in: ${expected.error}`,
    })
    const link = `href="/login/oidc?next=${encodeURIComponent(next)}">Try again with ${host}</a>`
    expect(text).toContain(link)
  }

  const begin = async (issuer: string, rest: object = {}) => {
    const browser = gatewayOf(options(issuer, rest))
    const begun = await browser.ask('/login/oidc?next=/%3Ftopic%3Dt')
    return { browser, begun, location: begun.location ?? '', host: new URL(issuer).host }
  }

  test('while the issuer is away at the start, and the next attempt succeeds when it is back', async () => {
    const port = await freePort()
    const { browser, begun, host } = await begin(`http://localhost:${port}`)
    expectPage(begun, { status: 503, error: `${host} cannot be reached`, host })
    expect(begun.headers.get('retry-after')).toBe('5')
    await using issuer = await TestIssuer.start(callback, undefined, {}, { port })
    const { location } = await browser.ask('/login/oidc')
    expect((await browser.ask(await atIssuer(issuer, location, { user: 'mia' }))).status).toBe(200)
    expect(await browser.name()).toBe('mia')
  }, 120_000)

  test('when the issuer goes away while its user logs in', async () => {
    const issuer = await TestIssuer.start(callback, undefined)
    const { browser, location, host } = await begin(issuer.url)
    const answer = await atIssuer(issuer, location, { user: 'mia' })
    await issuer[Symbol.asyncDispose]()
    const back = await browser.ask(answer)
    expectPage(back, { status: 503, error: `${host} cannot be reached`, host })
    expect(browser.held.has('kafka-session')).toBe(false)
  }, 120_000)

  test('when the address is that of another server', async () => {
    await using issuer = await TestIssuer.start(callback, undefined)
    const { begun, host } = await begin(`${issuer.url}/other`)
    const error = `${host} does not answer as an OpenID Connect issuer of this address`
    expectPage(begun, { status: 503, error, host })
  }, 120_000)

  test('when the user cancels, or does not consent', async () => {
    await using issuer = await TestIssuer.start(callback, undefined)
    const { browser, location, host } = await begin(issuer.url)
    const back = await browser.ask(await atIssuer(issuer, location, 'cancel'))
    const error = `it was cancelled at ${host}, or ${host} does not allow it`
    expectPage(back, { status: 401, error, host })
  }, 120_000)

  test('when the issuer answers with an error', async () => {
    await using issuer = await TestIssuer.start(callback, undefined)
    for (const [code, status, state] of [
      ['temporarily_unavailable', 503, 'cannot log users in now'],
      ['invalid_scope', 401, 'answered invalid_scope'],
      ['<b>', 401, 'answered &lt;b&gt;'],
    ] as const) {
      const { browser, location, host } = await begin(issuer.url)
      const given = new URL(location).searchParams.get('state') ?? ''
      const answer = new URLSearchParams({ error: code, state: given, iss: issuer.url })
      const back = await browser.ask(`/login/callback?${answer}`)
      expectPage(back, { status, error: `${host} ${state}`, host })
    }
  }, 120_000)

  test('when the attempt is too old, or is not there', async () => {
    await using issuer = await TestIssuer.start(callback, undefined)
    const { browser, location, host } = await begin(issuer.url)
    const answer = await atIssuer(issuer, location, { user: 'mia' })
    const error = 'it took too long, or was begun again in another tab'
    setSystemTime(Date.now() + 601_000)
    try {
      expectPage(await browser.ask(answer), { status: 401, error, host, next: '/' })
    } finally {
      setSystemTime()
    }
    expectPage(await browser.ask(answer), { status: 401, error, host, next: '/' })
  }, 120_000)

  test('when the ID token belongs to another login', async () => {
    await using issuer = await TestIssuer.start(callback, undefined)
    const { browser, location, host } = await begin(issuer.url)
    const other = new URL(location)
    other.searchParams.set('nonce', 'another')
    const back = await browser.ask(await atIssuer(issuer, other.href, { user: 'mia' }))
    expectPage(back, { status: 401, error: `the answer of ${host} belongs to another login`, host })
    expect(await browser.name()).toBeUndefined()
  }, 120_000)

  test('when the issuer’s clock is far behind', async () => {
    const onTokens = () => setSystemTime(Date.now() + 7_200_000)
    await using issuer = await TestIssuer.start(callback, undefined, {}, { onTokens })
    const { browser, location, host } = await begin(issuer.url)
    const answer = await atIssuer(issuer, location, { user: 'mia' })
    const back = await browser.ask(answer).finally(() => setSystemTime())
    const error = `the token of ${host} is out of date; its clock and that of this gateway may differ`
    expectPage(back, { status: 401, error, host })
  }, 120_000)

  test('when the issuer does not know the gateway’s secret, or the code is used already', async () => {
    await using issuer = await TestIssuer.start(callback, 'planted-client-secret')
    const wrong = await begin(issuer.url, { clientSecret: 'planted-other-secret' })
    const { host } = wrong
    const refused = await wrong.browser.ask(await atIssuer(issuer, wrong.location, { user: 'mia' }))
    const error = `${host} does not accept this gateway's client id or secret`
    expectPage(refused, { status: 401, error, host })

    const { browser, location } = await begin(issuer.url, { clientSecret: 'planted-client-secret' })
    const attempt = browser.held.get('kafka-login') ?? ''
    const answer = await atIssuer(issuer, location, { user: 'mia' })
    expect((await browser.ask(answer)).status).toBe(200)
    browser.held.set('kafka-login', attempt)
    const used = `the login at ${host} was used already, or took too long`
    expectPage(await browser.ask(answer), { status: 401, error: used, host })
  }, 120_000)

  test('when a page of another site began it', async () => {
    await using issuer = await TestIssuer.start(callback, undefined)
    const browser = gatewayOf(options(issuer.url))
    const link = { 'sec-fetch-site': 'cross-site' }
    const refused = await browser.ask('/login/oidc?next=/messages', { headers: link })
    const { host } = new URL(issuer.url)
    const error = 'the request is from a page of another site'
    expectPage(refused, { status: 403, error, host, next: '/' })
  })
})

test('with two threads a login begins, ends and is logged out of whichever thread answers', async () => {
  const port = await freePort()
  const own = `http://127.0.0.1:${port}`
  await using issuer = await TestIssuer.start(`${own}/login/callback`, undefined)
  const gateway = GatewayProcess.spawn(
    [
      ...['--host', '127.0.0.1', '--port', String(port), '--admin-port', 'off'],
      ...['--oidc-issuer', issuer.url, '--oidc-client-id', 'gateway'],
    ],
    { WORKERS: '2' },
  )
  await using _ = gateway
  await gateway.url()
  // Each request has a connection of its own, which either thread may accept.
  const ask = (path: string, cookie = '', method = 'GET') =>
    fetch(`${own}${path}`, {
      method,
      headers: { cookie, connection: 'close' },
      redirect: 'manual',
    })
  const cookieOf = (answer: Response, name: string) =>
    answer.headers
      .getSetCookie()
      .find((line) => line.startsWith(`${name}=`))
      ?.split(';')[0] ?? ''
  for (let each = 0; each < 6; each++) {
    const begun = await ask('/login/oidc')
    const answer = await issuer.visit(begun.headers.get('location') ?? '', { user: 'mia' })
    const back = await ask(answer.slice(own.length), cookieOf(begun, 'kafka-login'))
    const session = cookieOf(back, 'kafka-session')
    const statuses = async () =>
      Promise.all(Array.from({ length: 6 }, async () => (await ask('/status', session)).status))
    expect(await statuses()).toEqual([200, 200, 200, 200, 200, 200])
    expect((await ask('/logout', session, 'POST')).status).toBe(200)
    // The thread that has answered tells the other one.
    await until(async () => !(await statuses()).includes(200), 'the end of the session')
    expect(await statuses()).toEqual([401, 401, 401, 401, 401, 401])
  }
}, 90_000)
