/**
 * Kong's plugin `jwt`: identifies a consumer by a JSON Web Token of one of its issuers. Its options
 * and messages are Kong's.
 */
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
import { accessPlugin, type KongAccess } from './access-plugin.ts'
import {
  anonymous,
  authentication,
  challenge,
  credentialHeader,
  foreignPage,
} from './authentication.ts'
import type { Credentials } from './credentials.ts'
import type { TokenFacts, Verdict } from './verdict.ts'

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

const NO_TOKEN = 'Unauthorized'

type JwtConfig = v.InferOutput<typeof schema>

/** https://docs.konghq.com/hub/kong-inc/jwt/ */
export const jwt = accessPlugin({
  name: 'jwt',
  schema,
  isForConsumers: false,
  make(config, credentials) {
    const keyOf = keysBy(config.secret_is_base64)
    const judgeTokens = async (tokens: readonly string[]): Promise<Verdict> => {
      try {
        const { claims, header, text } = soleToken(tokens)
        const held = credentialOf(claims, header, config, credentials())
        await verifySignature(text, header, held, keyOf)
        verifyClaims(claims, config)
        return {
          id: held.id,
          consumer: held.consumer,
          identifier: held.key,
          until: untilOf(claims, config),
          token: factsOf(claims, config),
        }
      } catch (error) {
        if (error instanceof InvalidToken) return refusalVerdict(error, config.realm)
        throw error
      }
    }
    return authentication(config, credentials, {
      plugin: 'jwt',
      identifierOf: (credential) => ('key' in credential ? credential.key : credential.id),
      judgeFacts: (token) =>
        accepts(token, config) ? { until: untilOf(token, config) } : undefined,
      logIn: async ({ name, secret }) => (name === '' ? judgeTokens([secret]) : undefined),
      judge: async (access) => {
        const { tokens, isCookie } = tokensOf(access, config)
        const foreign = isCookie ? foreignPage(access) : undefined
        if (foreign) return foreign
        const verdict = await judgeTokens(tokens)
        return tokens.length === 0 && 'challenge' in verdict
          ? { ...verdict, isMissing: true }
          : verdict
      },
    })
  },
})

/** When a token's bearer must show a new one: its `exp`, where the plugin verifies that. */
function untilOf(
  { exp }: { readonly exp?: number | undefined },
  config: JwtConfig,
): number | undefined {
  return config.claims_to_verify?.includes('exp') ? Number(exp) * 1_000 : undefined
}

function factsOf({ exp, nbf }: JWTPayload, config: JwtConfig): TokenFacts {
  return {
    claim: config.key_claim_name,
    isBase64: config.secret_is_base64,
    ...(typeof exp === 'number' && { exp }),
    ...(typeof nbf === 'number' && { nbf }),
  }
}

/** Whether the plugin would accept the token whose facts these are. */
function accepts({ claim, isBase64, ...claims }: TokenFacts, config: JwtConfig): boolean {
  const isSameKey = claim === config.key_claim_name && isBase64 === config.secret_is_base64
  const errors = claimErrors(claims as JWTPayload, config, Date.now() / 1_000)
  return isSameKey && Object.keys(errors).length === 0
}

/** A token that is not accepted, in Kong's words. */
class InvalidToken extends Error {
  /** The message of each claim that is wrong: more fields of the answer. */
  readonly claims: Readonly<Record<string, string>>

  constructor(message: string, claims: Readonly<Record<string, string>> = {}) {
    super(message)
    this.claims = claims
  }
}

function refusalVerdict({ message, claims }: InvalidToken, realm: string | null): Verdict {
  const error = message === NO_TOKEN ? [] : ['error="invalid_token"']
  const separator = realm === null ? ' ' : ', '
  return {
    message,
    challenge: [challenge('Bearer', realm), ...error].join(separator),
    rest: claims,
  }
}

interface DecodedToken {
  readonly text: string
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: JWTPayload
}

/** @throws InvalidToken where there is not exactly one token, or it is malformed. */
function soleToken([text, another]: readonly string[]): DecodedToken {
  if (text === undefined) throw new InvalidToken(NO_TOKEN)
  if (another !== undefined) throw new InvalidToken('Multiple tokens provided')
  try {
    const header = decodeProtectedHeader(text) as Readonly<Record<string, unknown>>
    return { text, header, claims: decodeJwt(text) }
  } catch {
    throw new InvalidToken('Bad token; invalid JSON')
  }
}

/** @throws InvalidToken where no credential has the token's issuer. */
function credentialOf(
  claims: JWTPayload,
  header: DecodedToken['header'],
  { key_claim_name: name }: JwtConfig,
  credentials: Credentials,
): JwtSecret {
  const issuer = claims[name] ?? header[name]
  if (typeof issuer !== 'string' || issuer === '') {
    throw new InvalidToken(`No mandatory '${name}' in claims`)
  }
  const held = credentials.byIssuer(issuer)
  if (!held) throw new InvalidToken(`No credentials found for given '${name}'`)
  return held
}

/** @throws InvalidToken */
async function verifySignature(
  text: string,
  header: DecodedToken['header'],
  held: JwtSecret,
  keyOf: ReturnType<typeof keysBy>,
): Promise<void> {
  if (header['alg'] !== held.algorithm) throw new InvalidToken('Invalid algorithm')
  const key = await keyOf(held)
  if (!key) throw new InvalidToken('Invalid key/secret')
  try {
    await compactVerify(text, key, { algorithms: [held.algorithm] })
  } catch {
    throw new InvalidToken('Invalid signature')
  }
}

/** @throws InvalidToken that names each wrong claim. */
function verifyClaims(claims: JWTPayload, config: JwtConfig): void {
  const errors = claimErrors(claims, config, Date.now() / 1_000)
  const [first] = Object.values(errors)
  if (first !== undefined) throw new InvalidToken(first, errors)
}

interface PresentedJwts {
  readonly tokens: readonly string[]
  readonly isCookie: boolean
}

/** The tokens of a request, looked for in Kong's order: query, cookies, headers. */
function tokensOf(access: KongAccess, config: JwtConfig): PresentedJwts {
  const { c, credentialParameters } = access
  const query = new URL(c.req.url).searchParams
  for (const name of config.uri_param_names) {
    if (!query.has(name)) continue
    credentialParameters.push(name)
    return { tokens: query.getAll(name), isCookie: false }
  }
  for (const name of config.cookie_names) {
    const cookie = getCookie(c, name)
    if (!cookie) continue
    // Kong's plugin has no `hide_credentials`: its tokens are forwarded.
    credentialHeader(access, 'cookie', false)
    return { tokens: [cookie], isCookie: true }
  }
  for (const name of config.header_names) {
    const [, token] = /^\s*bearer\s+(\S+)\s*$/i.exec(c.req.header(name) ?? '') ?? []
    if (!token) continue
    credentialHeader(access, name, false)
    return { tokens: [token], isCookie: false }
  }
  return { tokens: [], isCookie: false }
}

/** The key that verifies a credential's tokens, made once; undefined where it is not valid. */
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

/** The errors of `claims_to_verify`. As in Kong, other claims are not checked, and these are required. */
function claimErrors(
  claims: JWTPayload,
  { claims_to_verify, maximum_expiration }: JwtConfig,
  now: number,
): Record<string, string> {
  const errors: Record<string, string> = {}
  const { exp, nbf } = claims
  for (const claim of claims_to_verify ?? []) {
    if (typeof claims[claim] !== 'number') errors[claim] = 'must be a number'
  }
  const verifies = (claim: 'exp' | 'nbf') =>
    claims_to_verify?.includes(claim) && errors[claim] === undefined
  if (verifies('exp') && (exp as number) <= now) errors['exp'] = 'token expired'
  if (verifies('nbf') && (nbf as number) > now) errors['nbf'] = 'token not valid yet'
  if (maximum_expiration > 0 && verifies('exp') && (exp as number) - now > maximum_expiration) {
    errors['exp'] = 'exceeds maximum allowed expiration'
  }
  return errors
}
