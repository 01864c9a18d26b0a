/**
 * The schemas of Kong's entities, with Kong's defaults and messages. `readEntity` checks a raw
 * entity and completes it.
 */
import * as v from 'valibot'
import { toBase64 } from '../../core/bytes.ts'
import { isJsonObject } from '../../core/json-object.ts'
import type { EntityKind, EntityKinds, KongPlugin } from '../model/entities.ts'
import { fieldErrors } from '../model/field-errors.ts'
import * as f from '../model/fields.ts'
import { errorAt, type FieldErrors, SchemaViolation } from '../model/schema-violation.ts'
import { MASK } from './plugin-config.ts'
import {
  isForConsumers,
  PLUGIN_NAMES,
  pluginProtocols,
  readConfig,
  WEB_PROTOCOLS,
} from './plugins.ts'

const PROTOCOLS = [...WEB_PROTOCOLS, 'tcp', 'tls', 'tls_passthrough', 'udp'] as const
/** The algorithms of tokens that Kong knows and the runtimes can verify. */
const JWT_ALGORITHMS = [
  ...['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'],
  ...['PS256', 'PS384', 'PS512', 'EdDSA'],
] as const
/** A timeout in milliseconds, with Kong's limits. */
const timeout = v.optional(f.integer(1, 2 ** 31 - 2), 60_000)

/**
 * A change replaces these fields whole, as it does arrays: otherwise no key of a map could be
 * removed.
 */
const MAPS_AND_REFERENCES = new Set([
  'extensions',
  'token_headers',
  'token_post_args',
  'name_mappings',
  'custom_fields_by_lua',
  'route',
  'service',
  'consumer',
  'client_certificate',
  'certificate',
])
/** A route's `headers` are a map; those of the plugins that write are a record. */
const MAPS_OF_ROUTES = new Set([...MAPS_AND_REFERENCES, 'headers'])
const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype'])
/**
 * The most levels of a request's entity. Kong's deepest field, in `schema_registry`, is at level 6.
 */
const MAX_DEPTH = 32

const entity = {
  id: f.uuid,
  created_at: f.timestamp,
  updated_at: f.timestamp,
  tags: f.optional(f.tags),
}

const TLS_FIELDS = [
  'client_certificate',
  'tls_verify',
  'tls_verify_depth',
  'ca_certificates',
] as const

const services = v.pipe(
  f.record({
    ...entity,
    name: f.optional(f.name),
    protocol: v.optional(f.oneOf(...PROTOCOLS), 'http'),
    host: f.host,
    port: v.optional(f.integer(0, 65_535), 80),
    path: f.optional(f.path),
    enabled: v.optional(f.boolean, true),
    // The fields below configure Kong's connection to an upstream. Here the plugin configures
    // Kafka's.
    retries: v.optional(f.integer(0, 32_767), 5),
    connect_timeout: timeout,
    write_timeout: timeout,
    read_timeout: timeout,
    client_certificate: f.optional(f.reference),
    tls_verify: f.optional(f.boolean),
    tls_verify_depth: f.optional(f.integer(0, 64)),
    ca_certificates: f.optional(f.array(f.uuid)),
    tls_sans: f.optional(
      f.record({ dnsnames: f.optional(f.array(f.string)), uris: f.optional(f.array(f.string)) }),
    ),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || ['https', 'tls'].includes(dataset.value.protocol)) return
    for (const field of TLS_FIELDS) {
      if (dataset.value[field] === null) continue
      addIssue({
        message: "failed conditional validation given value of field 'protocol'",
        path: [
          { type: 'object', origin: 'value', input: dataset.value, key: field, value: undefined },
        ],
      })
    }
  }),
)

/** The protocols of routes that need TLS. */
const SECURE_PROTOCOLS: readonly string[] = ['https', 'wss']

/** Whether a protocol is one of routes that only WebSocket handshakes match. */
function isWebSocket(protocol: string): boolean {
  return protocol === 'ws' || protocol === 'wss'
}

const routes = v.pipe(
  f.record({
    ...entity,
    name: f.optional(f.name),
    protocols: v.optional(
      v.pipe(
        f.set(f.oneOf('http', 'https', 'ws', 'wss')),
        v.minLength(1, 'length must be at least 1'),
        v.check(
          (protocols) => protocols.every(isWebSocket) || !protocols.some(isWebSocket),
          "these sets are mutually exclusive: ('http', 'https'), ('ws', 'wss')",
        ),
      ),
      ['http', 'https'],
    ),
    methods: f.optional(f.set(f.method)),
    hosts: f.optional(f.array(f.routeHost)),
    paths: f.optional(f.array(f.routePath)),
    headers: f.optional(v.record(f.headerName, f.array(f.string), 'expected a map')),
    regex_priority: v.optional(f.integer(), 0),
    strip_path: v.optional(f.boolean, true),
    preserve_host: v.optional(f.boolean, false),
    service: f.optional(f.reference),
    snis: f.optional(f.set(f.routeSni)),
    sources: f.unserved("cannot set 'sources' when 'protocols' is 'http' or 'https'"),
    destinations: f.unserved("cannot set 'destinations' when 'protocols' is 'http' or 'https'"),
    expression: f.unserved("is not supported: the router is Kong's traditional one"),
    // The fields below change requests to an HTTP upstream. Kafka is not one.
    https_redirect_status_code: v.optional(f.oneOf(426, 301, 302, 307, 308), 426),
    path_handling: v.optional(f.oneOf('v0', 'v1'), 'v0'),
    request_buffering: v.optional(f.boolean, true),
    response_buffering: v.optional(f.boolean, true),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const { methods, hosts, paths, headers, snis, protocols } = dataset.value
    const secure = protocols.find((protocol) => SECURE_PROTOCOLS.includes(protocol))
    if (snis?.length && !secure) {
      const item = { type: 'object', origin: 'value', input: dataset.value } as const
      addIssue({
        message:
          "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'",
        path: [{ ...item, key: 'snis', value: snis }],
      })
      return
    }
    if (methods?.length || hosts?.length || paths?.length || snis?.length) return
    if (headers && Object.keys(headers).length > 0) return
    const [sni, protocol] = secure ? [", 'snis'", secure] : ['', protocols[0]]
    addIssue({
      message: `must set one of 'methods', 'hosts', 'headers', 'paths'${sni} when 'protocols' is '${protocol}'`,
    })
  }),
)

const plugins = v.pipe(
  f.record({
    ...entity,
    name: v.pipe(
      f.string,
      v.check(
        (name) => PLUGIN_NAMES.includes(name),
        ({ input }) =>
          `plugin '${input}' not enabled; add it to the 'plugins' configuration property`,
      ),
    ),
    instance_name: f.optional(f.name),
    enabled: v.optional(f.boolean, true),
    // `readEntity` fills in the protocols of the plugin's name.
    protocols: v.optional(
      v.pipe(f.set(f.oneOf(...WEB_PROTOCOLS)), v.minLength(1, 'length must be at least 1')),
      [...WEB_PROTOCOLS],
    ),
    config: v.optional(v.unknown(), {}),
    route: f.optional(f.reference),
    service: f.optional(f.reference),
    consumer: f.optional(f.reference),
    consumer_group: f.unserved('is not supported: there are no consumer groups of Kong here'),
    ordering: f.unserved('is not supported: plugins run in the order of their priorities'),
    partials: f.unserved('is not supported'),
    condition: f.unserved('is not supported'),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const { name, protocols } = dataset.value
    const allowed: readonly string[] = pluginProtocols(name)
    for (const [key, value] of protocols.entries()) {
      if (allowed.includes(value)) continue
      addIssue({
        message: `expected one of: ${allowed.join(', ')}`,
        path: [
          { type: 'object', origin: 'value', input: dataset.value, key: 'protocols', value },
          { type: 'array', origin: 'value', input: protocols, key, value },
        ],
      })
    }
  }),
  v.forward(
    v.partialCheck(
      [['name'], ['consumer']],
      ({ name, consumer }) => consumer === null || isForConsumers(name),
      'value must be null',
    ),
    ['consumer'],
  ),
)

const consumers = v.pipe(
  f.record({ ...entity, username: f.optional(f.string), custom_id: f.optional(f.string) }),
  v.check(
    ({ username, custom_id }) => Boolean(username || custom_id),
    "at least one of these fields must be non-empty: 'custom_id', 'username'",
  ),
)

/** A random key or secret for a credential that was created without one. */
function generated(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24))
  return toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_')
}

const credential = { ...entity, consumer: f.reference }

const keyauth_credentials = f.record({
  ...credential,
  key: v.optional(f.secret, generated),
  /** Seconds from `updated_at`, after which the key is refused. Zero: it is valid until it is removed. */
  ttl: f.optional(f.integer(0, 100_000_000)),
})

const basicauth_credentials = f.record({ ...credential, username: f.string, password: f.secret })

const jwt_secrets = v.pipe(
  f.record({
    ...credential,
    key: v.optional(v.pipe(f.string, v.minLength(1, 'length must be at least 1')), generated),
    secret: v.optional(f.secret, generated),
    rsa_public_key: f.optional(f.pem(/^PUBLIC KEY$/, 'key')),
    algorithm: v.optional(f.oneOf(...JWT_ALGORITHMS), 'HS256'),
  }),
  v.forward(
    v.partialCheck(
      [['algorithm'], ['rsa_public_key']],
      ({ algorithm, rsa_public_key }) => algorithm.startsWith('HS') || rsa_public_key !== null,
      'required field missing',
    ),
    ['rsa_public_key'],
  ),
)

const ONE_CERTIFICATE = 'is not supported: an entity holds one certificate'

const certificates = f.record({
  ...entity,
  cert: f.pem(/^CERTIFICATE$/, 'certificate'),
  key: f.pem(/^(?:\w+ )*PRIVATE KEY$/, 'key', MASK),
  cert_alt: f.unserved(ONE_CERTIFICATE),
  key_alt: f.unserved(ONE_CERTIFICATE),
  snis: f.optional(
    v.pipe(
      f.array(f.serverName),
      v.check(
        (names) => repeated(names) === undefined,
        ({ input }) => `${repeated(input)} is duplicated`,
      ),
    ),
  ),
})

function repeated(names: readonly string[]): string | undefined {
  return names.find((name, index) => names.indexOf(name) !== index)
}

const snis = f.record({ ...entity, name: f.serverName, certificate: f.reference })

/** The schema of each kind: the source of defaults, messages and `GET /schemas/{entity}`. */
export const entitySchemas = {
  services,
  routes,
  plugins,
  consumers,
  keyauth_credentials,
  basicauth_credentials,
  jwt_secrets,
  certificates,
  snis,
}

/**
 * Checks an entity and completes it as Kong does: defaults, `id`, `created_at`, `updated_at`.
 *
 * @param existing The entity that `raw` changes: absent fields stay, and nested records are merged, as
 *   in Kong's PATCH. Default: `raw` is the whole entity.
 * @throws SchemaViolation in Kong's words.
 */
export function readEntity<K extends EntityKind>(
  kind: K,
  raw: unknown,
  existing?: EntityKinds[K],
): EntityKinds[K] {
  if (!isJsonObject(raw)) throw new SchemaViolation({ '@entity': 'expected a record' })
  refuseForbidden(raw)
  const now = Math.floor(Date.now() / 1_000)
  const given = kind === 'services' ? withoutUrl(raw) : raw
  if (existing && 'id' in given && given['id'] !== existing.id) {
    throw new SchemaViolation({ id: 'immutable field cannot be updated' })
  }
  const whole = existing
    ? {
        ...merge({ ...existing }, given, kind === 'routes' ? MAPS_OF_ROUTES : MAPS_AND_REFERENCES),
        // A key's `ttl` counts from there: changes of other fields must not extend it.
        updated_at: hasTtl(existing) && given['ttl'] === undefined ? existing.updated_at : now,
      }
    : {
        ...given,
        id: given['id'] ?? crypto.randomUUID(),
        created_at: given['created_at'] ?? now,
        updated_at: given['updated_at'] ?? now,
      }
  const result = v.safeParse(entitySchemas[kind], withProtocols(kind, whole))
  const fields = result.success ? {} : fieldErrors(result.issues)
  if (kind === 'plugins' && !('name' in fields)) {
    const config = configOf(whole, fields)
    return { ...(result.output as KongPlugin), config } as EntityKinds[EntityKind] as EntityKinds[K]
  }
  if (!result.success) throw new SchemaViolation(fields)
  // The names of a certificate are entities of their own.
  if (kind === 'certificates') delete (result.output as { snis?: unknown }).snis
  return result.output as EntityKinds[K]
}

function hasTtl(entity: EntityKinds[EntityKind]): boolean {
  return 'ttl' in entity && entity.ttl !== null
}

type RawEntity = Readonly<Record<string, unknown>>

/** A plugin with its default of `protocols`, which depends on its name; other kinds as they are. */
function withProtocols(kind: EntityKind, entity: RawEntity): RawEntity {
  if (kind !== 'plugins') return entity
  const { protocols, name } = entity
  return { ...entity, protocols: protocols ?? [...pluginProtocols(String(name))] }
}

/**
 * A plugin's configuration. Its errors are thrown together with those of the plugin's other fields.
 */
function configOf(plugin: RawEntity, fields: FieldErrors): KongPlugin['config'] {
  let errors = fields
  try {
    const named = { name: String(plugin['name']), id: String(plugin['id']) }
    const config = readConfig(named, plugin['config'] ?? {})
    if (Object.keys(errors).length === 0) return config
  } catch (error) {
    if (!(error instanceof SchemaViolation)) throw error
    errors = { ...fields, ...error.fields }
  }
  throw new SchemaViolation(errors)
}

/** Replaces Kong's shorthand `url` by its four fields. */
function withoutUrl({ url, ...rest }: RawEntity): RawEntity {
  if (url === undefined || url === null) return rest
  if (typeof url !== 'string') throw new SchemaViolation({ url: 'expected a string' })
  if (!URL.canParse(url)) throw new SchemaViolation({ url: 'missing host in url' })
  const { protocol, hostname, port, pathname } = new URL(url)
  const scheme = protocol.slice(0, -1)
  return {
    ...rest,
    protocol: scheme,
    host: hostname,
    port: Number(port) || (scheme === 'https' ? 443 : 80),
    path: pathname === '' || (pathname === '/' && !url.endsWith('/')) ? null : pathname,
  }
}

/** Merges a change into a record: nested records are merged, all else is replaced. */
function merge(old: RawEntity, change: RawEntity, replaced: ReadonlySet<string>): RawEntity {
  const merged: Record<string, unknown> = { ...old }
  for (const [key, value] of Object.entries(change)) {
    const before = merged[key]
    const isMerged = isJsonObject(before) && isJsonObject(value) && !replaced.has(key)
    merged[key] = isMerged ? merge(before, value, replaced) : value
  }
  return merged
}

/**
 * Refuses field names with a meaning in JavaScript: `__proto__` sets a prototype, and valibot silently
 * leaves out all three of them.
 *
 * @throws SchemaViolation that names the first such field.
 */
function refuseForbidden(value: unknown, path: readonly string[] = []): void {
  if (typeof value !== 'object' || value === null) return
  if (path.length > MAX_DEPTH) throw new SchemaViolation({ '@entity': 'nested too deeply' })
  const isArray = Array.isArray(value)
  for (const [key, inner] of Object.entries(value)) {
    const here = [...path, isArray ? String(Number(key) + 1) : key]
    if (!isArray && FORBIDDEN.has(key)) throw new SchemaViolation(errorAt(here, 'unknown field'))
    refuseForbidden(inner, here)
  }
}
