/**
 * Kong's access plugins in front of a route. The file has more than 400 lines because it has all five
 * plugins and their order.
 */
import { describe, expect, spyOn, test } from 'bun:test'
import { exportSPKI, generateKeyPair, SignJWT } from 'jose'
import { createGateway, type Gateway } from '../../src/gateway/app.ts'
import type { KafkaRoute } from '../../src/gateway/supervisor.ts'
import { clientOf, urlOf } from '../../src/http/request/client.ts'
import { bodyOf } from '../../src/http/request/request-body.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import type { KafkaConsumeOptions } from '../../src/options/option-types.ts'
import { idleHandler } from '../unit/fakes.ts'

/** A route that answers with its options and its client. */
function make(options: KafkaConsumeOptions): KafkaRoute {
  return Object.assign(
    (c: Parameters<KafkaRoute>[0]) => {
      const { name = null, until } = clientOf(c)
      const topics = [options.topics]
        .flat()
        .map((topic) => (typeof topic === 'object' ? topic.name : topic))
      const read = new Response(bodyOf(c)).text()
      return read.then((body) => c.json({ topics, name, query: urlOf(c).search, until, body }))
    },
    {
      start: async () => undefined,
      outage: () => undefined,
      ...idleHandler,
      close: async () => undefined,
    },
  )
}

const kafka = (topic: string, rest = '') =>
  `{name: kafka-consume, config: {bootstrap_servers: [{host: k, port: 1}], topics: [{name: ${topic}}]}${rest}}`

interface Reload extends Gateway {
  load(text: string): Promise<void>
}

async function served(text: string, environment: Record<string, string> = {}): Promise<Reload> {
  const addressOf = (c: Parameters<KafkaRoute>[0]) => c.req.header('x-from') ?? '127.0.0.1'
  const gateway = createGateway({ environment, addressOf }, make)
  const load = async (document: string) => {
    const options = { environment, ignoreUnknown: false }
    gateway.apply(await readDeclarative(`_format_version: "3.0"\n${document}`, options))
  }
  await load(text)
  return { ...gateway, load }
}

async function ask(gateway: Gateway, init: RequestInit & { path?: string } = {}) {
  const { path = '/', ...rest } = init
  const headers = { host: 'a', ...(rest.headers as Record<string, string>) }
  const response = await gateway.app.request(`http://a${path}`, { ...rest, headers })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : JSON.parse(text),
    text,
  }
}

const basic = (name: string, password: string) => ({
  authorization: `Basic ${btoa(`${name}:${password}`)}`,
})

describe('key-auth', () => {
  const document = (config = '{}') => `
routes: [{hosts: [a], plugins: [${kafka('t')}, {name: key-auth, config: ${config}}]}]
consumers:
- {username: ann, keyauth_credentials: [{key: planted-ann}]}
- {custom_id: "7", keyauth_credentials: [{key: "{vault://env/KEY}"}]}`
  const environment = { KEY: 'planted-7' }

  test('identifies a consumer by its key, in a header or in the query', async () => {
    const gateway = await served(document(), environment)
    const byHeader = await ask(gateway, { headers: { apikey: 'planted-ann' } })
    expect(byHeader).toMatchObject({ status: 200, body: { name: 'ann' } })
    const byQuery = await ask(gateway, { path: '/?apikey=planted-7&start=latest' })
    expect(byQuery.body).toEqual({ topics: ['t'], name: '7', query: '?start=latest', body: '' })
  })

  test.each<[string, RequestInit & { path?: string }, string, string]>([
    ['{}', {}, 'No API key found in request', 'Key'],
    ['{realm: shop}', {}, 'No API key found in request', 'Key realm="shop"'],
    ['{}', { headers: { apikey: 'planted-an' } }, 'Unauthorized', 'Key'],
    ['{}', { path: '/?apikey=planted-ann&apikey=b' }, 'Duplicate API key found', 'Key'],
    [
      '{key_in_query: false}',
      { path: '/?apikey=planted-ann' },
      'No API key found in request',
      'Key',
    ],
    [
      '{key_in_header: false}',
      { headers: { apikey: 'planted-ann' } },
      'No API key found in request',
      'Key',
    ],
    [
      '{key_names: [x-key]}',
      { headers: { apikey: 'planted-ann' } },
      'No API key found in request',
      'Key',
    ],
  ])('%s refuses %j', async (config, init, message, why) => {
    const answer = await ask(await served(document(config), environment), init)
    expect(answer.status).toBe(401)
    expect(answer.body).toEqual({ message, code: 'UNAUTHENTICATED' })
    expect(answer.headers.get('www-authenticate')).toBe(why)
    expect(answer.text).not.toContain('planted')
  })

  test('serves other requests as the anonymous consumer, if one is configured', async () => {
    const gateway = await served(document('{anonymous: ann}'), environment)
    expect(await ask(gateway)).toMatchObject({ status: 200, body: { name: 'ann' } })
    const wrong = await served(document('{anonymous: nobody}'), environment)
    expect(await ask(wrong)).toMatchObject({ status: 500, body: { code: 'INVALID_OPTIONS' } })
  })

  test.each<[string, string, string | undefined, string]>([
    [
      'application/json',
      '{"apikey":"planted-ann","n":12345678901234567890.10}',
      undefined,
      '{"n":12345678901234567890.10}',
    ],
    [
      'application/x-www-form-urlencoded',
      'a=1&apikey=planted-ann&b=%C3%BC',
      undefined,
      'a=1&b=%C3%BC',
    ],
    ['application/json', '{"apikey":"planted-a"}', 'Unauthorized', ''],
    ['application/json', '{"apikey":["planted-ann","b"]}', 'Duplicate API key found', ''],
    [
      'application/x-www-form-urlencoded',
      'apikey=planted-ann&apikey=b',
      'Duplicate API key found',
      '',
    ],
    ['application/json', '{"x":{"apikey":"planted-ann"}}', 'No API key found in request', ''],
    ['application/json', '{"apikey":', 'No API key found in request', ''],
    ['application/json', '["planted-ann"]', 'No API key found in request', ''],
    ['text/plain', 'apikey=planted-ann', 'No API key found in request', ''],
  ])('with key_in_body, %s %s: %p', async (type, body, refusal, rest) => {
    const init = { method: 'POST', body, headers: { 'content-type': type } }
    const answer = await ask(await served(document('{key_in_body: true}'), environment), init)
    if (refusal !== undefined) {
      expect(answer).toMatchObject({ status: 401, body: { message: refusal } })
      return
    }
    expect(answer).toMatchObject({ status: 200, body: { name: 'ann', body: rest } })
    const shown = await served(
      document('{key_in_body: true, hide_credentials: false}'),
      environment,
    )
    expect((await ask(shown, init)).body.body).toBe(body)
    const closed = await ask(await served(document(), environment), init)
    expect(closed.status).toBe(401)
  })

  test('with key_in_body, a body that is too large is refused', async () => {
    const gateway = await served(document('{key_in_body: true}'), environment)
    const body = JSON.stringify({ x: 'x'.repeat(1024 * 1024) })
    const init = { method: 'POST', body, headers: { 'content-type': 'application/json' } }
    expect(await ask(gateway, init)).toMatchObject({
      status: 413,
      body: { code: 'RECORD_TOO_LARGE' },
    })
  })

  test('a key with a ttl is accepted until it ends, and so are the streams of its client', async () => {
    const now = Math.floor(Date.now() / 1_000)
    const withTtl = (fields: string) => document().replace('key: planted-ann', `key: k, ${fields}`)
    const status = async (fields: string) =>
      (await ask(await served(withTtl(fields), environment), { headers: { apikey: 'k' } })).status
    expect(await status('ttl: 3600')).toBe(200)
    expect(await status('ttl: 0')).toBe(200)
    expect(await status(`ttl: 3600, updated_at: ${now - 3_000}`)).toBe(200)
    expect(await status(`ttl: 3600, updated_at: ${now - 3_601}`)).toBe(401)
    expect(await status(`ttl: 0, updated_at: ${now - 3_601}`)).toBe(200)
    const gateway = await served(withTtl(`ttl: 3600, updated_at: ${now - 3_000}`), environment)
    const { body } = await ask(gateway, { headers: { apikey: 'k' } })
    expect(body.until).toBe((now + 600) * 1_000)
  })

  test('uses the credentials that exist at the time of a request', async () => {
    const gateway = await served(document(), environment)
    await gateway.load(document().replace('planted-ann', 'another'))
    expect((await ask(gateway, { headers: { apikey: 'planted-ann' } })).status).toBe(401)
    expect((await ask(gateway, { headers: { apikey: 'another' } })).status).toBe(200)
  })
})

describe('basic-auth', () => {
  const document = (config = '{}') => `
routes: [{hosts: [a], plugins: [${kafka('t')}, {name: basic-auth, config: ${config}}]}]
consumers: [{username: ann, basicauth_credentials: [{username: aé, password: "planted:ü"}]}]`

  test('identifies a consumer by name and password', async () => {
    const gateway = await served(document())
    const bytes = new TextEncoder().encode('aé:planted:ü')
    const authorization = `Basic ${bytes.toBase64()}`
    expect(await ask(gateway, { headers: { authorization } })).toMatchObject({
      status: 200,
      body: { name: 'ann' },
    })
    const foreign = { authorization, 'sec-fetch-site': 'cross-site' }
    expect(await ask(gateway, { headers: foreign })).toMatchObject({
      status: 403,
      body: { code: 'FORBIDDEN' },
    })
    for (const headers of [
      {},
      basic('a', 'planted'),
      basic('nobody', ''),
      { authorization: 'Basic %' },
    ]) {
      const answer = await ask(gateway, { headers })
      expect(answer).toMatchObject({
        status: 401,
        body: { message: 'Unauthorized', code: 'UNAUTHENTICATED' },
      })
      expect(answer.headers.get('www-authenticate')).toBe('Basic realm="service"')
    }
  })
})

describe('brute_force_protection of basic-auth', () => {
  const document = `
routes: [{hosts: [a], plugins: [${kafka('t')}, {name: basic-auth, config: {brute_force_protection: {strategy: memory}}}]}]
consumers: [{username: ann, basicauth_credentials: [{username: ann, password: right}, {username: bob, password: right}]}]`

  const login = async (gateway: Gateway, name: string, password: string) => {
    const { status, headers, body } = await ask(gateway, { headers: basic(name, password) })
    return { status, retryAfter: headers.get('retry-after'), message: body?.message }
  }

  test('makes a user name wait after three failures, twice as long after each further one', async () => {
    const gateway = await served(document)
    const now = spyOn(Date, 'now')
    try {
      const began = 1_800_000_000_000
      now.mockReturnValue(began)
      const refused = { status: 401, retryAfter: null, message: 'Unauthorized' }
      expect(await login(gateway, 'ann', 'wrong')).toEqual(refused)
      expect((await login(gateway, 'ann', 'right')).status).toBe(200)
      expect(await login(gateway, 'ann', 'wrong')).toEqual(refused)
      const wait = (seconds: number) => ({
        ...{ status: 429, retryAfter: String(seconds) },
        message: 'Too many failed login attempts',
      })
      expect(await login(gateway, 'ann', 'wrong')).toEqual(wait(8))
      now.mockReturnValue(began + 3_000)
      expect(await login(gateway, 'ann', 'right')).toEqual(wait(5))
      expect((await login(gateway, 'bob', 'right')).status).toBe(200)
      expect(await login(gateway, 'ann', 'wrong')).toEqual(wait(16))
      now.mockReturnValue(began + 19_000)
      expect((await login(gateway, 'ann', 'right')).status).toBe(200)
      for (let failure = 0; failure < 20; failure++) await login(gateway, 'ann', 'wrong')
      expect(await login(gateway, 'ann', 'right')).toEqual(wait(3_600))
    } finally {
      now.mockRestore()
    }
  })

  test('counts logins that are sent at one time', async () => {
    const gateway = await served(document)
    const guesses = [...Array(50).keys()].map((guess) => login(gateway, 'ann', String(guess)))
    const answers = await Promise.all([...guesses, login(gateway, 'ann', 'right')])
    const counts = answers.map(({ status }) => status)
    expect(counts.filter((status) => status === 401)).toHaveLength(2)
    expect(counts.filter((status) => status === 429)).toHaveLength(49)
  })

  test('is off by default, and counts for names that do not exist, too', async () => {
    const off = await served(document.replace('memory', '"off"'))
    for (let failure = 0; failure < 5; failure++) {
      expect((await login(off, 'ann', 'wrong')).status).toBe(401)
    }
    const gateway = await served(document)
    const statuses: number[] = []
    for (let failure = 0; failure < 3; failure++) {
      statuses.push((await login(gateway, 'x'.repeat(500), 'wrong')).status)
    }
    expect(statuses).toEqual([401, 401, 429])
  })
})

describe('jwt', () => {
  const hs = new TextEncoder().encode('planted-secret')
  const sign = (claims: Record<string, unknown>, key: CryptoKey | Uint8Array = hs, alg = 'HS256') =>
    new SignJWT(claims).setProtectedHeader({ alg, typ: 'JWT' }).sign(key)
  const document = (config = '{}', credential = '{key: shop, secret: planted-secret}') => `
routes: [{hosts: [a], plugins: [${kafka('t')}, {name: jwt, config: ${config}}]}]
consumers: [{username: ann, jwt_secrets: [${credential}]}]`
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
  const soon = Math.floor(Date.now() / 1_000) + 600

  test.each(['RS256', 'RS512', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'])(
    'identifies a consumer by a token of %s',
    async (algorithm) => {
      const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true })
      const pem = JSON.stringify(await exportSPKI(publicKey))
      const gateway = await served(
        document('{}', `{key: shop, algorithm: ${algorithm}, rsa_public_key: ${pem}}`),
      )
      const token = await sign({ iss: 'shop' }, privateKey, algorithm)
      expect(await ask(gateway, bearer(token))).toMatchObject({
        status: 200,
        body: { name: 'ann' },
      })
      // A public key is not a secret: a token that was signed with it as an HMAC secret must be refused.
      const forged = await sign(
        { iss: 'shop' },
        new TextEncoder().encode(JSON.parse(pem) as string),
      )
      expect(await ask(gateway, bearer(forged))).toMatchObject({
        status: 401,
        body: { message: 'Invalid algorithm' },
      })
      const other = await generateKeyPair(algorithm)
      const wrong = await sign({ iss: 'shop' }, other.privateKey, algorithm)
      expect((await ask(gateway, bearer(wrong))).body.message).toBe('Invalid signature')
    },
  )

  test('accepts a token in the query, a cookie or a header, and passes none on', async () => {
    const gateway = await served(document('{cookie_names: [token]}'))
    const token = await sign({ iss: 'shop' })
    const found = await ask(gateway, { path: `/?jwt=${token}&start=latest` })
    expect(found.body).toMatchObject({ name: 'ann', query: '?start=latest' })
    expect((await ask(gateway, { headers: { cookie: `token=${token}` } })).status).toBe(200)
    expect((await ask(gateway, bearer(token))).status).toBe(200)
    const two = await ask(gateway, { path: `/?jwt=${token}&jwt=${token}` })
    expect(two).toMatchObject({ status: 401, body: { message: 'Multiple tokens provided' } })
    expect(two.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
  })

  describe('a token in a cookie counts only for pages that may use it', () => {
    const cors = (config: string) =>
      document('{cookie_names: [token]}').replace(
        'name: jwt',
        `name: cors, config: ${config}}, {name: jwt`,
      )
    const upgrade = { upgrade: 'websocket', connection: 'Upgrade' }
    test.each<[string, Record<string, string>, number]>([
      ['{}', {}, 200],
      ['{}', { origin: 'http://a' }, 200],
      ['{}', { 'sec-fetch-site': 'same-origin' }, 200],
      ['{}', { 'sec-fetch-site': 'same-site' }, 403],
      ['{}', { 'sec-fetch-site': 'cross-site' }, 403],
      ['{}', { origin: 'http://a:81' }, 403],
      ['{}', { origin: 'http://evil.test' }, 403],
      ['{}', { ...upgrade, origin: 'http://evil.test' }, 403],
      ['{}', { ...upgrade, origin: 'http://a' }, 200],
      ['{credentials: true, origins: ["http://b"]}', { origin: 'http://b' }, 200],
      ['{credentials: true, origins: ["http://b"]}', { origin: 'https://b' }, 403],
      ['{credentials: false, origins: ["http://b"]}', { origin: 'http://b' }, 403],
      ['{credentials: true, origins: ["*"]}', { origin: 'http://b' }, 403],
    ])('cors %s, %j: %i', async (config, headers, status) => {
      const gateway = await served(cors(config))
      const token = await sign({ iss: 'shop' })
      const answer = await ask(gateway, { headers: { ...headers, cookie: `token=${token}` } })
      expect(answer.status).toBe(status)
      if (status === 403) expect(answer.body.code).toBe('FORBIDDEN')
      // A token in a header proves that the page has it, unlike a cookie.
      const shown = { ...headers, authorization: `Bearer ${token}` }
      expect((await ask(gateway, { headers: shown })).status).toBe(200)
    })
  })

  test('accepts a secret in base64, and the issuer in another claim', async () => {
    const config = '{secret_is_base64: true, key_claim_name: kid}'
    const gateway = await served(document(config, `{key: shop, secret: ${hs.toBase64()}}`))
    expect((await ask(gateway, bearer(await sign({ kid: 'shop' })))).status).toBe(200)
  })

  test.each<[string, Record<string, unknown> | string, string]>([
    ['{}', 'a.b.c', 'Bad token; invalid JSON'],
    ['{}', {}, "No mandatory 'iss' in claims"],
    ['{}', { iss: 'other' }, "No credentials found for given 'iss'"],
    ['{claims_to_verify: [exp]}', { iss: 'shop' }, 'must be a number'],
    ['{claims_to_verify: [exp]}', { iss: 'shop', exp: 1 }, 'token expired'],
    ['{claims_to_verify: [nbf]}', { iss: 'shop', nbf: soon }, 'token not valid yet'],
    [
      '{claims_to_verify: [exp], maximum_expiration: 60}',
      { iss: 'shop', exp: soon },
      'exceeds maximum allowed expiration',
    ],
  ])('%s refuses %j', async (config, claims, message) => {
    const token = typeof claims === 'string' ? claims : await sign(claims)
    const answer = await ask(await served(document(config)), bearer(token))
    expect(answer).toMatchObject({ status: 401, body: { message, code: 'UNAUTHENTICATED' } })
  })

  test('refuses an algorithm that needs no key', async () => {
    const none = `${btoa('{"alg":"none"}').replaceAll('=', '')}.${btoa('{"iss":"shop"}').replaceAll('=', '')}.`
    expect((await ask(await served(document()), bearer(none))).status).toBe(401)
  })
})

describe('several plugins', () => {
  const consumers = `
consumers:
- username: ann
  keyauth_credentials: [{key: k-ann}]
  basicauth_credentials: [{username: ann, password: p}]
  plugins: [${kafka('ann')}]
- username: bob
  keyauth_credentials: [{key: k-bob}]
  plugins: [{name: rate-limiting, config: {hour: 1}}]
- {username: guest}`

  test('must all accept a request, or one of them if they allow anonymous requests', async () => {
    const both = await served(
      `routes: [{hosts: [a], plugins: [${kafka('t')}, {name: key-auth}, {name: basic-auth}]}]${consumers}`,
    )
    expect((await ask(both, { headers: { apikey: 'k-ann' } })).status).toBe(401)
    const headers = { apikey: 'k-ann', ...basic('ann', 'p') }
    expect((await ask(both, { headers })).status).toBe(200)

    const any = '{anonymous: guest}'
    const either = await served(
      `routes: [{hosts: [a], plugins: [${kafka('t')}, {name: key-auth, config: ${any}}, {name: basic-auth, config: ${any}}]}]${consumers}`,
    )
    for (const one of [{ apikey: 'k-ann' }, basic('ann', 'p')]) {
      expect((await ask(either, { headers: one })).body.name).toBe('ann')
    }
    expect((await ask(either)).body.name).toBe('guest')
  })

  test('of one name: the most specific applies, by Kong’s precedence', async () => {
    const key = { headers: { apikey: 'k-ann' } }
    const document = (...places: string[]) => `
services: [{name: s, url: 'http://k', routes: [{name: r, hosts: [a]}]}]
consumers: [{username: ann, keyauth_credentials: [{key: k-ann}]}]
plugins: [{name: key-auth}, ${places.map((place, n) => kafka(`t${n}`, place)).join(', ')}]`
    // Each goes before those that follow it.
    const order = [
      ', consumer: ann, route: r, service: s',
      ', consumer: ann, route: r',
      ', consumer: ann, service: s',
      ', route: r, service: s',
      ', consumer: ann',
      ', route: r',
      ', service: s',
      '',
    ]
    for (let first = 0; first < order.length; first++) {
      const gateway = await served(document(...order.slice(first).toReversed()))
      const { body } = await ask(gateway, key)
      expect(body.topics).toEqual([`t${order.length - first - 1}`])
    }
  })

  test('of a consumer apply to the requests of that consumer', async () => {
    const gateway = await served(
      `routes: [{hosts: [a]}]\nplugins: [{name: key-auth}, ${kafka('common')}]${consumers}`,
    )
    expect((await ask(gateway, { headers: { apikey: 'k-ann' } })).body.topics).toEqual(['ann'])
    const bob = await ask(gateway, { headers: { apikey: 'k-bob' } })
    expect(bob).toMatchObject({ status: 200, body: { topics: ['common'] } })
    expect((await ask(gateway, { headers: { apikey: 'k-bob' } })).status).toBe(429)
    expect((await ask(gateway, { headers: { apikey: 'k-ann' } })).status).toBe(200)
  })

  test('run on a route without kafka-consume, too, and never for health', async () => {
    const gateway = await served(`routes: [{hosts: [a]}]\nplugins: [{name: key-auth}]${consumers}`)
    expect((await ask(gateway)).status).toBe(401)
    expect((await ask(gateway, { headers: { apikey: 'k-bob' } })).status).toBe(503)
    expect((await ask(gateway, { path: '/healthz' })).status).toBe(200)
  })
})

describe('rate-limiting', () => {
  const document = (config: string, rest = '') =>
    `routes: [{hosts: [a], plugins: [${kafka('t')}, {name: rate-limiting, config: ${config}}]}]${rest}`

  test('counts by consumer, else by address, and answers with the requests left', async () => {
    const gateway = await served(document('{hour: 2}'))
    const first = await ask(gateway)
    expect(first.status).toBe(200)
    expect(Object.fromEntries(first.headers)).toMatchObject({
      'ratelimit-limit': '2',
      'ratelimit-remaining': '1',
      'x-ratelimit-limit-hour': '2',
      'x-ratelimit-remaining-hour': '1',
    })
    expect((await ask(gateway)).headers.get('ratelimit-remaining')).toBe('0')
    const refused = await ask(gateway)
    expect(refused).toMatchObject({
      status: 429,
      body: { message: 'API rate limit exceeded', code: 'RATE_LIMITED', retryable: true },
    })
    const wait = Number(refused.headers.get('retry-after'))
    expect(wait).toBeWithin(1, 3_601)
    expect(refused.headers.get('ratelimit-reset')).toBe(String(wait))
    expect((await ask(gateway, { headers: { 'x-from': '10.0.0.2' } })).status).toBe(200)
    // Another snapshot does not give what was used back.
    await gateway.load(document('{hour: 2}', '\nconsumers: [{username: x}]'))
    expect((await ask(gateway)).status).toBe(429)
  })

  test.each<[string, Record<string, string>, Record<string, string>]>([
    ['{limit_by: header, header_name: x-tenant}', { 'x-tenant': 'a' }, { 'x-tenant': 'b' }],
    [
      '{limit_by: header, header_name: x-tenant}',
      { 'x-tenant': `${'x'.repeat(12_000)}a` },
      { 'x-tenant': `${'x'.repeat(12_000)}b` },
    ],
    ['{limit_by: ip}', { 'x-from': '::1' }, { 'x-from': '::2' }],
    ['{}', { 'x-from': '::1' }, { 'x-from': '::2' }],
  ])('%s tells clients apart', async (config, one, other) => {
    const gateway = await served(document(config.replace('{', '{hour: 1, ')))
    expect((await ask(gateway, { headers: one })).status).toBe(200)
    expect((await ask(gateway, { headers: one })).status).toBe(429)
    expect((await ask(gateway, { headers: other })).status).toBe(200)
  })

  test('by path or service counts all clients together', async () => {
    for (const config of ['{hour: 1, limit_by: path, path: /}', '{hour: 1, limit_by: service}']) {
      const gateway = await served(
        `services: [{name: s, url: 'http://k', routes: [{hosts: [a]}]}]\nplugins: [${kafka('t')}, {name: rate-limiting, config: ${config}}]`,
      )
      expect((await ask(gateway, { headers: { 'x-from': '::1' } })).status).toBe(200)
      expect((await ask(gateway, { headers: { 'x-from': '::2' } })).status).toBe(429)
    }
  })

  test('answers with the configured message and status, and may hide its headers', async () => {
    const config = '{hour: 1, error_code: 403, error_message: no, hide_client_headers: true}'
    const gateway = await served(document(config))
    await ask(gateway)
    const refused = await ask(gateway)
    expect(refused).toMatchObject({ status: 403, body: { message: 'no' } })
    expect(refused.headers.get('ratelimit-limit')).toBeNull()
  })
})

describe('cors', () => {
  const document = (config: string) =>
    `routes: [{hosts: [a], plugins: [${kafka('t')}, {name: cors, config: ${config}}, {name: key-auth}]}]`
  const from = 'https://shop.test'
  const preflight = {
    method: 'OPTIONS',
    headers: {
      origin: from,
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'last-event-id',
    },
  }

  test('answers a browser’s preflight without credentials', async () => {
    const gateway = await served(document('{max_age: 60}'))
    const answer = await ask(gateway, preflight)
    expect(answer).toMatchObject({ status: 200, text: '' })
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'last-event-id',
      'access-control-allow-methods': 'GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT',
      'access-control-max-age': '60',
    })
    // A refusal is for the page, too.
    const refused = await ask(gateway, { headers: { origin: from } })
    expect(refused.status).toBe(401)
    expect(refused.headers.get('access-control-allow-origin')).toBe('*')
  })

  test('preflight_continue leaves a preflight to what is behind, and adds nothing to its answer', async () => {
    const gateway = await served(document('{preflight_continue: true}'))
    const answer = await ask(gateway, {
      ...preflight,
      headers: { ...preflight.headers, apikey: 'none' },
    })
    expect(answer).toMatchObject({ status: 401, body: { message: 'Unauthorized' } })
    expect(answer.headers.get('access-control-allow-origin')).toBeNull()
    const other = await ask(gateway, { headers: { origin: from } })
    expect(other.headers.get('access-control-allow-origin')).toBe('*')
  })

  test.each<[string, string, string | null]>([
    ['{origins: ["*"], credentials: true}', from, from],
    [`{origins: ["${from}"]}`, from, from],
    [`{origins: ["${from}:443"]}`, from, from],
    [`{origins: ["${from}"]}`, 'https://shop.test.evil', null],
    [`{origins: ["${from}"]}`, 'null', null],
    ['{origins: ["https://.*[.]test"]}', from, from],
    ['{origins: ["https://.*[.]test"]}', 'https://a.test.evil', null],
    ['{origins: ["^.*[.]test$"]}', from, from],
    ['{origins: ["https://a[.]x|https://b[.]x"]}', 'https://b.x', 'https://b.x'],
    ['{origins: ["https://a[.]x|https://b[.]x"]}', 'https://a.x.evil', null],
    ['{origins: ["https://a[.]x|https://b[.]x"]}', 'https://evil-https://b.x', null],
    ['{origins: ["^https://a[.]x|https://b[.]x$"]}', 'https://a.x.evil', null],
    ['{origins: ["(a+)+"]}', 'https://aaa', 'https://aaa'],
    ['{origins: ["(a+)+"]}', `https://${'a'.repeat(900)}b`, null],
    ['{origins: ["http://a.test", "https://b.test"]}', 'https://b.test', 'https://b.test'],
  ])('%s, asked by %s, allows %s', async (config, origin, allowed) => {
    const answer = await ask(await served(document(config)), { headers: { origin } })
    expect(answer.headers.get('access-control-allow-origin')).toBe(allowed)
    expect(answer.headers.get('vary')).toBe('Origin')
    const expected = config.includes('credentials') ? 'true' : null
    expect(answer.headers.get('access-control-allow-credentials')).toBe(expected)
  })
})

describe('a configuration', () => {
  const refusal = async (name: string, config: string) => {
    const text = `_format_version: "3.0"\nplugins: [{name: ${name}, config: ${config}}]`
    const options = { environment: {}, ignoreUnknown: false }
    const error = await readDeclarative(text, options).then(
      () => new Error('taken'),
      (thrown: Error) => thrown,
    )
    return error.message
  }

  test.each<[string, string, string]>([
    ['key-auth', '{identity_realms: [{scope: realm}]}', 'config.identity_realms: is not supported'],
    ['key-auth', '{principals: {enabled: true}}', 'config.principals: is not supported'],
    [
      'basic-auth',
      '{brute_force_protection: {strategy: redis}}',
      'config.brute_force_protection.strategy: redis is not supported',
    ],
    ['key-auth', '{key_names: ["a b"]}', "config.key_names.1: bad header name 'a b'"],
    ['key-auth', '{key: 1}', 'config.key: unknown field'],
    ['jwt', '{maximum_expiration: 60}', 'config.claims_to_verify: expected to contain: exp'],
    ['jwt', '{claims_to_verify: [iat]}', 'config.claims_to_verify.1: expected one of: exp, nbf'],
    ['jwt', '{maximum_expiration: -1}', 'value should be between 0 and 31536000'],
    ['rate-limiting', '{}', "at least one of these fields must be non-empty: 'config.second'"],
    ['rate-limiting', '{second: 0}', 'config.second: value must be greater than 0'],
    ['rate-limiting', '{day: 2, month: 1}', 'The limit for month(1.0) cannot be lower'],
    ['rate-limiting', '{hour: 1, policy: redis}', 'config.policy: redis is not supported'],
    ['rate-limiting', '{hour: 1, redis: {host: r}}', 'config.redis: is not supported'],
    ['rate-limiting', '{hour: 1, limit_by: path}', 'config.path: required field missing'],
    ['rate-limiting', '{hour: 1, limit_by: consumer-group}', 'config.limit_by: expected one of'],
    [
      'rate-limiting',
      '{minute: 9, hour: 5}',
      'The limit for hour(5.0) cannot be lower than the limit for minute(9.0)',
    ],
    ['cors', '{origins: ["("]}', "'(' is not a valid regex"],
    ['cors', '{origins: ["https://(?=a)"]}', 'has a look-around'],
  ])('of %s: %s is refused', async (name, config, expected) => {
    expect(await refusal(name, config)).toContain(expected)
  })

  test('is accepted as Kong dumps it', async () => {
    const config =
      '{hour: 5, minute: null, policy: local, redis: {host: null, port: 6379}, sync_rate: -1, limit_by: consumer, error_code: 429}'
    expect(await refusal('rate-limiting', config)).toBe('taken')
    const keyAuth =
      '{anonymous: null, key_in_body: false, identity_realms: [{scope: cp, id: null}], principals: {enabled: false}}'
    expect(await refusal('key-auth', keyAuth)).toBe('taken')
    const basicAuth = '{principals: null, brute_force_protection: {strategy: "off"}}'
    expect(await refusal('basic-auth', basicAuth)).toBe('taken')
  })

  test('gets Kong’s defaults', async () => {
    const text =
      '_format_version: "3.0"\nplugins: [{name: key-auth}, {name: basic-auth}, {name: jwt}]'
    const { plugins } = await readDeclarative(text, { environment: {}, ignoreUnknown: false })
    expect(plugins.map(({ config }) => config)).toEqual([
      {
        key_names: ['apikey'],
        hide_credentials: true,
        anonymous: null,
        key_in_header: true,
        key_in_query: true,
        key_in_body: false,
        run_on_preflight: true,
        realm: null,
        identity_realms: null,
        principals: null,
      },
      {
        anonymous: null,
        hide_credentials: true,
        realm: 'service',
        principals: null,
        brute_force_protection: null,
      },
      {
        uri_param_names: ['jwt'],
        cookie_names: [],
        key_claim_name: 'iss',
        secret_is_base64: false,
        claims_to_verify: null,
        anonymous: null,
        run_on_preflight: true,
        maximum_expiration: 0,
        header_names: ['authorization'],
        realm: null,
      },
    ])
  })
})

describe('pages of the gateway beside its routes', () => {
  const closed = `consumers: [{username: u, basicauth_credentials: [{username: n, password: p}]}]
plugins: [{name: basic-auth}]`

  test.each(['/metrics', '/status', '/', '/console/console.js'])(
    '%s is open to clients that the global plugins accept',
    async (path) => {
      const gateway = await served(closed)
      const refused = await gateway.app.request(path)
      expect(refused.status).toBe(401)
      expect(refused.headers.get('www-authenticate')).toStartWith('Basic')
      const passed = await gateway.app.request(path, { headers: basic('n', 'p') })
      expect(passed.status).toBe(200)
      await gateway.load('services: []')
      expect((await gateway.app.request(path)).status).toBe(200)
    },
  )

  test.each(['/messages', '/stream', '/socket'])(
    '%s of the gateway’s own topics is open to these clients only',
    async (path) => {
      const cluster = { brokers: ['k:1'], topics: ['own'] }
      const gateway = createGateway({ cluster }, make)
      const load = async (text: string) => {
        const options = { environment: {}, ignoreUnknown: false }
        gateway.apply(await readDeclarative(`_format_version: "3.0"\n${text}`, options))
      }
      expect((await gateway.app.request(path)).status).toBe(200)
      await load(closed)
      const refused = await gateway.app.request(path)
      expect(refused.status).toBe(401)
      const passed = await gateway.app.request(path, { headers: basic('n', 'p') })
      expect(passed.status).toBe(200)
      expect(await passed.json()).toMatchObject({ topics: ['own'], name: 'u' })
      await load('plugins: [{name: rate-limiting, config: {hour: 1}}]')
      const codes = [await gateway.app.request(path), await gateway.app.request(path)]
      expect(codes.map(({ status }) => status)).toEqual([200, 429])
    },
  )

  test('a plugin of one route applies to that route only, and health is open to everyone', async () => {
    const route = `{name: r, paths: [/r], plugins: [${kafka('t')}, {name: basic-auth}]}`
    const gateway = await served(`routes: [${route}]`)
    expect((await gateway.app.request('/r')).status).toBe(401)
    expect((await gateway.app.request('/metrics')).status).toBe(200)
    await gateway.load(closed)
    expect((await gateway.app.request('/healthz')).status).toBe(200)
  })
})
