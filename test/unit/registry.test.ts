/**
 * Deserializing by a schema registry in this process. The file has more than 400 lines because it has
 * the bytes of each schema format.
 */
import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import avro from 'avsc'
import { serve } from 'bun'
import fc from 'fast-check'
import * as v from 'valibot'
import { type RegistryOptions, schemaRegistry } from '../../src/options/registry-options.ts'
import { consumedOf } from '../../src/records/consumed-record.ts'
import { type ProcessedRecord, pipelineOf } from '../../src/records/pipeline.ts'
import { avroDecoder } from '../../src/registry/avro.ts'
import { protobufDecoder } from '../../src/registry/protobuf.ts'
import { registrySteps } from '../../src/registry/step.ts'
import { skip } from '../support/clock.ts'
import { framed } from '../support/registry.ts'
import { recordAt } from './fakes.ts'

/** The bytes that Confluent's own serializers for JavaScript (1.10.1) write after the schema id. */
const CONFLUENT = {
  avro: 'VAAAAAAAAClAAgxoaSDimIMEAf8=',
  bytes: 'AQL/',
  first: 'AAoBQQ==',
  order: 'AgIIgYCAgICAgBASBQoBeBAD',
  line: 'BAICCgF5EP///////////wE=',
}

const ORDER = JSON.stringify({
  type: 'record',
  name: 'Order',
  namespace: 'shop',
  fields: [
    { name: 'id', type: 'int' },
    { name: 'total', type: 'double' },
    { name: 'note', type: ['null', 'string'], default: null },
    { name: 'raw', type: 'bytes' },
  ],
})

const SHOP = `syntax = "proto3"; package shop;
message First { string s = 1; }
message Order {
  int64 id = 1;
  message Other {}
  message Line { string sku = 1; int32 count = 2; }
  Line line_one = 2;
}`

const bytes = (base64: string) => Uint8Array.fromBase64(base64)

describe('Avro', () => {
  test('decodes records of Confluent’s serializer', () => {
    expect(avroDecoder(ORDER, []).decode(bytes(CONFLUENT.avro))).toBe(
      '{"id":42,"total":12.5,"note":"hi ☃","raw":"Af8="}',
    )
    expect(avroDecoder('"bytes"', []).decode(bytes(CONFLUENT.bytes))).toBe('"AQL/"')
  })

  const cases: ReadonlyArray<readonly [schema: unknown, payload: number[], json: string]> = [
    ['long', [0xfe, ...new Array(8).fill(0xff), 0x01], '9223372036854775807'],
    [{ type: 'long', logicalType: 'timestamp-micros' }, [0x02], '1'],
    [
      { type: 'array', items: { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 } },
      [4, 4, 0xff, 0x85, 2, 7, 0],
      '["-1.23","0.07"]',
    ],
    [
      { type: 'array', items: { type: 'bytes', logicalType: 'decimal', precision: 9 } },
      [2, 0, 0],
      '["0"]',
    ],
    [
      { type: 'fixed', name: 'F', size: 2, logicalType: 'decimal', precision: 4, scale: 1 },
      [0, 100],
      '"10.0"',
    ],
    [{ type: 'fixed', name: 'F', size: 2 }, [1, 2], '"AQI="'],
    ['double', [0, 0, 0, 0, 0, 0, 0xf8, 0x7f], '"NaN"'],
    ['float', [0, 0, 0x80, 0x7f], '"Infinity"'],
    ['null', [], 'null'],
    [{ type: 'enum', name: 'E', symbols: ['A', 'B'] }, [2], '"B"'],
    [{ type: 'map', values: 'int' }, [2, 2, 0x61, 2, 0], '{"a":1}'],
    [{ type: 'array', items: ['null', 'long'] }, [4, 0, 2, 6, 0], '[null,3]'],
    [
      [
        'string',
        { type: 'record', name: 'A', fields: [] },
        { type: 'record', name: 'B', fields: [] },
      ],
      [4],
      '{}',
    ],
    [
      {
        type: 'record',
        name: 'Tree',
        fields: [
          { name: 'n', type: 'int' },
          { name: 'more', type: ['null', 'Tree'] },
        ],
      },
      [2, 2, 4, 0],
      '{"n":1,"more":{"n":2,"more":null}}',
    ],
  ]
  test.each(cases)('decodes %j as the specification encodes it', (schema, payload, json) => {
    expect(avroDecoder(JSON.stringify(schema), []).decode(Uint8Array.from(payload))).toBe(json)
  })

  test('decodes values of any schema as avsc does', () => {
    const schemas: unknown[] = [
      'int',
      'boolean',
      'string',
      'double',
      { type: 'map', values: { type: 'array', items: ['null', 'string', 'int'] } },
      {
        type: 'record',
        name: 'Node',
        fields: [
          { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['A', 'B', 'C'] } },
          { name: 'size', type: 'int' },
          { name: 'sizes', type: { type: 'array', items: 'int' } },
          { name: 'next', type: ['null', 'Node'] },
          { name: 'tags', type: { type: 'map', values: 'string' } },
          { name: 'f', type: 'float' },
        ],
      },
    ]
    for (const schema of schemas) {
      const type = avro.Type.forSchema(schema as never)
      const { decode } = avroDecoder(JSON.stringify(schema), [])
      for (let i = 0; i < 200; i++) {
        const value: unknown = type.random()
        const payload = type.toBuffer(value)
        const read: unknown = type.fromBuffer(payload)
        expect(JSON.parse(decode(payload))).toEqual(JSON.parse(JSON.stringify(read)))
      }
    }
  })

  test('keeps the digits of longs, at any depth', () =>
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const payload: number[] = []
        let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
        for (; rest > 127n; rest >>= 7n) payload.push(Number(rest & 127n) | 128)
        payload.push(Number(rest))
        expect(avroDecoder('"long"', []).decode(Uint8Array.from(payload))).toBe(String(value))
      }),
    ))

  const endless = [0xfe, 0xff, 0xff, 0xff, 0x1f]
  test.each([
    ['an array', { type: 'array', items: 'string' }, endless, 'too early'],
    ['an array of nothing', { type: 'array', items: 'null' }, endless, 'items without bytes'],
    ['a map', { type: 'map', values: 'int' }, endless, 'too early'],
    ['a string', 'string', endless, 'too early'],
    ['a negative length', 'string', [1], 'a length is -1'],
    ['a string that is not valid UTF-8', 'string', [2, 0xff], 'a text is not valid UTF-8'],
    ['a branch that there is not', ['null', 'int'], [4], 'no branch 2'],
    ['a number without end', 'long', new Array(11).fill(0xff), 'more than 10 bytes'],
  ])('%s that promises too much is refused at once', (_, schema, payload, words) => {
    const { decode } = avroDecoder(JSON.stringify(schema), [])
    expect(() => decode(Uint8Array.from(payload))).toThrow(words)
  })

  test('decodes by a schema that refers to another one', () => {
    const money =
      '{"type":"record","name":"Money","namespace":"c","fields":[{"name":"n","type":"long"}]}'
    const order = '{"type":"record","name":"O","fields":[{"name":"m","type":"c.Money"}]}'
    expect(avroDecoder(order, [money]).decode(Uint8Array.of(2))).toBe('{"m":{"n":1}}')
    expect(() => avroDecoder(order, [])).toThrow('c.Money')
  })
})

describe('Protobuf', () => {
  test('decodes records of Confluent’s serializer: message indexes, numbers beyond 2^53', () => {
    const { decode } = protobufDecoder(SHOP, new Map())
    expect(decode(bytes(CONFLUENT.first))).toBe('{"s":"A"}')
    expect(decode(bytes(CONFLUENT.order))).toBe(
      '{"id":"9007199254740993","lineOne":{"sku":"x","count":3}}',
    )
    expect(decode(bytes(CONFLUENT.line))).toBe('{"sku":"y","count":-1}')
  })

  test('decodes by imports, also of imports, and by well-known types', () => {
    const main = `syntax = "proto3"; package a; import "b.proto"; import "google/protobuf/timestamp.proto";
      message M { b.B b = 1; google.protobuf.Timestamp at = 2; }`
    const b = 'syntax = "proto3"; package b; import "c.proto"; message B { a.C c = 1; }'
    // This file has the package of the first one: its messages must not count among the first one's.
    const c = 'syntax = "proto3"; package a; message C { bool ok = 1; }'
    const referred = new Map(Object.entries({ 'b.proto': b, 'c.proto': c }))
    const payload = Uint8Array.of(0, 10, 4, 10, 2, 8, 1, 18, 2, 8, 60)
    expect(protobufDecoder(main, referred).decode(payload)).toBe(
      '{"b":{"c":{"ok":true}},"at":"1970-01-01T00:01:00Z"}',
    )
    expect(() => protobufDecoder(main, referred).decode(Uint8Array.of(2, 2))).toThrow(
      'no message 1',
    )
    referred.delete('c.proto')
    expect(() => protobufDecoder(main, referred)).toThrow('its import c.proto')
  })
})

describe('decoders of any bytes', () => {
  const decoders = [
    { decode: avroDecoder(ORDER, []).decode, good: [CONFLUENT.avro] },
    {
      decode: protobufDecoder(SHOP, new Map()).decode,
      good: [CONFLUENT.first, CONFLUENT.order, CONFLUENT.line],
    },
  ]

  test('return JSON on one line, or fail', () =>
    fc.assert(
      fc.property(
        fc.constantFrom(...decoders),
        fc.nat(),
        fc.array(fc.tuple(fc.nat(40), fc.nat(255)), { maxLength: 4 }),
        fc.nat(40),
        fc.uint8Array({ maxLength: 6 }),
        ({ decode, good }, which, changes, length, more) => {
          const payload = Uint8Array.from([
            ...bytes(good[which % good.length] as string).subarray(0, length),
            ...more,
          ])
          for (const [at, value] of changes) if (at < payload.length) payload[at] = value
          let json: string
          try {
            json = decode(payload)
          } catch (error) {
            expect(error).toBeInstanceOf(Error)
            return
          }
          JSON.parse(json)
          expect(json).not.toMatch(/[\r\n]/)
        },
      ),
      { numRuns: 2_000 },
    ))
})

/** A registry in this process, for what a real one does not do on command. */
const schemas = new Map<number, unknown>()
const asked: string[] = []
let answer: ((request: Request) => Response | Promise<Response> | undefined) | undefined
const registry = serve({
  port: 0,
  hostname: '127.0.0.1',
  fetch(request) {
    const { pathname } = new URL(request.url)
    asked.push(pathname)
    const given = answer?.(request)
    if (given) return given
    const schema = schemas.get(Number(pathname.split('/').at(-1)))
    if (!schema) return Response.json({ error_code: 40403, message: 'no' }, { status: 404 })
    return Response.json(schema)
  },
})
afterAll(() => registry.stop(true))

function optionsOf(more: object = {}): RegistryOptions {
  const { confluent } = v.parse(schemaRegistry, { confluent: { url: `${registry.url}`, ...more } })
  return confluent as RegistryOptions
}

function readerOf(options = optionsOf()) {
  const pipeline = pipelineOf(registrySteps(new Map([['t', options]])))
  asked.length = 0
  return async (
    ...values: ReadonlyArray<Uint8Array | { key: Uint8Array; value: Uint8Array | null }>
  ) => {
    const records = values.map((value, offset) => ({
      ...recordAt(0, offset),
      ...(value instanceof Uint8Array ? { key: null, value } : value),
    }))
    return (await pipeline(records)).map((record: ProcessedRecord) => consumedOf(record))
  }
}

describe('a registry as a step of the pipeline', () => {
  schemas.set(1, { schema: '"int"' })
  schemas.set(2, { schema: '{}', schemaType: 'JSON' })
  schemas.set(3, { schema: 'nonsense', schemaType: 'PROTOBUF' })

  test('fails only the records that cannot be deserialized, in the middle of a batch', async () => {
    const good = framed(1, Uint8Array.of(2))
    const poison: ReadonlyArray<readonly [value: Uint8Array, message: string]> = [
      [Uint8Array.of(), 'it does not begin with the id of a schema'],
      [Uint8Array.of(0, 0, 0, 1), 'it does not begin with the id of a schema'],
      [Uint8Array.of(1, 0, 0, 0, 1, 2), 'it does not begin with the id of a schema'],
      [new TextEncoder().encode('{"a":1}'), 'it does not begin with the id of a schema'],
      [framed(999, '1'), 'the registry has no schema 999'],
      [framed(1), 'it ends 1 byte too early'],
      [framed(1, Uint8Array.of(2, 2)), '1 bytes are left'],
      [framed(2, '{"a":'), 'it is not valid JSON'],
      [framed(2, Uint8Array.of(0xff)), 'it is not valid JSON'],
      [framed(3, '1'), 'its schema cannot be used: illegal token'],
    ]
    const all = await readerOf()(...poison.flatMap(([value]) => [good, value]), good)
    expect(all.filter(({ offset }) => offset % 2 === 0).map(({ value }) => value)).toEqual(
      new Array(poison.length + 1).fill(1),
    )
    for (const [index, [value, message]] of poison.entries()) {
      expect(all[2 * index + 1]).toMatchObject({
        value: value.toBase64(),
        encoding: { value: 'base64' },
        error: {
          code: 'DESERIALIZATION_FAILED',
          message: expect.stringContaining(`Cannot deserialize the value: ${message}`),
        },
      })
    }
  })

  test('decodes keys that name a schema, and keeps plain keys; a value may be a tombstone', async () => {
    const value = framed(1, Uint8Array.of(4))
    const key = (bytes: Uint8Array | string) => ({ key: Buffer.from(bytes as string), value })
    const binary = Buffer.from('000000000000002a', 'hex')
    const seen = await readerOf()(
      key(framed(2, '{"k":1}')),
      key('plain'),
      key(binary),
      key(framed(999)),
      { key: framed(1, Uint8Array.of(2)), value: null },
    )
    expect(seen).toMatchObject([
      { key: { k: 1 }, value: 2 },
      { key: 'plain', value: 2 },
      { key: binary.toString(), value: 2 },
      { key: framed(999).toBase64(), value: 2, error: { code: 'DESERIALIZATION_FAILED' } },
      { key: 1, value: null },
    ])
  })

  test('requests a schema once, for any number of records', async () => {
    const read = readerOf()
    await read(...new Array(40).fill(framed(1, Uint8Array.of(2))))
    await read(framed(1, Uint8Array.of(2)))
    expect(asked).toEqual(['/schemas/ids/1'])
  })

  test('does not request an unknown schema id for each of its records', async () => {
    const read = readerOf()
    await read(...new Array(40).fill(framed(998)))
    await read(framed(998))
    expect(asked).toHaveLength(1)
  })

  test('requests a schema again after its ttl, and uses the old one while the registry does not answer', async () => {
    const read = readerOf(optionsOf({ ttl: 1 }))
    await read(framed(1, Uint8Array.of(2)))
    {
      using _ = skip(1_050)
      await read(framed(1, Uint8Array.of(2)))
      expect(asked).toHaveLength(2)
    }
    using _ = skip(2_100)
    answer = () => new Response('', { status: 500 })
    for (let i = 0; i < 3; i++) {
      expect(await read(framed(1, Uint8Array.of(2)))).toMatchObject([{ value: 1 }])
    }
    expect(asked).toHaveLength(3)
    answer = undefined
  })

  test('requests schemas that refer to each other once', async () => {
    const schema = '{"type":"record","name":"A","fields":[{"name":"b","type":"B"}]}'
    answer = () => Response.json({ schema, references: [{ name: 'B', subject: 'b', version: 1 }] })
    expect(await readerOf()(framed(7))).toMatchObject([
      { error: { message: expect.stringContaining('its schema cannot be used') } },
    ])
    expect(asked).toEqual(['/schemas/ids/7', '/subjects/b/versions/1'])
    answer = undefined
  })

  test('limits the number of cached schemas', async () => {
    const read = readerOf()
    for (let id = 1_000; id < 2_100; id++) schemas.set(id, { schema: '"int"' })
    await read(...Array.from({ length: 1_100 }, (_, n) => framed(1_000 + n, Uint8Array.of(2))))
    asked.length = 0
    await read(framed(2_099, Uint8Array.of(2)), framed(1_000, Uint8Array.of(2)))
    expect(asked).toEqual(['/schemas/ids/1000'])
  })

  const outages: ReadonlyArray<readonly [string, () => Response, string]> = [
    ['status 500', () => new Response('', { status: 500 }), 'SCHEMA_REGISTRY_UNAVAILABLE'],
    ['status 429', () => new Response('', { status: 429 }), 'SCHEMA_REGISTRY_UNAVAILABLE'],
    [
      'status 404 from another server',
      () => new Response('<html>', { status: 404 }),
      'SCHEMA_REGISTRY_UNAVAILABLE',
    ],
    ['an answer that is not JSON', () => new Response('<html>'), 'SCHEMA_REGISTRY_UNAVAILABLE'],
    ['an answer without a schema', () => Response.json({ a: 1 }), 'SCHEMA_REGISTRY_UNAVAILABLE'],
    [
      'an answer of more than 8 MiB',
      () => Response.json({ schema: '"int"', doc: 'x'.repeat(8 * 1024 * 1024) }),
      'SCHEMA_REGISTRY_UNAVAILABLE',
    ],
    ['status 401', () => new Response('', { status: 401 }), 'SCHEMA_REGISTRY_REFUSED'],
    ['status 403', () => new Response('', { status: 403 }), 'SCHEMA_REGISTRY_REFUSED'],
  ]
  test.each(outages)(
    'a record is read again later when the registry answers with %s',
    async (_, given, code) => {
      const read = readerOf()
      answer = given
      await expect(read(framed(1, Uint8Array.of(2)))).rejects.toMatchObject({
        code,
        retryable: true,
      })
      answer = undefined
      expect(await read(framed(1, Uint8Array.of(2)))).toMatchObject([{ value: 1 }])
    },
  )

  test('refuses a self-signed certificate, unless sslVerify is false', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'registry-tls-'))
    const [key, cert] = ['key', 'cert'].map((name) => join(folder, `${name}.pem`)) as [
      string,
      string,
    ]
    const made = Bun.spawnSync([
      ...[
        'openssl',
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
      ],
      ...['-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=DNS:localhost'],
    ])
    expect(made.exitCode).toBe(0)
    const locked = serve({
      port: 0,
      tls: { key: Bun.file(key), cert: Bun.file(cert) },
      fetch: () => Response.json({ schema: '"int"' }),
    })
    const url = `https://localhost:${locked.port}`
    const record = framed(1, Uint8Array.of(2))
    await expect(readerOf(optionsOf({ url }))(record)).rejects.toMatchObject({
      code: 'SCHEMA_REGISTRY_UNAVAILABLE',
      detail: expect.stringContaining('self signed certificate'),
    })
    const trusting = readerOf(optionsOf({ url, sslVerify: false }))
    expect(await trusting(record)).toMatchObject([{ value: 1 }])
    await locked.stop(true)
    rmSync(folder, { recursive: true })
  })

  test('fails with an outage when no server listens', async () => {
    const read = readerOf(optionsOf({ url: 'http://127.0.0.1:1' }))
    await expect(read(framed(1))).rejects.toMatchObject({
      code: 'SCHEMA_REGISTRY_UNAVAILABLE',
      message: 'Cannot read schemas: the schema registry does not answer',
    })
  })
})

describe('authentication at the registry', () => {
  const record = framed(1, Uint8Array.of(2))

  test('basic: by name and password', async () => {
    const seen: Array<string | null> = []
    answer = (request) => {
      seen.push(request.headers.get('authorization'))
      return undefined
    }
    const basic = { username: 'ann', password: 's3cret:ü' }
    await readerOf(optionsOf({ authentication: { mode: 'basic', basic } }))(record)
    expect(seen).toEqual([`Basic ${Buffer.from('ann:s3cret:ü').toString('base64')}`])
    answer = undefined
  })

  async function tokensAsked(oauth2: object, oauth2Client?: object, life: unknown = 3_600) {
    const forms: Array<{ form: URLSearchParams; headers: Headers }> = []
    const shown: Array<string | null> = []
    answer = async (request) => {
      if (new URL(request.url).pathname !== '/token') {
        shown.push(request.headers.get('authorization'))
        return Response.json({ schema: '"int"' })
      }
      const form = new URLSearchParams(await request.text())
      forms.push({ form, headers: request.headers })
      return Response.json({ access_token: `token-${forms.length}`, expires_in: life })
    }
    const tokenEndpoint = `${registry.url}token`
    const read = readerOf(
      optionsOf({
        ttl: 0,
        authentication: { mode: 'oauth2', oauth2: { tokenEndpoint, ...oauth2 }, oauth2Client },
      }),
    )
    await read(record)
    await read(record)
    answer = undefined
    return { forms, shown }
  }
  const client = { clientId: 'me', clientSecret: 's3cret' }

  test('OAuth2, client credentials: one token is used until it expires', async () => {
    const { forms, shown } = await tokensAsked({ ...client, audience: ['a', 'b'] })
    expect(shown).toEqual(['Bearer token-1', 'Bearer token-1'])
    expect([...(forms[0]?.form ?? [])].sort()).toEqual([
      ['audience', 'a'],
      ['audience', 'b'],
      ['client_id', 'me'],
      ['client_secret', 's3cret'],
      ['grant_type', 'client_credentials'],
      ['scope', 'openid'],
    ])
  })

  test('OAuth2, password, with further headers and arguments', async () => {
    const { forms } = await tokensAsked({
      grantType: 'password',
      username: 'ann',
      password: 'pw',
      scopes: ['x', 'y'],
      tokenHeaders: { 'x-tenant': 'blue' },
      tokenPostArgs: { resource: 'r' },
    })
    expect(forms[0]?.headers.get('x-tenant')).toBe('blue')
    expect(Object.fromEntries(forms[0]?.form ?? [])).toEqual({
      grant_type: 'password',
      username: 'ann',
      password: 'pw',
      scope: 'x y',
      resource: 'r',
    })
  })

  test('OAuth2: headers that Confluent Cloud needs are sent to the registry, too, and no others', async () => {
    const sent: Headers[] = []
    answer = ({ url, headers }) => {
      if (new URL(url).pathname === '/token') return Response.json({ access_token: 't' })
      sent.push(headers)
      return Response.json({ schema: '"int"' })
    }
    const tokenHeaders = {
      'target-sr-cluster': 'lsrc-1',
      'Confluent-Identity-Pool-Id': 'pool-1',
      'x-tenant': 'blue',
    }
    const oauth2 = { tokenEndpoint: `${registry.url}token`, ...client, tokenHeaders }
    await readerOf(optionsOf({ authentication: { mode: 'oauth2', oauth2 } }))(record)
    answer = undefined
    expect(sent.map((headers) => headers.get('target-sr-cluster'))).toEqual(['lsrc-1'])
    expect(sent[0]?.get('confluent-identity-pool-id')).toBe('pool-1')
    expect(sent[0]?.get('authorization')).toBe('Bearer t')
    expect(sent[0]?.has('x-tenant')).toBeFalse()
  })

  test('OAuth2: the client authenticates by the method that is configured', async () => {
    const basic = await tokensAsked(client, { authMethod: 'client_secret_basic' })
    expect(basic.forms[0]?.headers.get('authorization')).toBe(`Basic ${btoa('me:s3cret')}`)
    expect(basic.forms[0]?.form.has('client_secret')).toBe(false)

    const jwt = await tokensAsked(client, { authMethod: 'client_secret_jwt' })
    const [head = '', claims = '', signature] = (
      jwt.forms[0]?.form.get('client_assertion') ?? ''
    ).split('.')
    expect(JSON.parse(atob(head))).toMatchObject({ alg: 'HS512' })
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
      iss: 'me',
      sub: 'me',
      aud: `${registry.url}token`,
    })
    const hmac = new Bun.CryptoHasher('sha512', 's3cret').update(`${head}.${claims}`)
    expect(signature).toBe(hmac.digest('base64url'))

    const none = await tokensAsked({ clientId: 'me' }, { authMethod: 'none' })
    expect(Object.fromEntries(none.forms[0]?.form ?? [])).toEqual({
      grant_type: 'client_credentials',
      scope: 'openid',
      client_id: 'me',
    })
  })

  test('OAuth2: a token that has expired, or was refused before, is renewed', async () => {
    const { forms, shown } = await tokensAsked(client, undefined, 0)
    expect(forms).toHaveLength(2)
    expect(shown).toEqual(['Bearer token-1', 'Bearer token-2'])

    let tokens = 0
    answer = (request) => {
      if (new URL(request.url).pathname === '/token')
        return Response.json({ access_token: `t${++tokens}` })
      const isGood = request.headers.get('authorization') === 'Bearer t2'
      return isGood ? undefined : new Response('', { status: 401 })
    }
    const oauth2 = { tokenEndpoint: `${registry.url}token`, ...client }
    const read = readerOf(optionsOf({ authentication: { mode: 'oauth2', oauth2 } }))
    expect(await read(record)).toMatchObject([{ value: 1 }])
    answer = undefined
  })

  test.each([
    [401, 'SCHEMA_REGISTRY_REFUSED'],
    [400, 'SCHEMA_REGISTRY_REFUSED'],
    [500, 'SCHEMA_REGISTRY_UNAVAILABLE'],
  ] as const)('OAuth2: no token, status %d', async (status, code) => {
    answer = () => Response.json({ error: 'invalid_client' }, { status })
    const oauth2 = { tokenEndpoint: `${registry.url}token`, ...client }
    const read = readerOf(optionsOf({ authentication: { mode: 'oauth2', oauth2 } }))
    const error: unknown = await read(record).catch((error: unknown) => error)
    expect(error).toMatchObject({ code, retryable: true })
    expect(JSON.stringify(error) + String(error)).not.toContain('s3cret')
    answer = undefined
  })
})
