/**
 * Kong's Admin API as a client sees it. The file has more than 400 lines because its tests share one
 * gateway and the requests that build its entities.
 */
import { beforeEach, describe, expect, test } from 'bun:test'
import type { Hono } from 'hono'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { createAdmin } from '../../src/kong/admin/admin.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import { PLUGIN_NAMES } from '../../src/kong/config/plugins.ts'
import { Store } from '../../src/kong/config/store.ts'
import { writeDeclarative } from '../../src/kong/config/write-declarative.ts'
import { KINDS } from '../../src/kong/model/integrity.ts'
import { collectLog, messagesOf } from '../support/log.ts'
import { CERTIFICATE, PLUGIN } from './samples.ts'

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const FORM = 'application/x-www-form-urlencoded'

const logged = collectLog()
let store: Store
let admin: Hono

beforeEach(() => {
  store = new Store()
  admin = createAdmin({
    store,
    version: '1.2.3',
    names: ['gateway'],
    status: () => ({ server: { connections_active: 1 } }),
    load: (text, type) =>
      readDeclarative(text, {
        format: type === 'application/json' ? 'json' : 'yaml',
        environment: {},
        ignoreUnknown: false,
      }),
    dump: writeDeclarative,
  })
})

interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: an answer is whatever the test says of it.
  readonly body: any
  readonly headers: Headers
}

async function send(
  method: string,
  path: string,
  body?: BodyInit | null,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await admin.request(path, { method, body: body ?? null, headers })
  const text = await response.text()
  return {
    status: response.status,
    body: text === '' ? undefined : JSON.parse(text),
    headers: response.headers,
  }
}
const get = (path: string, headers?: Record<string, string>) => send('GET', path, null, headers)
const json = (method: string, path: string, body: unknown) =>
  send(method, path, JSON.stringify(body), { 'content-type': 'application/json' })
const post = (path: string, body: unknown) => json('POST', path, body)
/** The fields of curl's `--data` options, joined. */
const curl = (path: string, ...data: string[]) =>
  send('POST', path, data.join('&'), { 'content-type': FORM })

describe('the quickstart', () => {
  test('makes two routes and their plugins by its commands', async () => {
    const first = await curl('/routes', 'name=kafka-consume', 'hosts[]=kafka-consume.test')
    expect(first.status).toBe(201)
    expect(first.body).toMatchObject({
      id: expect.stringMatching(UUID),
      created_at: expect.any(Number),
      updated_at: expect.any(Number),
      name: 'kafka-consume',
      hosts: ['kafka-consume.test'],
      paths: null,
      protocols: ['http', 'https'],
      strip_path: true,
      service: null,
    })
    const plugin = await curl(
      '/routes/kafka-consume/plugins',
      'name=kafka-consume',
      'config.bootstrap_servers[1].host=localhost',
      'config.bootstrap_servers[1].port=9092',
      'config.topics[1].name=kong-test',
    )
    expect(plugin.status).toBe(201)
    expect(plugin.body).toMatchObject({
      name: 'kafka-consume',
      enabled: true,
      route: { id: first.body.id },
      service: null,
      consumer: null,
      config: {
        bootstrap_servers: [{ host: 'localhost', port: 9092 }],
        topics: [{ name: 'kong-test' }],
        mode: 'http-get',
      },
    })
    await curl('/routes', 'name=kafka-sse-consume', 'hosts[]=kafka-sse.test')
    const stream = await curl(
      '/routes/kafka-sse-consume/plugins',
      'name=kafka-consume',
      'config.bootstrap_servers[1].host=localhost',
      'config.bootstrap_servers[1].port=9092',
      'config.topics[1].name=kong-test',
      'config.mode=server-sent-events',
    )
    expect(stream.body.config.mode).toBe('server-sent-events')
    expect(store.list('plugins')).toHaveLength(2)
  })
})

describe('entities', () => {
  test('are created, shown, changed, replaced and removed', async () => {
    const made = await post('/routes', { name: 'a', hosts: ['a.test'] })
    expect(made.status).toBe(201)
    expect(await get('/routes/a')).toMatchObject({ status: 200, body: made.body })
    expect(await get(`/routes/${made.body.id}`)).toMatchObject({ status: 200, body: made.body })

    const patched = await json('PATCH', '/routes/a', { paths: ['/a'], strip_path: false })
    expect(patched.status).toBe(200)
    expect(patched.body).toMatchObject({ id: made.body.id, hosts: ['a.test'], paths: ['/a'] })

    const replaced = await json('PUT', '/routes/a', { paths: ['/b'] })
    expect(replaced.status).toBe(200)
    expect(replaced.body).toMatchObject({
      id: made.body.id,
      created_at: made.body.created_at,
      name: 'a',
      hosts: null,
      paths: ['/b'],
      strip_path: true,
    })
    const removed = await send('DELETE', '/routes/a')
    expect(removed).toMatchObject({ status: 204, body: undefined })
    expect(await get('/routes/a')).toMatchObject({ status: 404, body: { message: 'Not found' } })
    expect(await send('DELETE', '/routes/a')).toMatchObject({ status: 204 })
  })

  test('PUT creates a missing entity under the name or the id of its path', async () => {
    expect(await json('PUT', '/routes/a', { hosts: ['a.test'], name: 'b' })).toMatchObject({
      status: 200,
      body: { name: 'a' },
    })
    const id = crypto.randomUUID()
    expect(await json('PUT', `/routes/${id}`, { hosts: ['b.test'] })).toMatchObject({
      status: 200,
      body: { id, name: null },
    })
    expect(await json('PUT', '/certificates/mine', CERTIFICATE)).toMatchObject({
      status: 400,
      body: { fields: { id: 'expected a valid UUID' } },
    })
    expect(await json('PUT', '/plugins/mine', PLUGIN)).toMatchObject({
      body: { instance_name: 'mine' },
    })
  })

  test('PATCH merges records and replaces arrays', async () => {
    const { body } = await post('/plugins', PLUGIN)
    const config = { topics: [{ name: 'other' }] }
    const patched = await json('PATCH', `/plugins/${body.id}`, { config, enabled: false })
    expect(patched.body).toMatchObject({
      enabled: false,
      config: { ...PLUGIN.config, topics: [{ name: 'other' }] },
    })
    const form = await send('PATCH', `/plugins/${body.id}`, 'config.mode=server-sent-events', {
      'content-type': FORM,
    })
    expect(form.body.config).toMatchObject({ mode: 'server-sent-events', ...config })
    expect(await json('PATCH', '/plugins/none', {})).toMatchObject({ status: 404 })
    expect(await json('PATCH', `/plugins/${body.id}`, { id: crypto.randomUUID() })).toMatchObject({
      status: 400,
      body: { fields: { id: 'immutable field cannot be updated' } },
    })
  })

  test('are found under their parents', async () => {
    const service = await post('/services', { name: 's', url: 'http://kafka.test' })
    const route = await post('/services/s/routes', { name: 'r', paths: ['/'] })
    expect(route.body.service).toEqual({ id: service.body.id })
    const plugin = await post('/services/s/plugins', PLUGIN)
    expect(plugin.body).toMatchObject({ service: { id: service.body.id }, route: null })
    await post('/routes', { name: 'other', paths: ['/o'] })

    expect((await get('/services/s/routes')).body.data).toEqual([route.body])
    expect((await get('/services/s/plugins')).body.data).toEqual([plugin.body])
    expect((await get('/routes/r/plugins')).body.data).toEqual([])
    expect(await get('/services/s/routes/r')).toMatchObject({ status: 200 })
    expect(await get('/services/s/routes/other')).toMatchObject({ status: 404 })
    expect(await get(`/routes/r/plugins/${plugin.body.id}`)).toMatchObject({ status: 404 })
    for (const method of ['PATCH', 'DELETE']) {
      expect(await json(method, '/services/s/routes/other', {})).toMatchObject({ status: 404 })
    }
    expect(await post('/routes/none/plugins', PLUGIN)).toMatchObject({ status: 404 })

    await post('/consumers', { username: 'u' })
    expect(await post('/consumers/u/plugins', PLUGIN)).toMatchObject({ status: 201 })
    expect(await send('DELETE', `/services/s/plugins/${plugin.body.id}`)).toMatchObject({
      status: 204,
    })
  })

  test('removing a route removes its plugins; a service cannot be removed while it has routes', async () => {
    await post('/services', { name: 's', host: 'kafka' })
    await post('/services/s/routes', { name: 'r', paths: ['/'] })
    await post('/routes/r/plugins', PLUGIN)
    expect(await send('DELETE', '/services/s')).toMatchObject({
      status: 400,
      body: {
        message: "an existing 'routes' entity references this 'services' entity",
        name: 'foreign key violation',
        code: 4,
        fields: { '@referenced_by': 'routes' },
      },
    })
    await send('DELETE', '/routes/r')
    expect((await get('/plugins')).body).toEqual({ data: [], next: null })
    expect(await send('DELETE', '/services/s')).toMatchObject({ status: 204 })
  })
})

describe('server names', () => {
  const names = () => store.list('snis').map(({ name, certificate }) => [name, certificate.id])

  test('are entities, and a field of their certificate', async () => {
    const { body: certificate } = await post('/certificates', {
      ...CERTIFICATE,
      snis: ['b.test', '*.a.test'],
    })
    expect(certificate).toMatchObject({ key: '***', snis: ['*.a.test', 'b.test'] })
    const sni = await post('/snis', { name: 'c.*', certificate: { id: certificate.id } })
    expect(sni).toMatchObject({ status: 201, body: { name: 'c.*', tags: null } })
    expect((await get('/snis/c.*')).body).toEqual(sni.body)
    expect((await get(`/snis/${sni.body.id}`)).body).toEqual(sni.body)
    expect((await get('/snis')).body.data).toHaveLength(3)
    expect((await get(`/certificates/${certificate.id}/snis`)).body.data).toHaveLength(3)
    expect((await get('/certificates/b.test')).body).toMatchObject({
      id: certificate.id,
      snis: ['*.a.test', 'b.test', 'c.*'],
    })
    expect((await get('/certificates')).body.data).toMatchObject([
      { snis: ['*.a.test', 'b.test', 'c.*'] },
    ])
    expect((await get('/schemas/certificates')).status).not.toBe(500)
  })

  test('given with a certificate replace the names that it had, and the others stay', async () => {
    const form = `cert=${encodeURIComponent(CERTIFICATE.cert)}&key=${encodeURIComponent(CERTIFICATE.key)}`
    const type = { 'content-type': FORM }
    const first = await send('POST', '/certificates', `${form}&snis[]=a.test&snis[]=b.test`, type)
    const { id } = first.body
    const kept = store.get('snis', 'b.test')?.id
    const path = `/certificates/${id}`
    expect(await json('PATCH', path, { tags: ['x'] })).toMatchObject({
      body: { snis: ['a.test', 'b.test'] },
    })
    expect(await json('PATCH', path, { snis: ['b.test', 'c.test'] })).toMatchObject({
      body: { snis: ['b.test', 'c.test'] },
    })
    expect(store.get('snis', 'b.test')?.id).toBe(kept)
    expect(await json('PUT', path, { ...CERTIFICATE, snis: null })).toMatchObject({
      body: { snis: [] },
    })
    expect(names()).toEqual([])
  })

  test('belong to one certificate each, and go with it', async () => {
    const { body: first } = await post('/certificates', { ...CERTIFICATE, snis: ['a.test'] })
    const error = `a.test already associated with existing certificate '${first.id}'`
    expect(await post('/certificates', { ...CERTIFICATE, snis: ['a.test'] })).toMatchObject({
      status: 400,
      body: { fields: { snis: error } },
    })
    expect(store.list('certificates')).toHaveLength(1)
    const again = { name: 'a.test', certificate: { id: first.id } }
    expect(await post('/snis', again)).toMatchObject({ status: 409 })
    const nowhere = { name: 'b.test', certificate: { id: crypto.randomUUID() } }
    expect(await post('/snis', nowhere)).toMatchObject({ status: 400, body: { code: 4 } })
    await send('DELETE', `/certificates/${first.id}`)
    expect(names()).toEqual([])
  })

  test('of a document read what it had written', async () => {
    await post('/certificates', { ...CERTIFICATE, snis: ['a.test'] })
    const before = names()
    const { body: document } = await get('/config')
    expect(document.snis).toMatchObject([{ name: 'a.test' }])
    expect(await post('/config', document)).toMatchObject({ status: 201 })
    expect(names()).toEqual(before)
  })
})

describe('pages', () => {
  beforeEach(async () => {
    for (let n = 1; n <= 5; n++) {
      await post('/routes', { name: `r${n}`, paths: [`/${n}`], tags: n % 2 ? ['odd', 'x'] : ['x'] })
    }
  })

  test('lead to all entities, also when some are removed on the way', async () => {
    const names: string[] = []
    let next: string | null = '/routes?size=2'
    while (next !== null) {
      const { body }: Answer = await get(next)
      expect(body.data.length).toBeLessThanOrEqual(2)
      names.push(...body.data.map(({ name }: { name: string }) => name))
      await send('DELETE', `/routes/${body.data.at(-1).id}`)
      expect(body.next === null).toBe(body.offset === undefined)
      next = body.next
    }
    expect(names.sort()).toEqual(['r1', 'r2', 'r3', 'r4', 'r5'])
  })

  test('by tags hold only the entities that have them', async () => {
    const count = async (tags: string) => (await get(`/routes?tags=${tags}`)).body.data.length
    expect(await count('odd')).toBe(3)
    expect(await count('odd,x')).toBe(3)
    expect(await count('odd/x')).toBe(5)
    expect(await count('even')).toBe(0)
    expect(await get('/routes?tags=')).toMatchObject({ status: 400, body: { code: 11 } })
  })

  test('take a size within limits, and an offset that the server gave out', async () => {
    expect((await get('/routes?size=1000')).body.data).toHaveLength(5)
    for (const size of ['0', '1001', '-1', '1.5', 'x', '']) {
      expect(await get(`/routes?size=${size}`)).toMatchObject({
        status: 400,
        body: {
          message: 'size must be an integer between 1 and 1000',
          name: 'invalid size',
          code: 9,
        },
      })
    }
    expect(await get('/routes?offset=%2A')).toMatchObject({
      status: 400,
      body: { name: 'invalid offset', code: 7 },
    })
  })
})

describe('requests that are refused', () => {
  test('a name that another entity has', async () => {
    await post('/routes', { name: 'x', hosts: ['a'] })
    expect(await post('/routes', { name: 'x', hosts: ['a'] })).toMatchObject({
      status: 409,
      body: {
        message: 'UNIQUE violation detected on \'{name="x"}\'',
        name: 'unique constraint violation',
        fields: { name: 'x' },
        code: 5,
      },
    })
    await post('/routes', { name: 'y', hosts: ['a'] })
    expect(await json('PATCH', '/routes/y', { name: 'x' })).toMatchObject({ status: 409 })
    await post('/plugins', PLUGIN)
    expect(await post('/plugins', PLUGIN)).toMatchObject({
      status: 409,
      body: { fields: { name: 'kafka-consume', route: null, service: null, consumer: null } },
    })
    const id = store.get('routes', 'x')?.id
    expect(await post('/routes', { id, hosts: ['a'] })).toMatchObject({
      status: 400,
      body: { name: 'primary key violation', code: 3, fields: { id } },
    })
  })

  test('invalid fields, in Kong’s form', async () => {
    expect(await post('/routes/', { hosts: 'a', nope: 1 })).toMatchObject({
      status: 400,
      body: {
        message: '2 schema violations (hosts: expected an array; nope: unknown field)',
        name: 'schema violation',
        code: 2,
        fields: { hosts: 'expected an array', nope: 'unknown field' },
      },
    })
    expect((await post('/routes', {})).body.fields).toEqual({
      '@entity': [expect.stringContaining('must set one of')],
    })
    const named = (snis: string[], protocols = ['https']) => post('/routes', { snis, protocols })
    expect((await named(['a.test'], ['http'])).body.fields).toEqual({
      snis: "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'",
    })
    expect((await named(['a.test:443'])).body.fields).toEqual({
      snis: { 1: 'must be a name without a port' },
    })
    expect((await named([])).body.fields).toEqual({
      '@entity': [
        "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'",
      ],
    })
    await post('/routes', { name: 'r', hosts: ['a'] })
    expect(await curl('/routes/r/plugins', 'name=kafka-consume')).toMatchObject({
      status: 400,
      body: { fields: { config: { topics: 'required field missing' } } },
    })
    expect(await curl('/routes', 'hosts[0]=a')).toMatchObject({
      status: 400,
      body: {
        message: 'schema violation (hosts: array indexes begin at 1 and leave none out)',
        fields: { hosts: 'array indexes begin at 1 and leave none out' },
      },
    })
    expect(await curl('/routes', 'config.__proto__.x=1')).toMatchObject({
      status: 400,
      body: { message: 'schema violation (config.__proto__.x: unknown field)' },
    })
    expect(await post('/plugins', { name: 'acl' })).toMatchObject({
      status: 400,
      body: {
        message:
          "schema violation (name: plugin 'acl' not enabled; add it to the 'plugins' configuration property)",
      },
    })
  })

  test('references to entities that do not exist', async () => {
    const id = crypto.randomUUID()
    expect(await curl('/routes', 'hosts=a', `service.id=${id}`)).toMatchObject({
      status: 400,
      body: { name: 'foreign key violation', code: 4, fields: { service: { id } } },
    })
    expect(await curl('/routes', 'hosts=a', 'service.name=s')).toMatchObject({
      status: 400,
      body: { name: 'foreign keys unresolved', code: 13 },
    })
  })

  test('methods that a path does not support', async () => {
    for (const [method, path, allow] of [
      ['PUT', '/routes', 'GET, HEAD, OPTIONS, POST'],
      ['POST', '/routes/a', 'DELETE, GET, HEAD, OPTIONS, PATCH, PUT'],
      ['POST', '/status', 'GET, HEAD, OPTIONS'],
      ['DELETE', '/config', 'GET, HEAD, OPTIONS, POST'],
      ['GET', '/schemas/plugins/validate', 'OPTIONS, POST'],
    ] as const) {
      const { status, body, headers } = await send(method, path)
      expect({ method, path, status, body }).toEqual({
        ...{ method, path, status: 405 },
        body: { message: 'Method not allowed' },
      })
      expect(headers.get('allow')).toBe(allow)
    }
    expect(await send('OPTIONS', '/routes')).toMatchObject({ status: 204 })
    expect(await get('/nowhere')).toMatchObject({ status: 404, body: { message: 'Not found' } })
  })

  test('bodies that cannot be read', async () => {
    const bad = new Uint8Array([0x7b, 0xff, 0x7d])
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    const type = 'application/json'
    for (const [body, contentType, status] of [
      ['', type, 400],
      ['{', type, 400],
      ['null', type, 400],
      ['[]', type, 400],
      ['1', type, 400],
      ['{"__proto__":{"hosts":["a"]}}', type, 400],
      ['{"constructor":{"prototype":{"x":1}}}', type, 400],
      ['{"name":"a","name":"b c"}', type, 400],
      [bad, type, 400],
      [deep, type, 400],
      [`{"a":${deep}}`, type, 400],
      [bad, FORM, 400],
      ['name=%FF', FORM, 400],
      ['name=%zz', FORM, 400],
      ['a=1&'.repeat(2_000), FORM, 400],
      ['x', 'multipart/form-data', 400],
      ['x', 'multipart/form-data; boundary=y', 400],
      ['{}', 'text/plain', 415],
      ['{}', 'application/jsonp', 415],
      ['hosts: [a]', 'application/yaml', 415],
      [' '.repeat(8 * 1024 * 1024 + 1), type, 413],
      ['a'.repeat(10 * 1024 * 1024), FORM, 413],
    ] as const) {
      for (const path of ['/routes', '/plugins', '/schemas/plugins/validate']) {
        const answer = await send('POST', path, body, { 'content-type': contentType })
        expect({ status: answer.status, message: typeof answer.body.message }).toEqual({
          status,
          message: 'string',
        })
      }
    }
    expect(await send('POST', '/routes', '{', { 'content-type': type })).toMatchObject({
      body: { message: 'Cannot parse JSON body' },
    })
    expect(await send('POST', '/routes')).toMatchObject({ status: 400, body: { code: 2 } })
    expect(store.list('routes')).toEqual([])
    expect(({} as Record<string, unknown>)['hosts']).toBeUndefined()
  })

  test('a change that cannot be served changes nothing, and its answer gives the reason', async () => {
    store.onChange(({ plugins }) => {
      if (plugins.length > 0) {
        throw new KafkaConsumeError('INVALID_OPTIONS', 'Cannot use these options: topics')
      }
    })
    expect(await post('/plugins', PLUGIN)).toMatchObject({
      status: 400,
      body: {
        message: 'schema violation (Cannot use these options: topics)',
        fields: { '@entity': ['Cannot use these options: topics'] },
      },
    })
    expect(store.list('plugins')).toEqual([])
  })

  test('the answer and the log name a state that cannot be saved; the answer hides an unexpected error, and the log has it whole', async () => {
    let thrown = new Error('Cannot save state to /state: disk full')
    store.onChange(() => {
      throw thrown
    })
    expect(await post('/routes', { hosts: ['a'] })).toMatchObject({
      status: 500,
      body: { message: 'Cannot save state to /state: disk full' },
    })
    expect(messagesOf(logged).join()).toEndWith('/routes: Cannot save state to /state: disk full')
    expect(logged[0]?.properties['cause']).not.toBeInstanceOf(Error)
    thrown = new TypeError('undefined is not a function: hunter2')
    expect(await post('/routes', { hosts: ['a'] })).toMatchObject({
      status: 500,
      body: { message: 'An unexpected error occurred' },
    })
    expect(logged[1]?.properties['cause']).toBe(thrown)
    expect(store.list('routes')).toEqual([])
  })
})

describe('secrets', () => {
  const authentication = { user: 'me', password: 'hunter2' }
  const plugin = { ...PLUGIN, config: { ...PLUGIN.config, authentication } }
  const held = () => store.list('plugins')[0]?.config['authentication'] as typeof authentication

  test('are left out of every answer', async () => {
    const { body } = await post('/plugins', plugin)
    const certificate = await post('/certificates', CERTIFICATE)
    expect(certificate.body).toMatchObject({ cert: CERTIFICATE.cert, key: '***' })
    const answers = [
      body,
      certificate.body,
      (await json('PATCH', `/plugins/${body.id}`, { enabled: false })).body,
      (await json('PUT', `/plugins/${body.id}`, plugin)).body,
    ]
    for (const path of [
      ...['/plugins', `/plugins/${body.id}`, '/certificates', '/config', '/', '/status'],
      `/certificates/${certificate.body.id}`,
    ]) {
      answers.push((await get(path)).body)
    }
    const { body: document } = await get('/config')
    answers.push((await post('/config', document)).body)
    expect(JSON.stringify(answers)).not.toMatch(/hunter2|MIIE/)
  })

  test('stay when a client sends their mask back', async () => {
    const { body } = await post('/plugins', plugin)
    expect(body.config.authentication.password).toBe('***')
    for (const method of ['PATCH', 'PUT']) {
      const answer = await json(method, `/plugins/${body.id}`, body)
      expect(answer).toMatchObject({ status: 200, body: { config: body.config } })
      expect(held().password).toBe('hunter2')
    }
    const config = { authentication: { password: 'other' } }
    await json('PATCH', `/plugins/${body.id}`, { config })
    expect(held()).toMatchObject({ user: 'me', password: 'other' })

    const certificate = await post('/certificates', CERTIFICATE)
    await json('PUT', `/certificates/${certificate.body.id}`, certificate.body)
    expect(store.list('certificates')[0]?.key).toBe(CERTIFICATE.key)
  })

  test('a mask is never stored as a secret', async () => {
    const masked = { ...authentication, password: '***' }
    const config = { ...PLUGIN.config, authentication: masked }
    for (const path of ['/plugins', '/schemas/plugins/validate']) {
      expect(await post(path, { ...PLUGIN, config })).toMatchObject({
        status: 400,
        body: {
          fields: {
            config: {
              authentication: {
                password: expect.stringContaining('*** stands for a secret that is not held here'),
              },
            },
          },
        },
      })
    }
    expect(await post('/certificates', { ...CERTIFICATE, key: '***' })).toMatchObject({
      status: 400,
    })
  })

  test('references to a vault are shown', async () => {
    const password = '{vault://env/KAFKA_PASSWORD}'
    const config = { ...PLUGIN.config, authentication: { ...authentication, password } }
    process.env['KAFKA_PASSWORD'] = 'hunter2'
    try {
      const { body } = await post('/plugins', { ...PLUGIN, config })
      expect(body.config.authentication.password).toBe(password)
    } finally {
      // Later files of tests start gateways from this environment.
      delete process.env['KAFKA_PASSWORD']
    }
  })
})

describe('/config', () => {
  const YAML = `
_format_version: "3.0"
routes:
  - name: a
    hosts: [a.test]
    plugins:
      - name: kafka-consume
        config:
          bootstrap_servers: [{ host: localhost, port: 9092 }]
          topics: [{ name: kong-test }]
`
  const load = (body: BodyInit, type: string) =>
    send('POST', '/config', body, { 'content-type': type })

  test('accepts a document in each form that Kong accepts', async () => {
    const parsed = Bun.YAML.parse(YAML)
    const form = new FormData()
    form.set('config', new Blob([YAML]), 'kong.yaml')
    for (const send of [
      () => load(YAML, 'application/yaml'),
      () => load(YAML, 'text/yaml; charset=utf-8'),
      () => load(JSON.stringify(parsed), 'application/json'),
      () => load(JSON.stringify({ config: YAML }), 'application/json'),
      () => load(new URLSearchParams({ config: YAML }).toString(), FORM),
      () => admin.request('/config', { method: 'POST', body: form }),
    ]) {
      store.insert('routes', { name: 'old', hosts: ['x'] })
      const answer = await send()
      expect(answer.status).toBe(201)
      expect(store.list('routes').map(({ name }) => name)).toEqual(['a'])
      expect(store.list('plugins')[0]?.route?.id).toBe(store.get('routes', 'a')?.id ?? '')
    }
    const { body } = await load(YAML, 'text/yaml')
    const [id] = Object.keys(body.routes)
    expect(body.routes[id ?? '']).toMatchObject({ id, name: 'a' })
  })

  test('writes a document that has an equal effect when it is read', async () => {
    await load(YAML, 'text/yaml')
    await post('/services', { name: 's', url: 'http://kafka.test' })
    await post('/services/s/routes', { name: 'b', paths: ['~/b/\\d+'], headers: { x: ['1'] } })
    await post('/consumers', { username: 'u', tags: ['t'] })
    await post('/certificates', CERTIFICATE)
    const config = {
      ...PLUGIN.config,
      authentication: { user: 'u', password: 'p' },
    }
    await post('/plugins', { ...PLUGIN, config })
    const before = store.snapshot()
    const { body } = await get('/config')
    expect(body._format_version).toBe('3.0')
    expect(await post('/config', body)).toMatchObject({ status: 201 })
    expect(store.snapshot()).toEqual(before)
  })

  test('a bad document changes nothing', async () => {
    await load(YAML, 'text/yaml')
    const before = store.snapshot()
    for (const [body, type, status] of [
      ['', 'text/yaml', 400],
      ['a: [', 'text/yaml', 400],
      ['1', 'text/yaml', 400],
      ['{}', 'application/json', 400],
      ['{', 'application/json', 400],
      ['null', 'application/json', 400],
      ['other=1', FORM, 400],
      [YAML.replace('localhost', '""').replace('[a.test]', 'a'), 'text/yaml', 400],
      [YAML.replace('kafka-consume', 'acl'), 'text/yaml', 400],
      [`${YAML}\n  - {name: a, hosts: [b]}`, 'text/yaml', 400],
      [YAML, 'text/plain', 415],
      ['#'.repeat(8 * 1024 * 1024 + 1), 'text/yaml', 413],
    ] as const) {
      const answer = await load(body, type)
      expect({ body: body.slice(0, 40), status: answer.status }).toEqual({
        ...{ body: body.slice(0, 40), status },
      })
      expect(answer.body.message).toBeString()
      expect(store.snapshot()).toBe(before)
    }
    expect(await load(YAML.replace('kafka-consume', 'acl'), 'text/yaml')).toMatchObject({
      body: {
        message: expect.stringMatching(/^declarative config is invalid: .*acl/),
        name: 'invalid declarative configuration',
        code: 14,
      },
    })
  })
})

describe('errors of a document', () => {
  const document = {
    _format_version: '3.0',
    services: [
      { name: 'fine', host: 'a' },
      {
        ...{ name: 's', host: 'a', id: '6f0c8a52-d5c9-4d0f-9b0e-6c1f3a7be214', tags: ['t'] },
        routes: [
          { name: 'r', paths: ['x'], protocols: ['http', 'nope'] },
          { name: 'q', paths: ['/q'], plugins: [{ name: 'jwt', config: { nope: 1 } }] },
        ],
        retries: -1,
      },
    ],
    consumers: [
      { username: 'ann', jwt_secrets: [{ key: 'k', secret: 'planted', algorithm: 'x' }] },
    ],
    routes: [{ name: 'lonely' }],
  }

  test('are nested as the document is, as in Kong', async () => {
    const { status, body } = await post('/config', document)
    expect({ status, name: body.name, code: body.code }).toEqual({
      ...{ status: 400, name: 'invalid declarative configuration', code: 14 },
    })
    expect(body.fields).toEqual({
      services: [
        null,
        {
          retries: 'value should be between 0 and 32767',
          routes: [
            {
              protocols: [null, 'expected one of: http, https, ws, wss'],
              paths: ['should start with: / (fixed path) or ~/ (regex path)'],
            },
            { plugins: [{ config: { nope: 'unknown field' } }] },
          ],
        },
      ],
      consumers: [{ jwt_secrets: [{ algorithm: expect.stringContaining('expected one of') }] }],
      routes: [{ '@entity': [expect.stringContaining('must set one of')] }],
    })
  })

  test('are listed by entity with flatten_errors=1, without secrets', async () => {
    const { status, body } = await post('/config?flatten_errors=1', document)
    expect({ status, fields: body.fields }).toEqual({ status: 400, fields: {} })
    expect(JSON.stringify(body)).not.toContain('planted')
    const byType = (type: string, name?: string) =>
      body.flattened_errors.find(
        (each: { entity_type: string; entity_name?: string }) =>
          each.entity_type === type && each.entity_name === name,
      )
    expect(byType('service', 's')).toEqual({
      entity_type: 'service',
      entity_id: '6f0c8a52-d5c9-4d0f-9b0e-6c1f3a7be214',
      entity_name: 's',
      entity_tags: ['t'],
      entity: { ...document.services[1], routes: undefined },
      errors: [{ type: 'field', field: 'retries', message: 'value should be between 0 and 32767' }],
    })
    expect(byType('plugin', 'jwt').errors).toEqual([
      { type: 'field', field: 'config.nope', message: 'unknown field' },
    ])
    expect(byType('jwt_secret').entity).toEqual({ key: 'k', secret: '***', algorithm: 'x' })
    expect(byType('route', 'lonely').errors).toEqual([
      { type: 'entity', message: expect.stringContaining('must set one of') },
    ])
  })

  test('that belong to no entity stay among the fields', async () => {
    const { body } = await post('/config?flatten_errors=1', { routes: 1, nonsense: 2 })
    expect(body).toMatchObject({
      flattened_errors: [],
      fields: { _format_version: 'required field missing', routes: 'expected an array' },
    })
  })
})

describe('information routes', () => {
  test('show version, plugins, connections and endpoints', async () => {
    await post('/plugins', PLUGIN)
    expect(await get('/')).toMatchObject({
      status: 200,
      body: {
        version: '3.15.0.0',
        gateway: { name: 'hono-kafka-consume', version: '1.2.3' },
        plugins: {
          available_on_server: { 'kafka-consume': {} },
          enabled_in_cluster: ['kafka-consume'],
        },
      },
    })
    expect(await get('/status')).toMatchObject({ body: { server: { connections_active: 1 } } })
  })

  test('the configuration hash tells one configuration from another, not from itself', async () => {
    const hash = async () => (await get('/status')).body.configuration_hash
    expect(await hash()).toBe('0'.repeat(32))
    await post('/config', { _format_version: '3.0', routes: [{ name: 'a', paths: ['/a'] }] })
    const first = await hash()
    expect(first).toMatch(/^[0-9a-f]{32}$/)
    await json('PATCH', '/routes/a', { paths: ['/b'] })
    expect(await hash()).not.toBe(first)
    await json('PATCH', '/routes/a', { paths: ['/a'] })
    expect(await hash()).toBe(first)
  })

  test('name one workspace, which paths may begin with', async () => {
    const { body } = await get('/workspaces')
    expect(body.data).toEqual([{ id: expect.stringMatching(UUID), name: 'default' }])
    expect(await get('/workspaces/default')).toMatchObject({ status: 200, body: body.data[0] })
    expect(await get('/workspaces/other')).toMatchObject({ status: 404 })
    const made = await post('/default/routes', { name: 'a', hosts: ['a.test'] })
    expect(made.status).toBe(201)
    expect(await get('/routes/a')).toMatchObject({ status: 200, body: made.body })
    expect(await get('/default/routes/a')).toMatchObject({ status: 200, body: made.body })
    expect(await get('/default/default/routes')).toMatchObject({ status: 404 })
    expect(await get('/other/routes')).toMatchObject({ status: 404 })
  })

  test('list plugins and endpoints', async () => {
    expect((await get('/plugins/enabled')).body).toEqual({ enabled_plugins: PLUGIN_NAMES })
    expect((await get('/endpoints')).body.data).toContain('/routes/{key}')
    const head = await send('HEAD', '/routes')
    expect(head).toMatchObject({ status: 200, body: undefined })
  })

  test('the header Server has the versions of the gateway and of the Kong that it stands for', async () => {
    for (const path of ['/', '/nowhere', '/routes']) {
      const { headers } = await get(path)
      expect(headers.get('server')).toBe('hono-kafka-consume/1.2.3 (kong/3.15.0.0)')
    }
  })

  test('collections of entities that this gateway does not have are empty, and stay so', async () => {
    for (const path of ['/upstreams', '/vaults', '/ca_certificates', '/consumer_groups', '/acls']) {
      expect(await get(path)).toMatchObject({ status: 200, body: { data: [], next: null } })
      expect(await get(`${path}/a`)).toMatchObject({ status: 404 })
      expect(await post(path, { name: 'a' })).toMatchObject({
        status: 400,
        body: { message: `Cannot create an entity of ${path}: this gateway does not have them` },
      })
    }
  })

  test('each kind of entity has a schema with its defaults, and is checked without being kept', async () => {
    const defaultsOf = ({
      fields,
    }: {
      fields: ReadonlyArray<Record<string, { default?: unknown }>>
    }) =>
      Object.fromEntries(
        fields.flatMap((field) =>
          Object.entries(field).flatMap(([name, { default: value }]) =>
            value === undefined ? [] : [[name, value]],
          ),
        ),
      )
    for (const kind of KINDS) {
      expect((await get(`/schemas/${kind}`)).body.fields).toBeArray()
      expect(await post(`/schemas/${kind}/validate`, { nonsense: 1 })).toMatchObject({
        status: 400,
        body: { code: 2 },
      })
      expect(store.list(kind)).toEqual([])
    }
    const services = await get('/schemas/services')
    expect(defaultsOf(services.body)).toMatchObject({ protocol: 'http', port: 80, retries: 5 })
    const route = {
      paths: ['/a'],
      service: { id: '6f0c8a52-d5c9-4d0f-9b0e-6c1f3a7be214', name: 'x' },
    }
    expect(await post('/schemas/routes/validate', route)).toMatchObject({ status: 200 })
    expect(await get('/schemas/upstreams')).toMatchObject({
      status: 404,
      body: { message: "No entity named 'upstreams'" },
    })
  })

  test.each([
    ['kafka-consume', ['grpc', 'grpcs', 'http', 'https', 'ws', 'wss'], undefined],
    ['key-auth', ['grpc', 'grpcs', 'http', 'https', 'ws', 'wss'], null],
    ['rate-limiting', ['grpc', 'grpcs', 'http', 'https'], undefined],
    ['jwt', ['grpc', 'grpcs', 'http', 'https'], null],
  ])('%s has the protocols and scopes that Kong gives it', async (name, protocols, eq) => {
    const { fields } = (await get(`/schemas/plugins/${name}`)).body
    const field = Object.assign({}, ...fields)
    expect(field.protocols).toMatchObject({ default: protocols, elements: { one_of: protocols } })
    expect(field.consumer.eq).toBe(eq)
    expect(field.config.type).toBe('record')
    const config =
      name === 'kafka-consume' ? PLUGIN.config : name === 'rate-limiting' ? { minute: 1 } : {}
    expect((await post('/plugins', { name, config })).body.protocols).toEqual(protocols)
  })

  test('a plugin that does not run on WebSockets refuses their protocols', async () => {
    const plugin = { name: 'rate-limiting', protocols: ['http', 'ws'], config: { minute: 1 } }
    expect(await post('/plugins', plugin)).toMatchObject({
      status: 400,
      body: { fields: { protocols: { 2: 'expected one of: grpc, grpcs, http, https' } } },
    })
  })

  test('show the plugin’s schema, and check a plugin against it', async () => {
    expect((await get('/schemas/plugins/kafka-consume')).body.fields).toBeArray()
    expect(await get('/schemas/plugins/acl')).toMatchObject({
      status: 404,
      body: { message: "No plugin named 'acl'" },
    })
    expect(await post('/schemas/plugins/validate', PLUGIN)).toMatchObject({
      status: 200,
      body: { message: 'schema validation successful' },
    })
    expect(await post('/schemas/plugins/validate', { name: 'kafka-consume' })).toMatchObject({
      status: 400,
      body: { code: 2 },
    })
    expect(store.list('plugins')).toEqual([])
  })
})

describe('a web page that calls the Admin API', () => {
  const hosts: ReadonlyArray<readonly [string, number]> = [
    ['localhost:8001', 200],
    ['LOCALHOST', 200],
    ['127.0.0.1:8001', 200],
    ['[::1]:8001', 200],
    ['192.168.1.5:8001', 200],
    ['gateway:8001', 200],
    ['evil.test', 403],
    ['localhost.evil.test', 403],
    ['127.0.0.1.evil.test', 403],
    ['user@localhost', 400],
    ['a b', 400],
  ]
  for (const [host, status] of hosts) {
    test(`Host: ${host} is answered with ${status}`, async () => {
      expect((await get('/status', { host })).status).toBe(status)
    })
  }

  test('a request with another origin is refused, and may not be read', async () => {
    const own = { host: 'localhost:8001' }
    for (const [headers, status] of [
      [{ origin: 'http://evil.test' }, 403],
      [{ origin: 'null' }, 403],
      [{ origin: 'http://localhost:3000' }, 403],
      [{ 'sec-fetch-site': 'cross-site' }, 403],
      [{ 'sec-fetch-site': 'same-site' }, 403],
      [{ origin: 'http://localhost:8001' }, 201],
      [{ 'sec-fetch-site': 'none' }, 201],
    ] as const) {
      const all: Record<string, string> = { ...own, ...headers, 'content-type': FORM }
      const answer = await send('POST', '/routes', 'hosts=a', all)
      expect({ headers, status: answer.status }).toEqual({ headers, status })
      expect([...answer.headers.keys()].filter((name) => name.startsWith('access-'))).toEqual([])
    }
  })
})
