import { getLogger } from '@logtape/logtape'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import * as v from 'valibot'
import { KafkaConsumeError } from '../../core/errors.ts'
import { LOG_ROOT } from '../../core/log.ts'
import type { KafkaClient } from '../../http/request/client.ts'
import { onlySchema } from './clients.ts'

const log = getLogger([LOG_ROOT, 'auth'])

/** Whose tokens are taken. */
export interface TokenOptions {
  /** Where the issuer's keys are. */
  readonly jwksUrl: string
  /** What `iss` must be. Default: anything. */
  readonly issuer?: string | undefined
  /** What `aud` must be or hold. Default: anything. */
  readonly audience?: string | undefined
  /**
   * The claim that says what a token's bearer may see, `{topics, partitions, keys, filters}`; a
   * token must have it. Default: all bearers see all.
   */
  readonly claim?: string | undefined
}

/** With a key that is public: one that both sides have would be no key set's. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]
/** Seconds by which clocks may differ. */
const CLOCK_TOLERANCE = 5
const FETCH_TIMEOUT = 5_000
/** Milliseconds for which keys are used, and for which a key that is missing is not asked for again. */
const KEYS_LAST = 600_000
const KEYS_COOLDOWN = 30_000
/** Milliseconds between two lines in the log about keys that cannot be had. */
const LOG_INTERVAL = 60_000
/** What a token can be that is one, and not to be taken. */
const OF_THE_TOKEN = new Set([
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

/**
 * Checks JSON Web Tokens (RFC 7519) by the keys of their issuer, which are fetched when they are
 * needed, kept for ten minutes, and asked for again when a token has one that is new.
 *
 * @returns Who has a token; undefined for one that is not to be taken.
 */
export function tokenChecker({
  jwksUrl,
  issuer,
  audience,
  claim,
}: TokenOptions): (token: string) => Promise<KafkaClient | undefined> {
  const keys = createRemoteJWKSet(new URL(jwksUrl), {
    timeoutDuration: FETCH_TIMEOUT,
    cacheMaxAge: KEYS_LAST,
    cooldownDuration: KEYS_COOLDOWN,
  })
  let logged = Number.NEGATIVE_INFINITY
  return async (token) => {
    let claims: Readonly<Record<string, unknown>>
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE,
        // Without an end a token that was lost would be good for ever.
        requiredClaims: ['sub', 'exp'],
        ...(issuer === undefined ? {} : { issuer }),
        ...(audience === undefined ? {} : { audience }),
      })
      claims = payload
    } catch (error) {
      if (error instanceof errors.JOSEError && OF_THE_TOKEN.has(error.code)) return undefined
      if (performance.now() - logged > LOG_INTERVAL) {
        logged = performance.now()
        const cause = error instanceof Error ? error.message : String(error)
        log.error('Cannot get the keys of tokens from {jwksUrl}: {cause}', { jwksUrl, cause })
      }
      throw new KafkaConsumeError(
        'AUTHENTICATION_UNAVAILABLE',
        'Cannot authenticate: the keys of tokens cannot be had',
        { retryAfter: 5, cause: error },
      )
    }
    const { sub } = claims
    // A subject is a client's name, in limits and groups: "[object Object]" would be many clients.
    if (typeof sub !== 'string' || sub === '') return undefined
    const bearer = { name: sub, until: Number(claims['exp']) * 1_000 }
    if (claim === undefined) return bearer
    const only = v.safeParse(onlySchema, claims[claim])
    if (only.success) return { ...bearer, only: only.output }
    throw new KafkaConsumeError(
      'FORBIDDEN',
      `Cannot read: the token's claim "${claim}" does not say what its bearer may see`,
    )
  }
}
