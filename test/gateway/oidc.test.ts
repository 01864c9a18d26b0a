/** Logging in at a real OIDC issuer, by the code flow with PKCE. */
import { describe, expect, test } from 'bun:test'
import type { GuardOptions } from '../../src/gateway/auth/guard.ts'
import { type IssuerChoice, TestIssuer } from '../support/oidc-issuer.ts'
import { gatewayOf, ORIGIN, PAGE } from './login-client.ts'

describe('logging in by an OIDC issuer', () => {
  const callback = `${ORIGIN}/login/callback`

  /** @returns The path with which the issuer sends the browser back. */
  const atIssuer = async (issuer: TestIssuer, start: string | null, choice: IssuerChoice) =>
    (await issuer.visit(start ?? '', choice)).slice(ORIGIN.length)

  const options = (issuer: string, rest: object = {}): GuardOptions => ({
    clients: undefined,
    oidc: { issuer, clientId: 'gateway', scopes: ['openid', 'profile'], ...rest },
  })

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
    60_000,
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
  }, 60_000)

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
  }, 60_000)

  test('tells a user who cancels, and an issuer that is away', async () => {
    const issuer = await TestIssuer.start(callback, undefined)
    const browser = gatewayOf(options(issuer.url))
    const { location } = await browser.ask('/login/oidc')
    const back = await browser.ask(await atIssuer(issuer, location, 'cancel'))
    expect(back.status).toBe(401)
    expect(back.text).toContain('answered access_denied')
    await issuer[Symbol.asyncDispose]()
    const away = gatewayOf(options('http://127.0.0.1:1'))
    const refused = await away.ask('/login/oidc')
    expect(refused.status).toBe(503)
    expect(refused.text).toContain('Cannot log in: 127.0.0.1:1 cannot be reached')
    expect(refused.headers.get('retry-after')).toBe('5')
  }, 60_000)
})
