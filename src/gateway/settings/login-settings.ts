/** The gateway's settings for logging in with a browser. */
import * as v from 'valibot'
import type { OidcOptions } from '../auth/oidc.ts'
import type { SessionOptions } from '../auth/sessions.ts'
import { isTrustedUrl, TRUSTED_URL_FORM } from './trusted-url.ts'

const HOUR_MS = 3_600_000
const DEFAULT_HOURS = '8'
const HOURS_RANGE = 'a whole number from 1 to 720 is required'
const DEFAULT_SCOPES = 'openid,profile'
const SCOPES_FORM = 'names are required, openid among them, such as openid,profile'

/** Each setting with the names of its flag and variable. */
export const loginSettings = {
  login: v.pipe(
    v.optional(v.picklist(['on', 'off'], 'on or off is required'), 'on'),
    v.transform((text) => text === 'on'),
    v.description('Whether browsers without credentials get a page to log in, at /login: on, off'),
    v.metadata({ flag: 'login', variable: 'LOGIN', value: 'switch', default: 'on' }),
  ),
  sessionHours: v.pipe(
    v.optional(v.string(), DEFAULT_HOURS),
    v.regex(/^\d{1,3}$/, HOURS_RANGE),
    v.transform(Number),
    v.minValue(1, HOURS_RANGE),
    v.maxValue(720, HOURS_RANGE),
    v.description('Hours for which a browser stays logged in'),
    v.metadata({
      flag: 'session-hours',
      variable: 'SESSION_HOURS',
      value: 'number',
      default: DEFAULT_HOURS,
    }),
  ),
  sessionSecret: v.pipe(
    v.optional(v.pipe(v.string(), v.minLength(32, 'at least 32 characters are required'))),
    v.description(
      'Random text that encrypts the sessions of browsers, one for all nodes; default: a new one at each start; no flag, since the text is secret',
    ),
    v.metadata({ variable: 'SESSION_SECRET' }),
  ),
  oidcIssuer: v.pipe(
    v.optional(v.pipe(v.string(), v.check(isTrustedUrl, TRUSTED_URL_FORM))),
    v.description('OpenID Connect issuer whose users may log in with a browser'),
    v.metadata({ flag: 'oidc-issuer', variable: 'OIDC_ISSUER', value: 'url' }),
  ),
  oidcClientId: v.pipe(
    v.optional(v.string()),
    v.description('Client id that the issuer knows this gateway by'),
    v.metadata({ flag: 'oidc-client-id', variable: 'OIDC_CLIENT_ID', value: 'id' }),
  ),
  oidcClientSecret: v.pipe(
    v.optional(v.string()),
    v.description('Secret of that client; default: a public client; no flag, since it is secret'),
    v.metadata({ variable: 'OIDC_CLIENT_SECRET' }),
  ),
  oidcScopes: v.pipe(
    v.optional(v.string(), DEFAULT_SCOPES),
    v.transform((text) => text.split(',').map((scope) => scope.trim())),
    v.check(
      (scopes) => scopes.includes('openid') && scopes.every((each) => /^[!#-[\]-~]+$/.test(each)),
      SCOPES_FORM,
    ),
    v.description('Scopes to ask the issuer for'),
    v.metadata({
      flag: 'oidc-scopes',
      variable: 'OIDC_SCOPES',
      value: 'name,…',
      default: DEFAULT_SCOPES,
    }),
  ),
}

type LoginSettings = v.InferOutput<v.ObjectSchema<typeof loginSettings, undefined>>

/** Errors of settings that do not fit together, each with the setting to change. */
export function loginErrors({
  login,
  oidcIssuer,
  oidcClientId,
  oidcClientSecret,
}: LoginSettings): Array<readonly [setting: keyof typeof loginSettings, error: string]> {
  if (oidcIssuer !== undefined) {
    const errors: ReturnType<typeof loginErrors> = []
    if (oidcClientId === undefined) errors.push(['oidcClientId', 'required with --oidc-issuer'])
    if (!login) errors.push(['login', 'off is not allowed with --oidc-issuer'])
    return errors
  }
  const given = { oidcClientId, oidcClientSecret }
  return (['oidcClientId', 'oidcClientSecret'] as const)
    .filter((setting) => given[setting] !== undefined)
    .map((setting) => [setting, 'of use with --oidc-issuer only'])
}

/**
 * The options of logging in.
 *
 * @param claim The claim that says what a user may see.
 */
export function loginOptions(
  given: LoginSettings,
  claim: string | undefined,
): { readonly sessions: SessionOptions | undefined; readonly oidc: OidcOptions | undefined } {
  const { login, sessionHours, sessionSecret, oidcIssuer, oidcClientId = '' } = given
  return {
    sessions: login ? { maxAge: sessionHours * HOUR_MS, secret: sessionSecret } : undefined,
    oidc:
      oidcIssuer === undefined
        ? undefined
        : {
            issuer: oidcIssuer,
            clientId: oidcClientId,
            clientSecret: given.oidcClientSecret,
            scopes: given.oidcScopes,
            claim,
          },
  }
}
