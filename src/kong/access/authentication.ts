/**
 * The common part of `key-auth`, `basic-auth` and `jwt`: a verdict, and the answer or consumer it
 * leads to.
 */
import type { Context } from 'hono'
import type { KafkaConsumeError } from '../../core/errors.ts'
import { FOREIGN_PAGE, isForeignPage } from '../../http/request/page-origin.ts'
import * as f from '../model/fields.ts'
import { type AccessStep, type KongAccess, refuse } from './access-plugin.ts'
import type { Credentials } from './credentials.ts'

/** A credential that was found right. */
interface Identified {
  readonly id: string
  readonly consumer: { readonly id: string }
  /** How upstreams are told of the credential. Default: its id. */
  readonly identifier?: string
}

/** Missing or wrong credentials. */
interface Unidentified {
  readonly message: string
  /** The value of `WWW-Authenticate`. */
  readonly challenge: string
  /** More fields of the answer. */
  readonly rest?: Readonly<Record<string, string>>
}

/** Why a request is refused whatever its credentials are. */
type Refused =
  | { readonly forbidden: string }
  /** The request cannot be read. */
  | { readonly error: KafkaConsumeError }
  /** Seconds until the client may try again. */
  | { readonly retryAfter: number }

export type Verdict = Identified | Unidentified | Refused

/** The consumer as which a request without credentials is served: an id or a name. */
export const anonymous = f.optional(f.string)

export const OWN_CREDENTIALS = 'is not supported: credentials are those of this gateway'

/** Kong's identities of another service. They are accepted where they are not enabled. */
export const principals = f.unserved(OWN_CREDENTIALS, ({ enabled }) => enabled !== true)

const TOO_MANY_FAILURES = 'Too many failed login attempts'

interface Common {
  readonly anonymous: string | null
  /** Whether a browser's `OPTIONS` is asked for credentials, too. */
  readonly run_on_preflight?: boolean
}

/**
 * A plugin that identifies the consumer of a request. If a route has several, a request must pass
 * all of them; if they have `anonymous`, one is enough, as in Kong.
 */
export function authentication(
  config: Common,
  credentials: () => Credentials,
  judge: (access: KongAccess) => Promise<Verdict> | Verdict,
): AccessStep {
  return async (access) => {
    const { c } = access
    if (config.run_on_preflight === false && c.req.method === 'OPTIONS') return undefined
    if (config.anonymous !== null && access.credential !== undefined) return undefined
    const verdict = await judge(access)
    const held = credentials()
    if ('id' in verdict) {
      access.consumer = held.consumer(verdict.consumer.id)
      access.credential = verdict.id
      access.credentialIdentifier = verdict.identifier ?? verdict.id
      return undefined
    }
    if (!('challenge' in verdict)) return refusal(c, verdict)
    if (config.anonymous === null) {
      c.header('WWW-Authenticate', verdict.challenge)
      return refuse(c, 401, 'UNAUTHENTICATED', verdict.message, verdict.rest)
    }
    access.consumer = held.consumer(config.anonymous)
    if (access.consumer) return undefined
    const message = `Cannot authenticate: there is no consumer "${config.anonymous}", which "anonymous" names`
    return refuse(c, 500, 'INVALID_OPTIONS', message)
  }
}

function refusal(c: Context, refused: Refused): Response {
  if ('forbidden' in refused) return refuse(c, 403, 'FORBIDDEN', refused.forbidden)
  if ('error' in refused) {
    const { status, code, message } = refused.error
    return refuse(c, status, code, message)
  }
  c.header('Retry-After', String(refused.retryAfter))
  return refuse(c, 429, 'RATE_LIMITED', TOO_MANY_FAILURES, { retryable: true })
}

/**
 * The verdict on credentials that a browser may have added for a page of another origin. Undefined
 * when the credentials count.
 */
export function foreignPage({ c, credentialOrigin }: KongAccess): Verdict | undefined {
  const isForeign = isForeignPage(c, (origin) => origin === credentialOrigin)
  return isForeign ? { forbidden: FOREIGN_PAGE } : undefined
}

/** A challenge of a scheme, with the realm where one is configured. */
export function challenge(scheme: string, realm: string | null): string {
  return realm === null ? scheme : `${scheme} realm="${realm.replace(/["\\]/g, '\\$&')}"`
}

/** Notes a header that held a credential. */
export function credentialHeader(access: KongAccess, name: string, isHidden: boolean): void {
  access.credentialHeaders.push(name)
  if (!isHidden) access.forwardedCredentials.push(name)
}
