import { describe, expect, test } from 'bun:test'
import { doAtOnce } from '../../src/core/sliced-work.ts'
import { refuseMasks, restoreSecrets } from '../../src/kong/config/masked-secrets.ts'
import { openState } from '../../src/kong/config/persisted-state.ts'
import { MASK } from '../../src/kong/config/plugin-config.ts'
import { readEntity } from '../../src/kong/config/read-entity.ts'
import { EMPTY, Store } from '../../src/kong/config/store.ts'
import { Violation } from '../../src/kong/model/constraint-violations.ts'
import { SchemaViolation } from '../../src/kong/model/schema-violation.ts'
import { CERTIFICATE, PLUGIN } from './samples.ts'

/** An SNI of some certificate. */
const sni = (name: string) => ({ name, certificate: { id: crypto.randomUUID() } })
const route = (name: string) => ({ name, paths: [`/${name}`] })

describe('a store', () => {
  test('finds entities by id and by name', () => {
    const store = new Store()
    const service = store.insert('services', { name: 's', host: 'kafka' })
    const { id } = store.insert('routes', { ...route('a'), service: { name: 's' } })
    const plugin = store.insert('plugins', { ...PLUGIN, instance_name: 'i', route: { id } })
    const consumer = store.insert('consumers', { username: 'u' })
    expect(store.get('services', 's')).toBe(service)
    expect(store.get('routes', 'a')?.service).toEqual({ id: service.id })
    expect(store.get('routes', id)).toBe(store.get('routes', 'a'))
    expect(store.get('plugins', 'i')).toBe(plugin)
    expect(store.get('consumers', 'u')).toBe(consumer)
    expect(store.get('routes', 'b')).toBeUndefined()
    expect(store.get('certificates', 'x')).toBeUndefined()
  })

  test('returns snapshots that never change', () => {
    const store = new Store()
    const before = store.snapshot()
    store.insert('routes', route('a'))
    expect(before).toEqual(EMPTY)
    expect(store.snapshot().routes).toHaveLength(1)
  })

  test('has unique names among entities of a kind, and one plugin of a name in a scope', () => {
    const store = new Store()
    store.insert('routes', route('a'))
    store.insert('services', { name: 'a', host: 'kafka' })
    expect(() => store.insert('routes', route('a'))).toThrow(
      'UNIQUE violation detected on \'{name="a"}\'',
    )
    store.insert('plugins', PLUGIN)
    expect(() => store.insert('plugins', PLUGIN)).toThrow(
      'UNIQUE violation detected on \'{consumer=null,name="kafka-consume",route=null,service=null}\'',
    )
    store.insert('plugins', { ...PLUGIN, route: { name: 'a' } })
  })

  test('resolves every reference, and keeps entities that others need', () => {
    const store = new Store()
    const id = crypto.randomUUID()
    expect(() => store.insert('routes', { ...route('a'), service: { id } })).toThrow(
      `the foreign key '{id="${id}"}' does not reference an existing 'services' entity.`,
    )
    store.insert('services', { name: 's', host: 'kafka' })
    store.insert('routes', { ...route('a'), service: { name: 's' } })
    expect(() => store.remove('services', 's')).toThrow(
      "an existing 'routes' entity references this 'services' entity",
    )
    expect(store.remove('routes', 'a')).toBeTrue()
    expect(store.remove('routes', 'a')).toBeFalse()
    expect(store.remove('services', 's')).toBeTrue()
  })

  test('removes the plugins of an entity with it', () => {
    for (const [kind, field, raw] of [
      ['routes', 'route', route('a')],
      ['services', 'service', { host: 'kafka' }],
      ['consumers', 'consumer', { username: 'u' }],
    ] as const) {
      const store = new Store()
      store.insert('plugins', PLUGIN)
      const { id } = store.insert(kind, raw)
      store.insert('plugins', { ...PLUGIN, [field]: { id } })
      store.remove(kind, id)
      expect(store.list('plugins').map(({ [field]: on }) => on)).toEqual([null])
    }
  })

  test('refuses a plugin that applies to no protocol of its route', () => {
    const store = new Store()
    store.insert('routes', { ...route('a'), protocols: ['https'] })
    expect(() =>
      store.insert('plugins', { ...PLUGIN, route: { name: 'a' }, protocols: ['http'] }),
    ).toThrow("protocols: must match the associated route's protocols")
  })

  test('undoes a change for all listeners when one of them refuses it', async () => {
    const store = new Store()
    store.insert('routes', route('a'))
    const before = store.snapshot()
    const seen: number[] = []
    store.onChange(({ routes }) => {
      seen.push(routes.length)
    })
    const end = store.onChange(() => {
      throw new Error('Cannot make it')
    })
    for (const change of [
      async () => store.insert('routes', route('b')),
      () => store.change(() => store.patch('routes', 'a', { hosts: ['x'] })),
      async () => store.remove('routes', 'a'),
      () => store.replaceAll(EMPTY),
    ]) {
      await expect(change()).rejects.toThrow('Cannot make it')
      expect(store.snapshot()).toBe(before)
    }
    expect(seen).toEqual([2, 1, 1, 1, 0, 1, 0, 1])
    end()
    store.insert('routes', route('b'))
    expect(store.list('routes')).toHaveLength(2)
  })

  test('checks a replacement of everything as one change', async () => {
    const store = new Store()
    const twice = readEntity('routes', route('a'))
    await expect(store.replaceAll({ ...EMPTY, routes: [twice, twice] })).rejects.toThrow(Violation)
    const other = readEntity('routes', route('a'))
    await expect(store.replaceAll({ ...EMPTY, routes: [twice, other] })).rejects.toThrow(Violation)
    await store.replaceAll({ ...EMPTY, routes: [twice] })
    expect(store.get('routes', 'a')).toEqual(twice)
  })
})

test('a masked secret stays with its topic when the order of topics changes', () => {
  const topic = (name: string) => ({ name, basic: { username: 'u', password: `of ${name}` } })
  const shown = (name: string) => ({ name, basic: { username: 'u', password: MASK } })
  const plugin = readEntity('plugins', PLUGIN)
  const held = { ...plugin, config: { topics: [topic('a'), topic('b')] } }
  const given = { ...plugin, config: { topics: [shown('b'), shown('c'), shown('a')] } }
  expect(restoreSecrets('plugins', given, held).config).toEqual({
    topics: [topic('b'), shown('c'), topic('a')],
  })
  expect(() => refuseMasks('plugins', restoreSecrets('plugins', given, held))).toThrow(
    'schema violation (config.topics.2.basic.password: *** stands for a secret that is not held',
  )
})

describe('the state file', () => {
  const file = (text?: string) => {
    const held = { text }
    return {
      held,
      name: '/etc/state.json',
      read: () => held.text,
      write: (next: string) => {
        held.text = next
      },
    }
  }

  test('holds all entities, with their secrets', () => {
    const store = new Store()
    store.insert('routes', route('a'))
    store.insert('plugins', { ...PLUGIN, route: { name: 'a' } })
    store.insert('certificates', CERTIFICATE)
    const disk = file()
    const state = openState(disk)
    expect(state.snapshot).toBeUndefined()
    doAtOnce(state.save(store.snapshot()))
    expect(openState(disk).snapshot).toEqual(store.snapshot())
  })

  test('is refused when it is invalid: the error names the file without quoting it, and the file stays unchanged', () => {
    const broken = [
      '',
      'secret',
      '[]',
      '{}',
      '{"format":3}',
      '{"format":1,"routes":{}}',
      JSON.stringify({ format: 1, ...EMPTY, other: [] }),
      JSON.stringify({ format: 1, ...EMPTY, routes: [{ hosts: 'x' }] }),
      JSON.stringify({ format: 1, ...EMPTY, routes: [route('a'), route('a')] }),
    ]
    for (const text of broken) {
      const disk = file(text)
      expect(() => openState(disk)).toThrow(
        /^Cannot read state from \/etc\/state.json: (?!.*secret)/,
      )
      expect(disk.held.text).toBe(text)
    }
  })

  test('a change that cannot be saved changes nothing', () => {
    const { save } = openState({
      ...file(),
      write: () => {
        throw new Error('disk full')
      },
    })
    const store = new Store()
    store.onChange(save)
    expect(() => store.insert('routes', route('a'))).toThrow(
      'Cannot save state to /etc/state.json: disk full',
    )
    expect(store.snapshot()).toEqual(EMPTY)
  })
})

describe('entities as Kong has them', () => {
  const refusal = (...[kind, raw]: Parameters<typeof readEntity>): string => {
    try {
      readEntity(kind, raw)
    } catch (error) {
      if (error instanceof SchemaViolation) return error.message
      throw error
    }
    throw new Error('expected a refusal')
  }

  test('defaults', () => {
    const { id, created_at, updated_at, ...rest } = readEntity('routes', { hosts: ['a.test'] })
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect(created_at).toBe(updated_at)
    expect(rest as object).toEqual({
      tags: null,
      name: null,
      protocols: ['http', 'https'],
      methods: null,
      hosts: ['a.test'],
      paths: null,
      headers: null,
      regex_priority: 0,
      strip_path: true,
      preserve_host: false,
      service: null,
      snis: null,
      sources: null,
      destinations: null,
      expression: null,
      https_redirect_status_code: 426,
      path_handling: 'v0',
      request_buffering: true,
      response_buffering: true,
    })
    expect(readEntity('services', { url: 'https://kafka.test/x' })).toMatchObject({
      protocol: 'https',
      host: 'kafka.test',
      port: 443,
      path: '/x',
      retries: 5,
      connect_timeout: 60_000,
    })
  })

  const AT_LEAST_ONE =
    "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"
  const cases: ReadonlyArray<readonly [Parameters<typeof readEntity>[0], unknown, string]> = [
    ['routes', [], 'expected a record'],
    ['routes', {}, AT_LEAST_ONE],
    ['routes', { hosts: [] }, AT_LEAST_ONE],
    ['routes', { hosts: 'a' }, 'hosts: expected an array'],
    ['routes', { hosts: ['a', 1] }, 'hosts.2: expected a string'],
    ['routes', { hosts: [null] }, 'hosts.1: required field missing'],
    ['routes', { hosts: ['*.*.a'] }, 'hosts.1: invalid wildcard: must have at most one wildcard'],
    [
      'routes',
      { hosts: ['a.*.b'] },
      'hosts.1: invalid wildcard: must be placed at leftmost or rightmost label',
    ],
    ['routes', { hosts: ['a b'] }, 'hosts.1: invalid hostname: a b'],
    ['routes', { hosts: ['a:99999'] }, 'hosts.1: invalid hostname: a:99999'],
    ['routes', { paths: ['a'] }, 'paths.1: should start with: / (fixed path) or ~/ (regex path)'],
    ['routes', { paths: ['/a//b'] }, 'paths.1: must not have empty segments'],
    ['routes', { paths: ['/a/../b'] }, "paths.1: non-normalized path, consider use '/b' instead"],
    ['routes', { paths: ['/%zz'] }, "paths.1: invalid url-encoded value: '%zz'"],
    [
      'routes',
      { paths: ['~/('] },
      "paths.1: invalid regex: '/(' does not compile: missing closing ): `/(`",
    ],
    ['routes', { methods: ['get'] }, 'methods.1: invalid value: get'],
    [
      'routes',
      { headers: { 'a b': ['x'] } },
      "headers.a b: bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
    ],
    ['routes', { headers: { x: 'y' } }, 'headers.x: expected an array'],
    ['routes', { headers: JSON.parse('{"__proto__":["x"]}') }, 'headers.__proto__: unknown field'],
    ['routes', { hosts: ['a'], protocols: [] }, 'protocols: length must be at least 1'],
    [
      'routes',
      { hosts: ['a'], protocols: ['tcp'] },
      'protocols.1: expected one of: http, https, ws, wss',
    ],
    [
      'routes',
      { hosts: ['a'], protocols: ['http', 'ws'] },
      "protocols: these sets are mutually exclusive: ('http', 'https'), ('ws', 'wss')",
    ],
    [
      'routes',
      { hosts: ['a'], snis: ['*.a.*'], protocols: ['https'] },
      'snis.1: invalid wildcard: must have at most one wildcard',
    ],
    [
      'routes',
      { hosts: ['a'], sources: [{}] },
      "sources: cannot set 'sources' when 'protocols' is 'http' or 'https'",
    ],
    [
      'routes',
      { expression: 'http.path == "/"', hosts: ['a'] },
      "expression: is not supported: the router is Kong's traditional one",
    ],
    ['routes', { hosts: ['a'], service: 'x' }, 'service: expected a record'],
    ['routes', { hosts: ['a'], toString: 1 }, 'toString: unknown field'],
    ['routes', { hosts: ['a'], strip_path: null }, 'strip_path: required field missing'],
    ['routes', { hosts: ['a'], id: 'x' }, 'id: expected a valid UUID'],
    ['services', {}, 'host: required field missing'],
    ['services', { host: 'a:80' }, 'host: must not have a port'],
    ['services', { host: 'a', port: 65_536 }, 'port: value should be between 0 and 65535'],
    ['services', { host: 'a', port: 1.5 }, 'port: expected an integer'],
    ['services', { url: 'kafka' }, 'url: missing host in url'],
    [
      'services',
      { host: 'a', tls_verify: true },
      "tls_verify: failed conditional validation given value of field 'protocol'",
    ],
    ['plugins', {}, 'name: required field missing'],
    [
      'plugins',
      { name: 'acl' },
      "name: plugin 'acl' not enabled; add it to the 'plugins' configuration property",
    ],
    ['consumers', {}, "at least one of these fields must be non-empty: 'custom_id', 'username'"],
    [
      'consumers',
      { username: 'a', tags: ['a,b'] },
      "tags.1: invalid tag 'a,b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
    ],
    ['certificates', { ...CERTIFICATE, key: 'x' }, 'key: invalid key: PEM is expected'],
    [
      'certificates',
      { ...CERTIFICATE, cert: CERTIFICATE.key },
      'cert: invalid certificate: PEM is expected',
    ],
    ['certificates', { ...CERTIFICATE, snis: ['a.test', 'a.test'] }, 'snis: a.test is duplicated'],
    [
      'certificates',
      { ...CERTIFICATE, cert_alt: CERTIFICATE.cert },
      'cert_alt: is not supported: an entity holds one certificate',
    ],
    ['snis', sni('a.*.test'), 'name: wildcard must be leftmost or rightmost character'],
    ['snis', sni('*.a.*'), 'name: only one wildcard must be specified'],
    ['snis', sni('10.0.0.1'), 'name: must not be an IP'],
    ['snis', sni('::1'), 'name: must not be an IP'],
    ['snis', sni('a.test:443'), 'name: must not have a port'],
    ['snis', sni('a b'), 'name: invalid value: a b'],
    ['snis', sni(`${'a'.repeat(64)}.test`), `name: invalid value: ${'a'.repeat(64)}.test`],
    ['snis', { name: 'a.test' }, 'certificate: required field missing'],
  ]
  for (const [kind, raw, expected] of cases) {
    test(`${kind} ${JSON.stringify(raw).slice(0, 60)}: ${expected}`, () => {
      expect(refusal(kind, raw)).toBe(`schema violation (${expected})`)
    })
  }

  test('nesting beyond a limit is refused, not followed', () => {
    const deep: unknown = JSON.parse(`${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`)
    expect(refusal('routes', deep)).toBe('schema violation (nested too deeply)')
  })
})
