/** The gateway's settings for its guard: which clients are served, and how much. */
import * as v from 'valibot'
import { PERIODS, type Period } from '../../core/fixed-window-limiter.ts'
import { parseKeys } from '../auth/clients.ts'
import type { GuardOptions } from '../auth/guard.ts'
import { loginErrors, loginOptions, loginSettings } from './login-settings.ts'
import { isTrustedUrl, TRUSTED_URL_FORM } from './trusted-url.ts'

const LIMIT = new RegExp(`^([1-9]\\d{0,8})/(${Object.keys(PERIODS).join('|')})$`)
const LIMIT_FORM = `a number and a period are required, such as 100/minute,1000/hour (${Object.keys(PERIODS).join(', ')})`
const NAME_FORM = 'a name of letters, digits, dots, dashes and underscores is required'
const name = v.pipe(v.string(), v.regex(/^[\w.-]{1,64}$/, NAME_FORM))

function isOrigin(text: string): boolean {
  return text === '*' || (URL.canParse(text) && new URL(text).origin === text)
}

/** Each setting with the names of its flag and variable. */
export const guardSettings = {
  clients: v.pipe(
    v.optional(v.string()),
    v.description(
      'Clients that may read: a file of names, keys and passwords; read again on SIGHUP',
    ),
    v.metadata({ flag: 'clients', variable: 'CLIENTS_FILE', value: 'file' }),
  ),
  bearerKeys: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.rawTransform(({ dataset, addIssue, NEVER }) => {
          try {
            return parseKeys(dataset.value)
          } catch (error) {
            addIssue({ message: error instanceof Error ? error.message : String(error) })
            return NEVER
          }
        }),
      ),
    ),
    v.description('Clients that may read: name=key,name=key; no flag, since keys are secret'),
    v.metadata({ variable: 'BEARER_KEYS' }),
  ),
  jwksUrl: v.pipe(
    v.optional(v.pipe(v.string(), v.check(isTrustedUrl, TRUSTED_URL_FORM))),
    v.description('Key set (JWKS) of the issuer whose JSON Web Tokens are accepted'),
    v.metadata({ flag: 'jwks-url', variable: 'JWKS_URL', value: 'url' }),
  ),
  jwtIssuer: v.pipe(
    v.optional(v.string()),
    v.description('Required value of the claim iss of a token'),
    v.metadata({ flag: 'jwt-issuer', variable: 'JWT_ISSUER', value: 'text' }),
  ),
  jwtAudience: v.pipe(
    v.optional(v.string()),
    v.description('Required value, or element, of the claim aud of a token'),
    v.metadata({ flag: 'jwt-audience', variable: 'JWT_AUDIENCE', value: 'text' }),
  ),
  jwtClaim: v.pipe(
    v.optional(v.string()),
    v.description(
      'Claim that says what a token\'s bearer may see, {"topics", "partitions", "keys", "filters"}; a token must have it, also the ID token of --oidc-issuer',
    ),
    v.metadata({ flag: 'jwt-claim', variable: 'JWT_CLAIM', value: 'name' }),
  ),
  ...loginSettings,
  tokenCookie: v.pipe(
    v.optional(name),
    v.description("Cookie that may hold a key or token, for browsers' EventSource"),
    v.metadata({ flag: 'token-cookie', variable: 'TOKEN_COOKIE', value: 'name' }),
  ),
  tokenQuery: v.pipe(
    v.optional(name),
    v.description('Query parameter that may hold a key or token; proxies may log it'),
    v.metadata({ flag: 'token-query', variable: 'TOKEN_QUERY', value: 'name' }),
  ),
  corsOrigins: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.transform((text) => text.split(',').map((origin) => origin.trim())),
        v.check(
          (origins) => origins.every(isOrigin),
          'origins are required, such as https://shop.example, or *',
        ),
      ),
    ),
    v.description('Origins whose pages may read (CORS), or *'),
    v.metadata({ flag: 'cors-origins', variable: 'CORS_ORIGINS', value: 'origin,…' }),
  ),
  rateLimit: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.check((text) => text.split(',').every((limit) => LIMIT.test(limit.trim())), LIMIT_FORM),
        v.transform((text) =>
          Object.fromEntries(
            text.split(',').map((limit) => {
              const [, count, period] = LIMIT.exec(limit.trim()) ?? []
              return [period as Period, Number(count)]
            }),
          ),
        ),
      ),
    ),
    v.description('Requests of one client (a key, user or token, else an address), at most'),
    v.metadata({ flag: 'rate-limit', variable: 'RATE_LIMIT', value: 'number/period,…' }),
  ),
  maxClientStreams: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.regex(/^[1-9]\d{0,5}$/, 'a whole number from 1 to 999999 is required'),
        v.transform(Number),
      ),
    ),
    v.description('Open streams of one client, at most'),
    v.metadata({ flag: 'max-client-streams', variable: 'MAX_CLIENT_STREAMS', value: 'number' }),
  ),
}

type GuardSettings = v.InferOutput<v.ObjectSchema<typeof guardSettings, undefined>>

/** Errors of settings that do not fit together, each with the setting to change. */
export function guardErrors(
  given: GuardSettings,
): Array<readonly [setting: keyof typeof guardSettings, error: string]> {
  const { jwksUrl, jwtIssuer, jwtAudience, tokenCookie, tokenQuery, corsOrigins } = given
  const takesTokens = jwksUrl !== undefined
  const asks = takesTokens || given.clients !== undefined || given.bearerKeys !== undefined
  const errors: ReturnType<typeof guardErrors> = [...loginErrors(given)]
  for (const setting of ['jwtIssuer', 'jwtAudience'] as const) {
    if (!takesTokens && given[setting] !== undefined)
      errors.push([setting, 'of use with --jwks-url only'])
  }
  if (!takesTokens && given.oidcIssuer === undefined && given.jwtClaim !== undefined) {
    errors.push(['jwtClaim', 'of use with --jwks-url or --oidc-issuer only'])
  }
  if (takesTokens && jwtIssuer === undefined && jwtAudience === undefined) {
    errors.push([
      'jwksUrl',
      '--jwt-issuer or --jwt-audience is required with it: tokens for others would be taken',
    ])
  }
  for (const [setting, value] of [
    ['tokenCookie', tokenCookie],
    ['tokenQuery', tokenQuery],
  ] as const) {
    if (!asks && value !== undefined) errors.push([setting, 'of use with keys or tokens only'])
  }
  if (tokenCookie !== undefined && corsOrigins?.includes('*')) {
    errors.push([
      'corsOrigins',
      '* is not allowed with --token-cookie: any page could read as its visitor',
    ])
  }
  return errors
}

/** Replaces the guard's settings by its options and those of sessions; without any of them `guard` is undefined. */
export function withGuard<T extends GuardSettings>(given: T) {
  const { bearerKeys, jwksUrl, jwtIssuer, jwtAudience, jwtClaim, ...others } = given
  const { tokenCookie, tokenQuery, corsOrigins, rateLimit, maxClientStreams, ...more } = others
  const { login, sessionHours, sessionSecret, oidcIssuer, ...oidc } = more
  const { oidcClientId, oidcClientSecret, oidcScopes, ...rest } = oidc
  const { sessions, oidc: issuer } = loginOptions(given, jwtClaim)
  const tokens =
    jwksUrl === undefined
      ? undefined
      : {
          jwksUrl,
          issuer: jwtIssuer,
          audience: jwtAudience,
          claim: jwtClaim,
        }
  const options: GuardOptions = {
    clients: bearerKeys,
    tokens,
    oidc: issuer,
    tokenCookie,
    tokenQuery,
    corsOrigins,
    limits: rateLimit,
    maxStreams: maxClientStreams,
  }
  const isAny = Object.values(options).some((option) => option !== undefined)
  const isGuarded = isAny || given.clients !== undefined
  return { ...rest, sessions, guard: isGuarded ? options : undefined }
}
