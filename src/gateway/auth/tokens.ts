import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import * as v from 'valibot'
import { KafkaConsumeError } from '../../core/errors.ts'
import { logOf } from '../../core/log.ts'
import type { KafkaClient } from '../../http/request/client.ts'
import { scopeSchema } from './scope.ts'

const log = logOf('auth')

/** The issuer whose tokens are accepted. */
export interface TokenOptions {
  /** The URL of the issuer's key set (JWKS). */
  readonly jwksUrl: string
  /** The required value of the claim `iss`. Default: any. */
  readonly issuer?: string | undefined
  /** The required value, or element, of the claim `aud`. Default: any. */
  readonly audience?: string | undefined
  /**
   * The claim that says what a token's bearer may see, `{topics, partitions, keys, filters}`; a
   * token must have it. Default: all bearers may see all records.
   */
  readonly claim?: string | undefined
}

/** Algorithms with a public key. A symmetric key would be secret, and not part of a public key set. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]
/** Seconds by which the issuer's clock and ours may differ. */
const CLOCK_TOLERANCE_SECONDS = 5
const FETCH_TIMEOUT_MS = 5_000
/** Milliseconds for which fetched keys are used. */
const KEYS_MAX_AGE_MS = 600_000
/** Milliseconds after a fetch in which an unknown key does not cause another one. */
const KEYS_COOLDOWN_MS = 30_000
/** Milliseconds between two log lines about keys that cannot be fetched. */
const LOG_INTERVAL_MS = 60_000
/** Errors of `jose` that are the token's: it is refused. All other errors concern the key set. */
const TOKEN_ERRORS = new Set([
  'ERR_JWT_CLAIM_VALIDATION_FAILED',
  'ERR_JWT_EXPIRED',
  'ERR_JWT_INVALID',
  'ERR_JWS_INVALID',
  'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
  'ERR_JOSE_ALG_NOT_ALLOWED',
  'ERR_JOSE_NOT_SUPPORTED',
  'ERR_JWKS_NO_MATCHING_KEY',
  'ERR_JWKS_MULTIPLE_MATCHING_KEYS',
])

/** The claims of a token by name (RFC 7519). */
export type Claims = Readonly<Record<string, unknown>>

/**
 * Checks JSON Web Tokens (RFC 7519) by the keys of their issuer. Keys are fetched when they are
 * needed, cached for ten minutes, and fetched again when a token names an unknown one.
 *
 * @returns The bearer of a token; undefined for a token that is not accepted.
 */
export function tokenChecker(
  options: TokenOptions,
): (token: string) => Promise<KafkaClient | undefined> {
  const verify = verifier(options)
  return async (token) => {
    const claims = await verify(token)
    return claims && bearerOf(claims, options.claim)
  }
}

/** @returns The claims of a token; undefined for a token that is not accepted. */
function verifier({ jwksUrl, issuer, audience }: TokenOptions) {
  const keys = createRemoteJWKSet(new URL(jwksUrl), {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cacheMaxAge: KEYS_MAX_AGE_MS,
    cooldownDuration: KEYS_COOLDOWN_MS,
  })
  let loggedAt = Number.NEGATIVE_INFINITY
  const logOutage = (error: unknown) => {
    if (performance.now() - loggedAt <= LOG_INTERVAL_MS) return
    loggedAt = performance.now()
    const cause = error instanceof Error ? error.message : String(error)
    log.error('Cannot get the keys of tokens from {jwksUrl}: {cause}', { jwksUrl, cause })
  }
  /** @throws KafkaConsumeError AUTHENTICATION_UNAVAILABLE */
  return async (token: string): Promise<Claims | undefined> => {
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        // A stolen token without an expiry would be valid for ever.
        requiredClaims: ['sub', 'exp'],
        ...(issuer === undefined ? {} : { issuer }),
        ...(audience === undefined ? {} : { audience }),
      })
      return payload
    } catch (error) {
      if (error instanceof errors.JOSEError && TOKEN_ERRORS.has(error.code)) return undefined
      logOutage(error)
      throw new KafkaConsumeError(
        'AUTHENTICATION_UNAVAILABLE',
        'Cannot authenticate: the keys of tokens cannot be had',
        { retryAfter: 5, cause: error },
      )
    }
  }
}

function bearerOf(claims: Claims, claim: string | undefined): KafkaClient | undefined {
  const { sub } = claims
  // A subject is a client's name in limits and groups: "[object Object]" would be many clients.
  if (typeof sub !== 'string' || sub === '') return undefined
  return { name: sub, until: Number(claims['exp']) * 1_000, ...scopeOf(claims, claim) }
}

/**
 * The scope that a token gives its bearer; none where no claim is named.
 *
 * @param claim The claim that holds it, which a token must have.
 * @throws KafkaConsumeError FORBIDDEN for a token without a valid claim of what its bearer may see.
 */
export function scopeOf(claims: Claims, claim: string | undefined): Pick<KafkaClient, 'only'> {
  if (claim === undefined) return {}
  const scope = v.safeParse(scopeSchema, claims[claim])
  if (scope.success) return { only: scope.output }
  throw new KafkaConsumeError(
    'FORBIDDEN',
    `Cannot read: the token's claim "${claim}" does not say what its bearer may see`,
  )
}
