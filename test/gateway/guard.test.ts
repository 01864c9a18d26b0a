/**
 * The gateway's guard: credentials, scopes, limits and pages of other origins. The file has more than
 * 400 lines because its tests share the clients and keys at its beginning.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventSource } from 'eventsource'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { sha256Hex } from '../../src/core/hash.ts'
import { createGateway, type Gateway } from '../../src/gateway/app.ts'
import { parseKeys, readClients } from '../../src/gateway/auth/clients.ts'
import type { GuardOptions } from '../../src/gateway/auth/guard.ts'
import { loadClients } from '../../src/gateway/process/clients-file.ts'
import { readGatewayConfig } from '../../src/gateway/settings/gateway-settings.ts'
import type { KafkaRoute } from '../../src/gateway/supervisor.ts'
import { clientOf, urlOf } from '../../src/http/request/client.ts'
import { SseClient } from '../support/sse.ts'
import { until, within } from '../support/wait.ts'
import { idleHandler } from '../unit/fakes.ts'
import { GatewayProcess } from './gateway-process.ts'

/** A route that answers with its client in place of records. */
const make = (): KafkaRoute =>
  Object.assign(
    (c: Parameters<KafkaRoute>[0]) => {
      const { name = null, only = null, until = null } = clientOf(c)
      return c.json({ name, only, until, query: urlOf(c).search })
    },
    {
      start: async () => undefined,
      outage: () => undefined,
      ...idleHandler,
      close: async () => undefined,
    },
  )

const CLIENTS = readClients(
  `
clients:
- {name: shop, key: planted-key-of-the-shop, only: {topics: [t], filters: ['offset > 5']}}
- {name: ann, password: "{vault://env/ANN}"}
- {name: hash, key: "sha256:${new Bun.CryptoHasher('sha256').update('planted-and-hashed').digest('hex')}"}
`,
  { ANN: 'planted-of-ann' },
)

function guarded(guard: GuardOptions): Gateway {
  const addressOf = (c: Parameters<KafkaRoute>[0]) => c.req.header('x-from') ?? '10.0.0.1'
  return createGateway({ cluster: { brokers: ['k:1'], topics: ['t'] }, guard, addressOf }, make)
}

async function ask(
  gateway: Gateway,
  headers: Record<string, string> = {},
  path = '/messages',
  method = 'GET',
) {
  const response = await gateway.app.request(`http://gateway.test${path}`, { method, headers })
  const text = await response.text()
  expect(text).not.toContain('planted')
  const body = text.startsWith('{') ? JSON.parse(text) : text
  return { status: response.status, body, headers: response.headers }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const basic = (name: string, password: string) => ({
  authorization: `Basic ${btoa(`${name}:${password}`)}`,
})

describe('pages of the gateway beside its routes', () => {
  test.each(['/metrics', '/docs', '/openapi.json'])(
    '%s is open to clients without a scope only',
    async (path) => {
      const gateway = guarded({ clients: CLIENTS })
      expect((await ask(gateway, {}, path)).status).toBe(401)
      expect((await ask(gateway, basic('ann', 'planted-of-ann'), path)).status).toBe(200)
      const bound = await ask(gateway, bearer('planted-key-of-the-shop'), path)
      expect(bound.status).toBe(403)
      expect(bound.body.code).toBe('FORBIDDEN')
    },
  )

  test.each(['/status', '/topics', '/', '/console/console.js'])(
    '%s is open to clients that have credentials',
    async (path) => {
      const gateway = guarded({ clients: CLIENTS })
      expect((await ask(gateway, {}, path)).status).toBe(401)
      expect((await ask(gateway, basic('ann', 'planted-of-ann'), path)).status).toBe(200)
      expect((await ask(gateway, bearer('planted-key-of-the-shop'), path)).status).toBe(200)
    },
  )
})

describe('keys and passwords', () => {
  test('identify a client and its scope', async () => {
    const gateway = guarded({ clients: CLIENTS })
    expect(await ask(gateway, bearer('planted-key-of-the-shop'))).toMatchObject({
      status: 200,
      body: { name: 'shop', only: { topics: ['t'], filters: ['offset > 5'] } },
    })
    expect((await ask(gateway, bearer('planted-and-hashed'))).body.name).toBe('hash')
    expect((await ask(gateway, basic('ann', 'planted-of-ann'))).body.name).toBe('ann')
  })

  test('that are missing or wrong are 401, with the schemes that are accepted', async () => {
    const gateway = guarded({ clients: CLIENTS })
    const none = await ask(gateway)
    expect(none).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } })
    expect(none.headers.get('www-authenticate')).toBe(
      'Bearer realm="hono-kafka-consume", Basic realm="hono-kafka-consume", charset="UTF-8"',
    )
    for (const headers of [
      bearer('planted-key-of-the-sho'),
      bearer(CLIENTS[2]?.key ?? ''),
      basic('ann', 'wrong'),
      basic('shop', 'planted-key-of-the-shop'),
      basic('nobody', 'planted-of-ann'),
    ]) {
      const wrong = await ask(gateway, headers)
      expect(wrong.status).toBe(401)
      expect(wrong.headers.get('www-authenticate')).toContain('error="invalid_token"')
    }
    // In the query or a cookie only where that is asked for.
    expect((await ask(gateway, {}, '/messages?token=planted-and-hashed')).status).toBe(401)
    expect((await ask(gateway, { cookie: 'token=planted-and-hashed' })).status).toBe(401)
  })

  test('are required for all paths but health', async () => {
    const gateway = guarded({ clients: CLIENTS })
    for (const path of ['/stream', '/metrics', '/nothing', '/messages/offsets']) {
      expect((await ask(gateway, {}, path)).status).toBe(401)
    }
    expect((await ask(gateway, {}, '/healthz')).status).toBe(200)
    expect((await ask(gateway, {}, '/readyz')).status).toBe(503)
  })

  test('are accepted in the query or a cookie where that is switched on, and are not passed on', async () => {
    const gateway = guarded({ clients: CLIENTS, tokenQuery: 'token', tokenCookie: 'session' })
    const path = '/messages?token=planted-and-hashed&start=latest'
    expect((await ask(gateway, {}, path)).body).toMatchObject({
      name: 'hash',
      query: '?start=latest',
    })
    const cookie = { cookie: 'session=planted-and-hashed' }
    expect((await ask(gateway, cookie)).body.name).toBe('hash')
    expect((await ask(gateway, { ...cookie, origin: 'http://gateway.test' })).status).toBe(200)
  })

  // A browser adds both to whatever a page asks for, an image included.
  describe.each([
    ['a cookie', { cookie: 'session=planted-and-hashed' }],
    ['a password', basic('ann', 'planted-of-ann')],
  ])('%s counts on pages of its own and of allowed origins only', (_, credentials) => {
    const gateway = guarded({
      clients: CLIENTS,
      tokenCookie: 'session',
      corsOrigins: ['https://shop.test'],
    })
    test.each<[Record<string, string>, number]>([
      [{}, 200],
      [{ origin: 'http://gateway.test' }, 200],
      [{ origin: 'https://gateway.test' }, 403],
      [{ origin: 'https://gateway.test', 'x-forwarded-proto': 'https' }, 200],
      [{ origin: 'https://gateway.test', 'x-forwarded-proto': 'wss' }, 200],
      [{ origin: 'http://gateway.test:81' }, 403],
      [{ origin: 'http://evil.test' }, 403],
      [{ origin: 'null' }, 403],
      [{ origin: 'https://shop.test' }, 200],
      [{ origin: 'https://shop.test', 'sec-fetch-site': 'cross-site' }, 200],
      [{ origin: 'http://shop.test' }, 403],
      [{ 'sec-fetch-site': 'same-origin' }, 200],
      [{ 'sec-fetch-site': 'none' }, 200],
      // An image on a page of another port.
      [{ 'sec-fetch-site': 'same-site' }, 403],
      [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, 403],
      [{ 'sec-fetch-site': 'cross-site', referer: 'https://shop.test/orders' }, 200],
      [{ referer: 'http://gateway.test/console' }, 200],
      [{ referer: 'http://gateway.test:81/' }, 403],
    ])('%j: %i', async (headers, status) => {
      const answer = await ask(gateway, { ...credentials, ...headers })
      expect(answer.status).toBe(status)
      if (status === 403) expect(answer.body.code).toBe('FORBIDDEN')
      // A bearer key is enough: a page cannot send it unless it has the key.
      expect((await ask(gateway, { ...bearer('planted-and-hashed'), ...headers })).status).toBe(200)
    })
  })

  test('a browser without credentials is asked for the one scheme that it supports', async () => {
    const navigation = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
    const scheme = async (gateway: Gateway, headers: Record<string, string>) =>
      (await ask(gateway, headers, '/')).headers.get('www-authenticate')
    const gateway = guarded({ clients: CLIENTS })
    const expected = 'Basic realm="hono-kafka-consume", charset="UTF-8"'
    expect(await scheme(gateway, navigation)).toBe(expected)
    expect(await scheme(gateway, { ...navigation, ...basic('ann', 'wrong') })).toBe(expected)
    const keys = guarded({ clients: parseKeys('cron=planted-key-of-cron') })
    expect(await scheme(keys, navigation)).toStartWith('Bearer')
  })

  test('can be replaced while the gateway runs', async () => {
    const gateway = guarded({ clients: CLIENTS })
    gateway.replaceClients(parseKeys('other=planted-another-key'))
    expect((await ask(gateway, bearer('planted-and-hashed'))).status).toBe(401)
    expect((await ask(gateway, bearer('planted-another-key'))).body.name).toBe('other')
  })

  test.each([
    ['clients: 7', 'clients: an array is required'],
    ['clients: [{name: a}]', 'clients.0: a key or a password is required'],
    ['clients: [{name: a, key: planted}]', 'clients.0.key: at least 16 characters'],
    ['clients: [{name: a, key: "sha256:planted-planted-planted"}]', 'clients.0.key: at least 16'],
    ['clients: [{name: "a:b", password: planted-planted}]', 'clients.0.name: 1 to 255'],
    ['clients: [{name: a, pass: planted-planted}]', 'clients.0.pass: unknown field'],
    [`clients: [${'{name: a, password: planted-planted},'.repeat(2)}]`, 'stand only once'],
    ['clients: [{name: a, key: "{vault://env/NONE}"}]', 'NONE is not set'],
    [
      'clients: [{name: a, key: "{vault://env/ONE}"}, {name: b, password: "{vault://env/TWO}"}]',
      "ONE is not set; cannot resolve '{vault://env/TWO}': environment variable TWO is not set",
    ],
    ['clients: [{name: a, key: 1234567890123456}]', 'clients.0.key: this is a number: a text is'],
    ['clients: [{name: a, password: 12345678}]', 'clients.0.password: this is a number: a text is'],
    ['clients: [{name: 1, password: planted-planted}]', 'clients.0.name: this is a number'],
    [
      'clients: [{name: a, key: planted-planted-1}, {name: c, password: planted-1}, {name: b, key: planted-planted-1}]',
      'clients: 1 (a) and 3 (b) have the same key',
    ],
    [
      `clients: [{name: a, key: planted-planted-1}, {name: b, key: "sha256:${sha256Hex('planted-planted-1')}"}]`,
      'clients: 1 (a) and 2 (b) have the same key',
    ],
    ['clients: [{name: a, password: planted-planted, only: {filters: ["1 +"]}}]', 'only.filters.0'],
    ['clients: [{name: a, password: planted-planted, only: {partitions: [a]}}]', 'a number'],
    ['clients: [', 'line 1'],
  ])('of a file that is wrong are told, without secrets: %s', (text, expected) => {
    try {
      readClients(text, {})
    } catch (error) {
      expect((error as Error).message).toContain(expected)
      expect((error as Error).message).not.toContain('planted')
      return
    }
    throw new Error('it was taken')
  })

  test('in environment variables must have the right form', () => {
    expect(parseKeys('a=planted-key-one-1, b=planted=key=two=2')).toEqual([
      { name: 'a', key: 'planted-key-one-1' },
      { name: 'b', key: 'planted=key=two=2' },
    ])
    for (const text of ['planted-key-one-1', 'a=planted', '=planted-key-one-1', 'a=b,']) {
      expect(() => parseKeys(text)).toThrow(/required/)
    }
    expect(() => parseKeys('a=planted-key-one-1,b=planted-key-one-1')).toThrow(
      'clients: 1 (a) and 2 (b) have the same key',
    )
  })

  test('of environment variables and a file must differ by name and by key', () => {
    const folder = mkdtempSync(join(tmpdir(), 'clients-'))
    const file = join(folder, 'clients.yaml')
    const load = (text: string) => {
      writeFileSync(file, text)
      const bearerKeys = { BEARER_KEYS: 'a=planted-key-one-1', CLIENTS_FILE: file }
      return loadClients(readGatewayConfig({}, bearerKeys))
    }
    try {
      expect(load('clients: [{name: b, key: planted-key-two-2}]')).toHaveLength(2)
      expect(() => load('clients: [{name: b, key: planted-key-one-1}]')).toThrow(
        `Cannot use BEARER_KEYS with ${file}: clients: 1 (a) and 2 (b) have the same key`,
      )
      expect(() => load('clients: [{name: a, key: planted-key-two-2}]')).toThrow(
        `Cannot use BEARER_KEYS with ${file}: two clients have the name a`,
      )
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('tokens', () => {
  let issuer: Bun.Server<undefined>
  let keys: CryptoKeyPair[]
  let served: object
  let asked = 0

  beforeAll(async () => {
    keys = await Promise.all(['RS256', 'ES256'].map((alg) => generateKeyPair(alg)))
    await serveKeys(keys[0] as CryptoKeyPair)
    issuer = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => {
        asked++
        return Response.json(served)
      },
    })
  })
  afterAll(() => issuer.stop(true))

  async function serveKeys(...pairs: CryptoKeyPair[]) {
    const jwks = pairs.map(async ({ publicKey }) => ({
      ...(await exportJWK(publicKey)),
      kid: String(keys.findIndex((pair) => pair.publicKey === publicKey)),
    }))
    served = { keys: await Promise.all(jwks) }
  }

  const token = (claims: Record<string, unknown>, key = 0, alg = 'RS256') =>
    new SignJWT({ iss: 'us', aud: 'gateway', sub: 'ann', exp: now() + 60, ...claims })
      .setProtectedHeader({ alg, kid: String(key) })
      .sign((keys[key] as CryptoKeyPair).privateKey)
  const now = () => Math.floor(Date.now() / 1_000)
  const options = (rest: object = {}): GuardOptions => ({
    tokens: { jwksUrl: String(issuer.url), issuer: 'us', audience: 'gateway', ...rest },
  })

  test('are verified by their issuer’s keys, which are fetched once', async () => {
    const gateway = guarded(options())
    asked = 0
    for (let run = 0; run < 3; run++) {
      const exp = now() + 60
      const { body } = await ask(gateway, bearer(await token({ exp })))
      expect(body).toMatchObject({ name: 'ann', until: exp * 1_000 })
    }
    expect(asked).toBe(1)
  })

  test.each<[string, Record<string, unknown>]>([
    ['another issuer', { iss: 'them' }],
    ['another audience', { aud: ['other'] }],
    ['no end', { exp: undefined }],
    ['its end behind it', { exp: 1_000 }],
    ['its beginning before it', { nbf: 9_999_999_999 }],
    ['no subject', { sub: undefined }],
    ['an empty subject', { sub: '' }],
    ['an object as its subject', { sub: { id: 1 } }],
    ['a number as its subject', { sub: 7 }],
  ])('with %s are refused', async (_, claims) => {
    const answer = await ask(guarded(options()), bearer(await token(claims)))
    expect(answer).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } })
  })

  test('that are forged are refused', async () => {
    const gateway = guarded(options())
    const payload = { iss: 'us', aud: 'gateway', sub: 'ann', exp: now() + 60 }
    const secret = new TextEncoder().encode('a secret that nobody shares')
    const forged = await new SignJWT(payload)
      .setProtectedHeader({ alg: 'HS256', kid: '0' })
      .sign(secret)
    const [header = '', body = ''] = (await token({})).split('.')
    const none = btoa('{"alg":"none"}').replaceAll('=', '')
    for (const text of [forged, `${header}.${body}.AAAA`, `${none}.${body}.`, 'a.b.c', 'a']) {
      expect((await ask(gateway, bearer(text))).status).toBe(401)
    }
  })

  test('may contain the client’s scope, and must if the claim is configured', async () => {
    const gateway = guarded(options({ claim: 'kafka' }))
    const only = { topics: ['t'], partitions: [1] }
    expect((await ask(gateway, bearer(await token({ kafka: only })))).body.only).toEqual(only)
    for (const kafka of [undefined, 'all', { topic: ['t'] }, { filters: ['1 +'] }]) {
      expect(await ask(gateway, bearer(await token({ kafka })))).toMatchObject({
        status: 403,
        body: { code: 'FORBIDDEN' },
      })
    }
  })

  test('that cannot be checked without keys are not the client’s error', async () => {
    const gateway = guarded(options({ jwksUrl: 'http://127.0.0.1:1/' }))
    const answer = await ask(gateway, bearer(await token({})))
    expect(answer).toMatchObject({
      status: 503,
      body: { code: 'AUTHENTICATION_UNAVAILABLE', retryable: true },
    })
    expect(answer.headers.get('retry-after')).toBe('5')
  })
})

describe('limits', () => {
  test('count requests by client, else by address', async () => {
    const gateway = guarded({ clients: CLIENTS, limits: { hour: 2 } })
    const shop = bearer('planted-key-of-the-shop')
    const from = (address: string) => ({ 'x-from': address })
    expect((await ask(gateway, { ...shop, ...from('a') })).status).toBe(200)
    const second = await ask(gateway, { ...shop, ...from('b') })
    expect(second.headers.get('ratelimit-remaining')).toBe('0')
    const third = await ask(gateway, { ...shop, ...from('c') })
    expect(third).toMatchObject({ status: 429, body: { code: 'RATE_LIMITED', retryable: true } })
    expect(Number(third.headers.get('retry-after'))).toBeWithin(1, 3_601)
    expect((await ask(gateway, bearer('planted-and-hashed'))).status).toBe(200)
    // Failed authentications are limited, which slows guessing of keys.
    for (const status of [401, 401, 429, 429]) {
      expect((await ask(gateway, { ...bearer('guess'), ...from('d') })).status).toBe(status)
    }
    expect((await ask(gateway, { ...bearer('guess'), ...from('e') })).status).toBe(401)
  })

  test('work without client keys', async () => {
    const gateway = guarded({ limits: { hour: 1 } })
    expect((await ask(gateway)).status).toBe(200)
    expect((await ask(gateway)).status).toBe(429)
    expect((await ask(gateway, {}, '/healthz')).status).toBe(200)
  })
})

describe('pages of other origins', () => {
  const origin = 'https://shop.test'
  const preflight = {
    origin,
    'access-control-request-method': 'GET',
    'access-control-request-headers': 'authorization',
  }

  test('get preflights answered without credentials, and may read answers and refusals', async () => {
    const gateway = guarded({ clients: CLIENTS, corsOrigins: [origin] })
    const asked = await ask(gateway, preflight, '/stream', 'OPTIONS')
    expect(asked.status).toBe(204)
    expect(Object.fromEntries(asked.headers)).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-headers': 'Authorization,Cache-Control,Content-Type,Last-Event-ID',
      'access-control-max-age': '600',
    })
    for (const headers of [{ origin }, { origin, ...bearer('planted-and-hashed') }]) {
      const answer = await ask(gateway, headers)
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin)
      expect(answer.headers.get('access-control-expose-headers')).toContain('Kafka-Cursor')
    }
    const other = await ask(gateway, { origin: 'https://evil.test' })
    expect(other.headers.get('access-control-allow-origin')).toBeNull()
    expect((await ask(gateway, {}, '/stream', 'OPTIONS')).status).toBe(401)
  })

  test('send the cookie only to a gateway that accepts one', async () => {
    for (const [tokenCookie, allowed] of [
      [undefined, null],
      ['session', 'true'],
    ] as const) {
      const gateway = guarded({ clients: CLIENTS, corsOrigins: [origin], tokenCookie })
      const { headers } = await ask(gateway, { origin })
      expect(headers.get('access-control-allow-credentials')).toBe(allowed)
    }
  })
})

describe('a gateway process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'guard-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each(['1', '2'])(
    'with limits alone asks for no credentials, with %s threads',
    async (threads) => {
      const flags = ['--rate-limit', '1000/minute']
      const { gateway, url } = await GatewayProcess.listening(flags, { WORKERS: threads })
      await using _ = gateway
      const { status, headers } = await fetch(`${url}/status`)
      expect(status).toBe(200)
      expect(headers.get('ratelimit-limit')).toBe('1000')
    },
    120_000,
  )

  test.each([
    [
      'key',
      '{name: all, key: planted-in-a-file}',
      (line: string) => line.replace('KEY', 'planted-in-a-file'),
    ],
    [
      'password',
      '{name: ann, password: planted-of-ann}',
      (line: string) => line.replace('-u ann', '-u ann:planted-of-ann'),
    ],
    [
      'scope',
      '{name: web, key: planted-in-a-file, only: {partitions: [0]}}',
      (line: string) => line.replace('KEY', 'planted-in-a-file'),
    ],
  ])(
    'prints commands of curl that a client with a %s is answered by',
    async (kind, client, withSecret) => {
      const path = join(folder, `${kind}.yaml`)
      writeFileSync(path, `clients: [${client}]`)
      const { gateway, url } = await GatewayProcess.listening(['--clients', path])
      await using _ = gateway
      await until(async () => (await fetch(`${url}/readyz`)).ok, 'readiness', 30_000)
      expect(gateway.stdout).not.toContain('planted')
      const commands = gateway.stdout.match(/^ {4}curl .*?(?= {2,})/gm) ?? []
      const reads = commands.filter((command) => /messages|stream/.test(command))
      expect(reads).toHaveLength(3)
      for (const command of reads) {
        // The limit ends streams, whose status is there before.
        const limited = withSecret(command).replace(
          'curl ',
          "curl -s -o /dev/null -m 2 -w '%{http_code}' ",
        )
        const shell = Bun.spawn(['sh', '-c', limited], { stdout: 'pipe' })
        expect({ command, status: await new Response(shell.stdout).text() }).toEqual({
          command,
          status: '200',
        })
      }
    },
    60_000,
  )

  test('serves clients that have a key, by EventSource, too, and shows the key nowhere', async () => {
    const path = join(folder, 'clients.yaml')
    const write = (key: string) =>
      writeFileSync(path, `clients: [{name: web, key: ${key}, only: {partitions: [0]}}]`)
    write('planted-in-a-file')
    const { gateway, url } = await GatewayProcess.listening(
      ['--clients', path, '--token-query', 'token', '--max-client-streams=2', '--log-level=debug'],
      { BEARER_KEYS: 'cron=planted-in-the-environment' },
    )
    await using _ = gateway
    const cron = bearer('planted-in-the-environment')
    await until(async () => (await fetch(`${url}/readyz`)).ok, 'readiness', 30_000)
    expect((await fetch(`${url}/messages`)).status).toBe(401)
    const read = await fetch(`${url}/messages?start=earliest&token=planted-in-a-file`)
    expect(read.status).toBe(200)
    expect(read.headers.get('link')).not.toContain('planted')
    const { 'kong-test': topic } = (await read.json()) as Record<string, { partitions: object }>
    expect(Object.keys(topic?.partitions ?? {})).toEqual(['0'])
    expect((await fetch(`${url}/messages?max_records=1`, { headers: cron })).status).toBe(200)

    const source = new EventSource(`${url}/stream?start=earliest&token=planted-in-a-file`)
    const first = Promise.withResolvers<{ partition: number }>()
    source.addEventListener('message', ({ data }) => first.resolve(JSON.parse(data)))
    expect((await within(first.promise, 'a record by EventSource')).partition).toBe(0)
    const streamUrl = `${url}/stream?token=planted-in-a-file`
    const second = await SseClient.open(streamUrl)
    const refused = await fetch(streamUrl)
    expect(refused.status).toBe(429)
    expect(await refused.json()).toMatchObject({ code: 'TOO_MANY_STREAMS' })
    await second[Symbol.asyncDispose]()
    await until(async () => {
      const abort = new AbortController()
      const answer = await fetch(streamUrl, { signal: abort.signal })
      abort.abort()
      return answer.status === 200
    }, 'the place of a stream that ended')

    write('planted-in-its-place')
    gateway.signal('SIGHUP')
    const replacing = bearer('planted-in-its-place')
    const ask = async () =>
      (await fetch(`${url}/messages?start=latest&timeout=0`, { headers: replacing })).status
    await until(async () => (await ask()) === 200, 'the new key')
    expect((await fetch(streamUrl)).status).toBe(401)
    // The stream that the old key opened ends. Its EventSource reconnects, is refused, and gives up.
    await until(() => source.readyState === EventSource.CLOSED, 'the stream of the old key to end')
    writeFileSync(path, 'clients: [{name: web, key: planted}]')
    gateway.signal('SIGHUP')
    await until(() => gateway.stderr.includes('What was served before still is'), 'the refusal')
    expect(await ask()).toBe(200)
    expect(gateway.stdout + gateway.stderr).not.toContain('planted')
  }, 120_000)

  test('does not start when its guard cannot be set up', async () => {
    for (const [flags, environment, expected] of [
      [
        ['--clients', '/nowhere'],
        {},
        '--clients (CLIENTS_FILE): a file that can be read is required, not "/nowhere"',
      ],
      [[], { BEARER_KEYS: 'a=planted' }, 'BEARER_KEYS: clients.0.key: at least 16'],
      [['--jwks-url', 'http://issuer.test/'], {}, 'an https URL is required'],
      [['--jwks-url', 'https://issuer.test/'], {}, '--jwt-issuer or --jwt-audience is required'],
      [['--jwt-issuer', 'x'], {}, 'of use with --jwks-url only'],
      [['--jwt-claim', 'x'], {}, 'of use with --jwks-url or --oidc-issuer only'],
      [['--oidc-client-id', 'x'], {}, 'of use with --oidc-issuer only'],
      [['--oidc-issuer', 'https://issuer.test/'], {}, 'required with --oidc-issuer'],
      [['--oidc-issuer', 'http://issuer.test/'], {}, 'an https URL is required'],
      [['--oidc-scopes', 'profile'], {}, 'openid among them'],
      [['--session-hours', '0'], {}, 'from 1 to 720'],
      [[], { SESSION_SECRET: 'planted' }, 'at least 32 characters'],
      [['--token-query', 'token'], {}, 'of use with keys or tokens only'],
      [['--rate-limit', '5/fortnight'], {}, 'a number and a period are required'],
      [['--cors-origins', 'shop.test'], {}, 'origins are required'],
      [['--max-client-streams', '0'], {}, 'from 1 to 999999'],
    ] as const) {
      const gateway = GatewayProcess.spawn([...flags], { ...environment })
      await using _ = gateway
      expect(await gateway.exited()).not.toBe(0)
      expect(gateway.stderr).toContain(expected)
      expect(gateway.stderr).not.toContain('planted')
    }
  }, 120_000)
})
