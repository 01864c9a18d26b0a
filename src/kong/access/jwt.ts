import { getCookie } from 'hono/cookie'
import {
  base64url,
  compactVerify,
  decodeJwt,
  decodeProtectedHeader,
  importSPKI,
  type JWTPayload,
} from 'jose'
import * as v from 'valibot'
import type { JwtSecret } from '../model/entities.ts'
import * as f from '../model/fields.ts'
import {
  anonymous,
  authentication,
  challenge,
  foreignPage,
  type Verdict,
} from './authentication.ts'
import { accessPlugin, type KongAccess } from './plugin.ts'

const schema = v.pipe(
  f.record({
    uri_param_names: v.optional(f.set(f.string), ['jwt']),
    cookie_names: v.optional(f.set(f.string), []),
    key_claim_name: v.optional(f.string, 'iss'),
    secret_is_base64: v.optional(f.boolean, false),
    claims_to_verify: f.optional(f.set(f.oneOf('exp', 'nbf'))),
    anonymous,
    run_on_preflight: v.optional(f.boolean, true),
    maximum_expiration: v.optional(f.number(0, 31_536_000), 0),
    header_names: v.optional(f.set(f.string), ['authorization']),
    realm: f.optional(f.string),
  }),
  v.forward(
    v.partialCheck(
      [['maximum_expiration'], ['claims_to_verify']],
      ({ maximum_expiration, claims_to_verify }) =>
        maximum_expiration === 0 || (claims_to_verify?.includes('exp') ?? false),
      'expected to contain: exp',
    ),
    ['claims_to_verify'],
  ),
)

type JwtConfig = v.InferOutput<typeof schema>

/** https://docs.konghq.com/hub/kong-inc/jwt/ */
export const jwt = accessPlugin({
  name: 'jwt',
  schema,
  isForConsumers: false,
  make(config, credentials) {
    const wrong = (message: string, rest: Readonly<Record<string, string>> = {}): Verdict => {
      const error = message === 'Unauthorized' ? '' : 'error="invalid_token"'
      const why = [challenge('Bearer', config.realm), error].filter((text) => text !== '')
      return { message, challenge: why.join(config.realm === null ? ' ' : ', '), rest }
    }
    const keyOf = keysBy(config.secret_is_base64)
    return authentication(config, credentials, async (access) => {
      const { tokens, isCookie } = tokensOf(access, config)
      const foreign = isCookie ? foreignPage(access) : undefined
      if (foreign) return foreign
      const [token, another] = tokens
      if (token === undefined) return wrong('Unauthorized')
      if (another !== undefined) return wrong('Multiple tokens provided')
      const parts = decode(token)
      if (!parts) return wrong('Bad token; invalid JSON')
      const { header, claims } = parts
      const name = config.key_claim_name
      const issuer = claims[name] ?? header[name]
      if (typeof issuer !== 'string' || issuer === '') {
        return wrong(`No mandatory '${name}' in claims`)
      }
      const held = credentials().byIssuer(issuer)
      if (!held) return wrong(`No credentials found for given '${name}'`)
      if (header['alg'] !== held.algorithm) return wrong('Invalid algorithm')
      const key = await keyOf(held)
      if (!key) return wrong('Invalid key/secret')
      try {
        await compactVerify(token, key, { algorithms: [held.algorithm] })
      } catch {
        return wrong('Invalid signature')
      }
      const problems = problemsOf(claims, config, Date.now() / 1_000)
      const [problem] = Object.values(problems)
      if (problem !== undefined) return wrong(problem, problems)
      if (config.claims_to_verify?.includes('exp')) access.until = Number(claims.exp) * 1_000
      return held
    })
  },
})

interface Shown {
  readonly tokens: readonly string[]
  readonly isCookie: boolean
}

/** In Kong's order: query, cookies, headers. */
function tokensOf({ c, credentialParameters }: KongAccess, config: JwtConfig): Shown {
  const query = new URL(c.req.url).searchParams
  for (const name of config.uri_param_names) {
    if (!query.has(name)) continue
    credentialParameters.push(name)
    return { tokens: query.getAll(name), isCookie: false }
  }
  for (const name of config.cookie_names) {
    const cookie = getCookie(c, name)
    if (cookie) return { tokens: [cookie], isCookie: true }
  }
  for (const name of config.header_names) {
    const [, token] = /^\s*bearer\s+(\S+)\s*$/i.exec(c.req.header(name) ?? '') ?? []
    if (token) return { tokens: [token], isCookie: false }
  }
  return { tokens: [], isCookie: false }
}

function decode(token: string) {
  try {
    const header = decodeProtectedHeader(token) as Readonly<Record<string, unknown>>
    return { header, claims: decodeJwt(token) }
  } catch {
    return undefined
  }
}

/** What a credential's tokens are checked with, made once. Undefined where it is of no use. */
function keysBy(isBase64: boolean) {
  const keys = new WeakMap<JwtSecret, Promise<CryptoKey | Uint8Array | undefined>>()
  return (held: JwtSecret) => {
    const found = keys.get(held) ?? makeKey(held, isBase64).catch(() => undefined)
    keys.set(held, found)
    return found
  }
}

async function makeKey({ algorithm, secret, rsa_public_key }: JwtSecret, isBase64: boolean) {
  if (!algorithm.startsWith('HS')) return importSPKI(rsa_public_key ?? '', algorithm)
  const plain = isBase64
    ? base64url.decode(secret.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, ''))
    : new TextEncoder().encode(secret)
  return plain.length === 0 ? undefined : plain
}

/** Only the claims that are to be verified are, as in Kong: then they must be there. */
function problemsOf(
  claims: JWTPayload,
  { claims_to_verify, maximum_expiration }: JwtConfig,
  now: number,
): Record<string, string> {
  const problems: Record<string, string> = {}
  const { exp, nbf } = claims
  for (const claim of claims_to_verify ?? []) {
    if (typeof claims[claim] !== 'number') problems[claim] = 'must be a number'
  }
  const verifies = (claim: 'exp' | 'nbf') =>
    claims_to_verify?.includes(claim) && problems[claim] === undefined
  if (verifies('exp') && (exp as number) <= now) problems['exp'] = 'token expired'
  if (verifies('nbf') && (nbf as number) > now) problems['nbf'] = 'token not valid yet'
  if (maximum_expiration > 0 && verifies('exp') && (exp as number) - now > maximum_expiration) {
    problems['exp'] = 'exceeds maximum allowed expiration'
  }
  return problems
}
