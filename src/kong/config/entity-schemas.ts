/** The schemas of Kong's entities, with Kong's defaults and messages. */
import * as v from 'valibot'
import { toBase64 } from '../../core/bytes.ts'
import * as f from '../model/fields.ts'
import { MASK } from './plugin-config.ts'
import { isForConsumers, PLUGIN_NAMES, pluginProtocols, WEB_PROTOCOLS } from './plugins.ts'

const PROTOCOLS = [...WEB_PROTOCOLS, 'tcp', 'tls', 'tls_passthrough', 'udp'] as const
/** The algorithms of tokens that Kong knows and the runtimes can verify. */
const JWT_ALGORITHMS = [
  ...['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'],
  ...['PS256', 'PS384', 'PS512', 'EdDSA'],
] as const
/** A timeout in milliseconds, with Kong's limits. */
const timeout = v.optional(f.integer(1, 2 ** 31 - 2), 60_000)

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
