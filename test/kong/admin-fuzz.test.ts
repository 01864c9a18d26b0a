import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createAdmin } from '../../src/kong/admin/admin.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import { Store } from '../../src/kong/config/store.ts'
import { writeDeclarative } from '../../src/kong/config/write-declarative.ts'
import { PLUGIN } from './samples.ts'

const PATHS = [
  ...['/', '/status', '/config', '/endpoints', '/schemas/plugins/validate'],
  ...['routes', 'services', 'plugins', 'consumers', 'certificates', 'snis'].flatMap((kind) => [
    `/${kind}`,
    `/${kind}/a`,
    `/${kind}/8f0b0a62-0b0f-4b93-8f5c-0a4a7a3c4f5e`,
    `/${kind}/%FF%00`,
    `/${kind}?size=-1`,
    `/${kind}?offset=%00&tags=%2C`,
  ]),
  ...['/routes/a/plugins', '/services/a/routes', '/services/a/plugins/a', '/consumers/a/plugins'],
  ...['/certificates/a/snis', '/certificates/a/snis/a'],
  ...['key-auth', 'basic-auth', 'jwt'].flatMap((name) => [
    `/${name}s`,
    `/${name}s/a`,
    `/consumers/a/${name}`,
    `/consumers/a/${name}/a`,
    `/consumers/a/${name}?offset=%00`,
  ]),
]

/** Held, and never to be shown. */
const SECRET = 'planted-4f1c'

const key = fc.oneof(
  fc.constantFrom(
    ...['name', 'hosts', 'paths', 'methods', 'headers', 'protocols', 'service', 'route', 'id'],
    ...['config', 'topics', 'bootstrap_servers', 'authentication', 'url', 'host', 'port', 'tags'],
    ...['username', 'cert', 'key', 'snis', '_format_version', 'routes', 'plugins', '@entity'],
    ...['__proto__', 'constructor', 'toString', 'created_at', 'instance_name', 'consumer', ''],
    ...[
      'certificate',
      'password',
      'secret',
      'algorithm',
      'rsa_public_key',
      'minute',
      'origins',
      'key_names',
    ],
  ),
  fc.string({ unit: 'binary', maxLength: 5 }),
)
const leaf = fc.oneof(
  fc.constantFrom(null, '', 'a', 'kafka-consume', 'jwt', 'cors', 'rate-limiting', 'key-auth'),
  fc.constantFrom('basic-auth', 'ES256', '3.0', '***', '{vault://env/X}', '~/(', '/a', -1),
  fc.constantFrom(true, 0, 1e308, 9092, 2 ** 53, 'a.test', '*', 'https', '\u0000', '\ud800'),
  fc.string({ unit: 'binary' }),
)
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc.array(tie('json'), { maxLength: 3 }),
    fc.dictionary(key, tie('json'), { maxKeys: 4 }),
  ),
}))
const body = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(
      fc.constant('application/json'),
      json.map((value) => JSON.stringify(value)),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constant('application/x-www-form-urlencoded'),
      fc
        .array(fc.tuple(fc.array(key, { minLength: 1, maxLength: 3 }), fc.string()))
        .map((pairs) => new URLSearchParams(pairs.map(([k, v]) => [k.join('.'), v])).toString()),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constantFrom(
        ...['application/json', 'application/x-www-form-urlencoded', 'text/yaml', 'text/plain'],
        ...['multipart/form-data', 'multipart/form-data; boundary=a', '', 'a/b; c="'],
      ),
      fc.oneof(fc.string({ unit: 'binary' }), fc.uint8Array()),
    ),
  },
)

test('whatever requests the Admin API gets, its answers are JSON, never 5xx, and its entities fit together', async () => {
  const store = new Store()
  const admin = createAdmin({
    store,
    version: '1',
    status: () => ({}),
    load: (text, type) =>
      readDeclarative(text, {
        format: type === 'application/json' ? 'json' : 'yaml',
        environment: {},
        ignoreUnknown: false,
      }),
    dump: writeDeclarative,
  })
  store.insert('routes', { name: 'a', hosts: ['a.test'] })
  store.insert('services', { name: 'a', host: 'kafka' })
  const { id } = store.insert('consumers', { username: 'a' })
  const consumer = { id }
  store.insert('keyauth_credentials', { consumer, key: 'a' })
  store.insert('basicauth_credentials', { consumer, username: 'a', password: SECRET })
  store.insert('jwt_secrets', { consumer, key: 'a', secret: SECRET })
  store.insert('plugins', { ...PLUGIN, instance_name: 'a', service: { name: 'a' } })
  const initial = store.snapshot()
  const method = fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS')
  await fc.assert(
    fc.asyncProperty(
      method,
      fc.constantFrom(...PATHS),
      body,
      async (method, path, [type, sent]) => {
        const isRead = method === 'GET'
        const response = await admin.request(path, {
          method,
          headers: type === '' ? {} : { 'content-type': type },
          body: isRead ? null : (sent as BodyInit),
        })
        expect(response.status).toBeLessThan(500)
        const text = await response.text()
        expect(text).not.toContain(SECRET)
        if (response.status === 204) expect(text).toBe('')
        else {
          const answer = JSON.parse(text)
          if (response.status >= 400) expect(answer.message).toBeString()
        }
        new Store(store.snapshot())
        await store.replaceAll(initial)
      },
    ),
    { numRuns: 3_000 },
  )
}, 120_000)
