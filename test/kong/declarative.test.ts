/**
 * Kong's declarative documents. The file has more than 400 lines because it has a document for each
 * error.
 */
import { describe, expect, test } from 'bun:test'
import { type Declared, readDeclarative } from '../../src/kong/config/declarative.ts'
import { InvalidDeclarative } from '../../src/kong/config/invalid-declarative.ts'
import { writeDeclarative } from '../../src/kong/config/write-declarative.ts'

const CONFIG = `{bootstrap_servers: [{host: kafka, port: 9092}], topics: [{name: orders}]}`
const PLUGIN = `{name: kafka-consume, config: ${CONFIG}}`

interface Given {
  readonly environment?: Record<string, string>
  readonly ignoreUnknown?: boolean
  readonly format?: 'yaml' | 'json'
  /** Whether the version stands in the text already. */
  readonly whole?: boolean
}

function read(text: string, given: Given = {}): Promise<Declared> {
  const { environment = {}, ignoreUnknown = false, format = 'yaml', whole = false } = given
  return readDeclarative(whole ? text : `_format_version: "3.0"\n${text}`, {
    environment,
    ignoreUnknown,
    format,
  })
}

async function refusal(text: string, given: Given = {}): Promise<InvalidDeclarative> {
  try {
    await read(text, given)
  } catch (error) {
    if (error instanceof InvalidDeclarative) return error
    throw error
  }
  throw new Error(`This was read: ${text}`)
}

const DECK = `
_transform: true
_info: {select_tags: [kafka]}
services:
- name: kafka
  url: http://kafka.internal
  routes:
  - name: orders
    paths: [~/orders/\\d+$]
    plugins:
    - ${PLUGIN}
  plugins:
  - ${PLUGIN}
routes:
- name: any
  hosts: ["*.example.com"]
  service: kafka
- {methods: [GET], hosts: [x], service: {name: kafka}}
plugins:
- ${PLUGIN}
- {name: kafka-consume, route: any, config: ${CONFIG}}
consumers:
- username: reader
`

describe('a file as decK writes it', () => {
  test('may nest entities or refer to them by name', async () => {
    const { services, routes, plugins, consumers, warnings } = await read(DECK)
    expect(warnings).toEqual([])
    expect(services).toMatchObject([{ name: 'kafka', host: 'kafka.internal', port: 80 }])
    expect(routes.map(({ name, service }) => [name, service?.id === services[0]?.id])).toEqual([
      ['orders', true],
      ['any', true],
      [null, true],
    ])
    const on = plugins.map(({ route, service }) => [
      routes.find(({ id }) => id === route?.id)?.name,
      service !== null,
    ])
    expect(on).toEqual([
      ['orders', false],
      [undefined, true],
      [undefined, false],
      ['any', false],
    ])
    expect(consumers).toMatchObject([{ username: 'reader' }])
  })

  test('gives ids that do not change by another reading, order or configuration', async () => {
    const ids = ({ plugins, routes, services }: Declared) =>
      [...plugins, ...routes, ...services].map(({ id }) => id)
    const first = ids(await read(DECK))
    expect(new Set(first).size).toBe(first.length)
    for (const id of first) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab]/)
    expect(ids(await read(DECK))).toEqual(first)
    expect(ids(await read(DECK.replaceAll('name: orders}', 'name: payments}')))).toEqual(first)
  })

  test('keeps ids that it contains', async () => {
    const id = '5b4a6b0e-7f41-4f0e-9c8b-0f6d7ad1c001'
    const { routes, plugins } = await read(
      `routes:\n- {id: ${id}, hosts: [a]}\nplugins:\n- {name: kafka-consume, route: ${id}, config: ${CONFIG}}`,
    )
    expect(routes[0]?.id).toBe(id)
    expect(plugins[0]?.route).toEqual({ id })
  })

  test('may be JSON', async () => {
    const document = { _format_version: '3.0', routes: [{ name: 'a', hosts: ['a'] }] }
    const given = { format: 'json', whole: true } as const
    const { routes } = await read(JSON.stringify(document), given)
    expect(routes).toMatchObject([{ name: 'a' }])
    expect((await read(JSON.stringify(document), { whole: true })).routes).toHaveLength(1)
  })

  test('may use anchors and merge keys', async () => {
    const { plugins } = await read(`
routes:
- {name: a, hosts: [a], plugins: [{name: kafka-consume, config: &c ${CONFIG}}]}
- {name: b, hosts: [b], plugins: [{name: kafka-consume, config: {<<: *c, mode: server-sent-events}}]}
`)
    expect(plugins.map(({ config }) => config['mode'])).toEqual(['http-get', 'server-sent-events'])
  })

  test('has texts in `off` and `yes` without quotes, as decK reads them', async () => {
    const { routes } = await read('routes: [{hosts: [a], tags: [off, yes]}]')
    expect(routes[0]?.tags).toEqual(['off', 'yes'])
  })

  test('has an equal effect after it was written and read again', async () => {
    const { warnings: _, ...snapshot } = await read(DECK)
    const written = JSON.stringify(writeDeclarative(snapshot))
    const { warnings, ...again } = await read(written, { format: 'json', whole: true })
    expect(warnings).toEqual([])
    expect(again).toEqual(snapshot)
  })
})

describe('a file as Kong and its tools write it', () => {
  test('may have remarks, ids of workspaces, null fields of newer plugins and empty lists', async () => {
    const { routes, services, plugins, warnings } = await read(
      `_format_version: "3.0"
_transform: false
_comment: made by hand
_ignore: [a]
_konnect: {control_plane_name: default}
_plugin_configs: {}
_info: {defaults: {}, default_lookup_tags: {consumers: [a]}}
_workspace: default
upstreams: []
vaults: []
services:
- {name: s, host: h, tls_sans: {dnsnames: [a.test], uris: null}, routes: [], plugins: [], ws_id: 0c61e164-6171-4837-8836-8f5298726d53}
routes:
- name: r
  paths: [/r]
  _comment: the route
  _ignore: [b]
  expression: null
  of_a_later_version: null
  plugins:
  - {name: key-auth, config: {principals: null, identity_realms: [{id: null, scope: cp}], later: null}}
  - {name: basic-auth, config: {principals: null, brute_force_protection: null}}
consumers:
- {username: u, groups: [], acls: [], hmacauth_credentials: [], plugins: []}`,
      { whole: true },
    )
    expect(warnings).toEqual([])
    expect(routes).toHaveLength(1)
    expect(services).toHaveLength(1)
    expect(plugins.map(({ name }) => name)).toEqual(['key-auth', 'basic-auth'])
    for (const entity of [...routes, ...services]) {
      for (const field of ['_comment', '_ignore', 'ws_id', 'of_a_later_version']) {
        expect(entity).not.toHaveProperty(field)
      }
    }
  })

  test('may have the defaults of its services and routes, and tags of all its entities', async () => {
    const { routes, services, plugins } = await read(`
_info:
  select_tags: [team-a]
  defaults:
    service: {port: 8080, protocol: https}
    route: {strip_path: false, tags: [b]}
services:
- {name: s, host: h, port: 1}
routes:
- {name: r, paths: [/r], tags: [a], plugins: [{name: cors}]}`)
    expect(services).toMatchObject([{ port: 1, protocol: 'https', tags: ['team-a'] }])
    expect(routes).toMatchObject([{ strip_path: false, tags: ['a', 'team-a'] }])
    expect(plugins).toMatchObject([{ tags: ['team-a'] }])
  })

  test('may have configurations that several plugins share', async () => {
    const shared = `_plugin_configs: {limits: {minute: 5, error_message: slow down}}`
    const { plugins } = await read(`${shared}
routes:
- {paths: [/a], plugins: [{name: rate-limiting, _config: limits}]}
- {paths: [/b], plugins: [{name: rate-limiting, _config: limits, config: {minute: 7}}]}`)
    expect(plugins.map(({ config }) => [config['minute'], config['error_message']])).toEqual([
      [5, 'slow down'],
      [7, 'slow down'],
    ])
    const { fields } = await refusal(`${shared}\nplugins: [{name: rate-limiting, _config: other}]`)
    expect(fields).toMatchObject({ 'plugins[0]': { _config: 'unknown field' } })
  })

  test.each(['1.1', '2.1'])('of format %s has expressions without a tilde', async (version) => {
    const { routes } = await read(
      `_format_version: "${version}"
routes: [{paths: ['/a/\\d+$', /b//c, /d]}]
services: [{name: s, host: h, routes: [{paths: ['/e/(f|g)']}]}]`,
      { whole: true },
    )
    expect(routes.map(({ paths }) => paths)).toEqual([['~/a/\\d+$', '/b/c', '/d'], ['~/e/(f|g)']])
  })

  test('loses only the unknown fields of its configurations with ignoreUnknown, each with a warning', async () => {
    const text = `routes:
- name: r
  paths: [/r]
  plugins:
  - name: kafka-consume
    config: {bootstrap_servers: [{host: k, port: 1, rack: a}], topics: [{name: t}], shape: round}
  - {name: key-auth, config: {size: 1, weight: 2}}`
    const { plugins, routes, warnings } = await read(text, { ignoreUnknown: true })
    expect(routes).toHaveLength(1)
    expect(plugins.map(({ name }) => name)).toEqual(['kafka-consume', 'key-auth'])
    expect([...warnings].sort()).toEqual([
      'routes[0].plugins[0]: field "config.bootstrap_servers.1.rack" is not served, skipped',
      'routes[0].plugins[0]: field "config.shape" is not served, skipped',
      'routes[0].plugins[1]: field "config.size" is not served, skipped',
      'routes[0].plugins[1]: field "config.weight" is not served, skipped',
    ])
    expect(Object.keys((await refusal(text)).fields)).toHaveLength(2)
  })
})

test('server names stand in their certificate or refer to it', async () => {
  const pem = (label: string) => `"-----BEGIN ${label}-----\\nMIIB\\n-----END ${label}-----"`
  const certificate = `cert: ${pem('CERTIFICATE')}, key: ${pem('PRIVATE KEY')}`
  const id = crypto.randomUUID()
  const { certificates, snis } = await read(`
certificates:
- {${certificate}, snis: [{name: a.test}, {name: "*.b.test"}]}
- {${certificate}, id: ${id}, tags: [x]}
snis:
- {name: c.test, certificate: {id: ${id}}}
- {name: d.test, certificate: ${id}}
`)
  expect(snis.map(({ name, certificate }) => [name, certificate.id])).toEqual([
    ['a.test', certificates[0]?.id],
    ['*.b.test', certificates[0]?.id],
    ['c.test', id],
    ['d.test', id],
  ] as [string, string][])
  expect((await refusal('snis: [{name: a.test}]')).message).toContain('certificate')
  const twice = `certificates: [{${certificate}, snis: [{name: a.test}, {name: a.test}]}]`
  expect((await refusal(twice)).message).toContain('certificates[0].snis[1]')
})

describe('a document that is refused', () => {
  test.each<[string, Record<string, unknown>]>([
    [
      'routes: [{name: a}]',
      { 'routes[0]': { '@entity': expect.stringContaining('must set one of') } },
    ],
    [
      'routes: [{hosts: [a]}, {paths: ["~/("]}]',
      { 'routes[1]': { paths: { 1: expect.stringContaining('does not compile') } } },
    ],
    ['routes: {}', { routes: { '@entity': 'expected an array' } }],
    ['routes: [a]', { 'routes[0]': { '@entity': 'expected a record' } }],
    [
      'routes: [{hosts: [a], service: none}]',
      { 'routes[0]': { service: "no entity of 'services' is called 'none'" } },
    ],
    ['routes: [{hosts: [a], hots: [b]}]', { 'routes[0]': { hots: 'unknown field' } }],
    [
      'plugins: [{name: kafka-consume}]',
      { 'plugins[0]': { config: expect.objectContaining({ topics: 'required field missing' }) } },
    ],
    [
      'routes: [{hosts: [a]}, {hosts: [b], plugins: [{name: acl}]}]',
      {
        'routes[1].plugins[0]': {
          '@entity':
            'plugin "acl" is not served by this gateway, remove it or pass --ignore-unknown',
        },
      },
    ],
    [
      'upstreams: [{name: a}]',
      { upstreams: { '@entity': expect.stringContaining('"upstreams" is not served') } },
    ],
    [
      '__proto__: {a: 1}',
      { ['__proto__']: { '@entity': expect.stringContaining('is not served') } },
    ],
    ['_transform: 1', { _transform: { '@entity': 'expected a boolean' } }],
    [
      '_info: {defaults: {route: 5}}',
      { '_info.defaults.route': { '@entity': 'expected a record' } },
    ],
    [
      'consumers: [{username: a, hmacauth_credentials: [{username: k}]}]',
      {
        'consumers[0].hmacauth_credentials': {
          '@entity': expect.stringContaining('is not served'),
        },
      },
    ],
    [
      'consumers: [{username: a, plugins: [{name: key-auth}]}]',
      { 'consumers[0].plugins[0]': { consumer: 'value must be null' } },
    ],
    [
      'consumers: [{username: a, keyauth_credentials: [{key: planted}, {key: planted}]}]',
      { '@entity': `UNIQUE violation detected on '{key="***"}'` },
    ],
    [
      'routes: [{hosts: [a], name: x}, {hosts: [b], name: x}]',
      { 'routes[1]': { '@entity': 'is in the file already: routes[0]' } },
    ],
  ])('%s', async (text, fields) => {
    const { fields: found } = await refusal(text)
    expect(JSON.parse(JSON.stringify(found))).toEqual(fields)
  })

  test.each([
    ['routes: []', 'required field missing'],
    ['_format_version: 3.0', 'expected a string'],
    ['_format_version: "1.0"', 'expected one of: 1.1, 2.1, 3.0'],
    ['[]', 'expected a record'],
    ['', 'expected a record'],
    ['a: [', 'cannot be parsed'],
    ['a: 1\na: 2', 'cannot be parsed'],
    [`a: ${'['.repeat(100_000)}`, 'cannot be parsed'],
    [
      `a: &a [x]\n${Array.from({ length: 30 }, (_, n) => `b${n}: &b${n} [${`*${n ? `b${n - 1}` : 'a'},`.repeat(9)}]`).join('\n')}`,
      'cannot be parsed',
    ],
    [`a: ${'x'.repeat(9 * 1024 * 1024)}`, '8 Mi'],
    ['a: &a [*a]', 'cannot be parsed'],
    ['a: 1\n---\nb: 2', 'cannot be parsed: more than one document'],
    [`{${Array.from({ length: 70_000 }, (_, n) => `k${n}: `).join(', ')}}`, '69001 further errors'],
    [`[${','.repeat(100_000)}]`, 'cannot be parsed'],
    [Array.from({ length: 40_000 }, (_, n) => `k${n}: v`).join('\n'), '39001 further errors'],
    [Array.from({ length: 20_000 }, (_, n) => `- &a${n} x\n- *a${n}`).join('\n'), 'a record'],
    [`a: "${'${{ env "X" }} '.repeat(40_000)}"`, 'format_version'],
  ])('document %# is refused', async (text, expected) => {
    expect((await refusal(text, { whole: true })).message).toContain(expected)
  })

  test('names an invalid line and does not show it, since the line may contain a secret', async () => {
    const { message } = await refusal('a: b\npassword: "hunter2\nc: d')
    expect(message).toMatch(/line \d/)
    expect(message).not.toContain('hunter2')
  })

  test('names all errors at once', async () => {
    const { message, fields, code, name } = await refusal(
      'upstreams: [{}]\nroutes: [{name: "a b", hosts: [x]}, {plugins: [{name: acl}]}]',
    )
    expect([name, code]).toEqual(['invalid declarative configuration', 14])
    expect(Object.keys(fields).sort()).toEqual([
      'routes[0]',
      'routes[1]',
      'routes[1].plugins[0]',
      'upstreams',
    ])
    expect(message).toStartWith('declarative config is invalid: 4 errors: ')
    expect(message).toContain('routes[1].plugins[0]: plugin "acl" is not served')
  })

  test('is served with ignoreUnknown: entities that are not served are skipped with a warning each', async () => {
    const { routes, plugins, warnings } = await read(
      `upstreams: [{}]\nroutes: [{name: a, hosts: [x], plugins: [{name: acl}, ${PLUGIN}]}]`,
      { ignoreUnknown: true },
    )
    expect([routes.length, plugins.length]).toEqual([1, 1])
    expect(warnings).toEqual([
      'upstreams: "upstreams" is not served, skipped',
      'routes[0].plugins[0]: plugin "acl" is not served, skipped',
    ])
  })

  test('is refused for an invalid field even with ignoreUnknown', async () => {
    const { fields } = await refusal('routes: [{hots: [x]}]', { ignoreUnknown: true })
    expect(fields).toHaveProperty(['routes[0]', 'hots'], 'unknown field')
  })
})

describe('variables', () => {
  const plugin = (host: string, port = '9092') => `
plugins:
- name: kafka-consume
  config:
    bootstrap_servers:
    - host: ${host}
      port: ${port}
    topics: [{name: t}]
`
  const servers = ({ plugins }: Declared) => plugins[0]?.config['bootstrap_servers'] as unknown
  const environment = { KAFKA_HOST: 'broker-7', KAFKA_PORT: '9093', SECRETS: '{"host":"broker-8"}' }

  test.each<[string, string, string]>([
    ['without quotes', '${{ env "KAFKA_HOST" }}', '${{ env "KAFKA_PORT" }}'],
    ['within quotes', '"${{ env "KAFKA_HOST" }}"', '${{ env "KAFKA_PORT" | toInt }}'],
    ['in single quotes', '\'${{ env "KAFKA_HOST" }}\'', '\'${{env "KAFKA_PORT"|toInt}}\''],
  ])('of decK, %s', async (_, host, port) => {
    expect(servers(await read(plugin(host, port), { environment }))).toMatchObject([
      { host: 'broker-7', port: 9093 },
    ])
  })

  test('of decK are replaced within a text, and in JSON', async () => {
    const text = plugin('"${{ env "KAFKA_HOST" }}.internal"')
    expect(servers(await read(text, { environment }))).toMatchObject([
      { host: 'broker-7.internal' },
    ])
    const json = `{"_format_version":"3.0","routes":[{"hosts":["\${{ env \\"KAFKA_HOST\\" }}"]}]}`
    const { routes } = await read(json, { environment, format: 'json', whole: true })
    expect(routes[0]?.hosts).toEqual(['broker-7'])
  })

  test('have values that cannot change the structure of the document', async () => {
    const text = 'routes: [{name: "${{ env "N" }}", hosts: [a]}]'
    const { fields } = await refusal(text, { environment: { N: 'x", hosts: [b], name: "y' } })
    expect(fields).toHaveProperty(['routes[0]', 'name'])
  })

  test('of vaults stay references until their value is needed', async () => {
    for (const host of ['"{vault://env/kafka-host}"', '"{vault://env/SECRETS/host}"']) {
      const found = servers(await read(plugin(host), { environment }))
      expect(found).toMatchObject([{ host: JSON.parse(host) as string }])
    }
  })

  test.each([
    ['"{vault://env/kafka-host}"', 'environment variable KAFKA_HOST is not set'],
    ['"{vault://env/TEXT/key}"', 'environment variable TEXT has no text under the JSON key'],
    ['"{vault://aws/kafka}"', "vault 'aws' is not supported"],
    ['"{vault://env}"', 'not a vault reference'],
    ['${{ env "KAFKA_HOST" }}', 'environment variable KAFKA_HOST is not set'],
    ['${{ env "TEXT" | toInt }}', 'environment variable TEXT is not fit for toInt'],
  ])('%s: a missing variable is named, with its place', async (host, expected) => {
    const { message } = await refusal(plugin(host), { environment: { TEXT: 'hunter2' } })
    expect(message).toContain(expected)
    expect(message).toContain('plugins[0]')
    expect(message).toContain('bootstrap_servers')
    expect(message).not.toContain('hunter2')
  })

  test('of a vault with an invalid value are named by their place, and the value is not shown', async () => {
    const { message } = await refusal(plugin('"{vault://env/SECRET}"'), {
      environment: { SECRET: 'hunter two' },
    })
    expect(message).toContain('plugins[0].config.bootstrap_servers.1.host')
    expect(message).toContain('{vault://env/SECRET}')
    expect(message).not.toContain('hunter')
  })

  test('with an invalid value are refused without showing the value', async () => {
    const text = 'routes: [{hosts: ["${{ env "SECRET" }}"]}]'
    const { message } = await refusal(text, { environment: { SECRET: 'hunter two' } })
    expect(message).toContain('${{ env "SECRET" }}')
    expect(message).not.toContain('hunter')
  })
})
