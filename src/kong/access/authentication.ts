/**
 * The common part of `key-auth`, `basic-auth` and `jwt`: a verdict, and the answer or consumer it
 * leads to.
 */
import type { Context } from 'hono'
import type { FormCredentials } from '../../core/form-credentials.ts'
import { FOREIGN_PAGE, isForeignPage } from '../../http/request/page-origin.ts'
import { errorResponse } from '../../http/response/error-response.ts'
import * as f from '../model/fields.ts'
import { type AccessStep, type KongAccess, refuse } from './access-plugin.ts'
import { type AnyCredential, type Credentials, endOf } from './credentials.ts'
import type { Identified, Refused, TokenFacts, Verdict } from './verdict.ts'

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

/** How a plugin checks credentials. */
interface AuthenticationMethod {
  readonly plugin: string
  /** Checks the credentials of a request itself. */
  judge(access: KongAccess): Promise<Verdict> | Verdict
  /** Checks the credentials of a form; undefined for those of another kind. */
  logIn(form: FormCredentials): Promise<Verdict | undefined>
  /** How upstreams are told of a credential. Default: its id. */
  identifierOf?(credential: AnyCredential): string
  /** Judges a token by what a session tells of it; undefined where the plugin would refuse it. */
  judgeFacts?(token: TokenFacts): Pick<Identified, 'until'> | undefined
}

/**
 * A plugin that identifies the consumer of a request. If a route has several, a request must pass
 * all of them; if they have `anonymous`, one is enough, as in Kong. The session of a browser that has
 * logged in stands for the credential by which it did, where the request itself has none.
 */
export function authentication(
  config: Common,
  credentials: () => Credentials,
  method: AuthenticationMethod,
): AccessStep {
  const step = async (access: KongAccess) => {
    const { c } = access
    if (config.run_on_preflight === false && c.req.method === 'OPTIONS') return undefined
    if (config.anonymous !== null && access.credential !== undefined) return undefined
    const verdict = await verdictOn(access, credentials, method)
    const held = credentials()
    if ('id' in verdict) {
      access.consumer = held.consumer(verdict.consumer.id)
      access.credential = verdict.id
      access.credentialIdentifier = verdict.identifier ?? verdict.id
      access.until = earlier(access.until, verdict.until)
      return undefined
    }
    if (!('challenge' in verdict)) return refusal(c, verdict)
    if (config.anonymous === null) {
      c.header('WWW-Authenticate', verdict.challenge)
      return refuse(c, 401, 'UNAUTHENTICATED', verdict.message, verdict.rest)
    }
    return asAnonymous(access, held, config.anonymous)
  }
  return Object.assign(step, { logIn: (form: FormCredentials) => method.logIn(form) })
}

function asAnonymous(access: KongAccess, held: Credentials, name: string): Response | undefined {
  access.consumer = held.consumer(name)
  if (access.consumer) return undefined
  const message = `Cannot authenticate: there is no consumer "${name}", which "anonymous" names`
  return refuse(access.c, 500, 'INVALID_OPTIONS', message)
}

async function verdictOn(
  access: KongAccess,
  credentials: () => Credentials,
  method: AuthenticationMethod,
): Promise<Verdict> {
  const verdict = await method.judge(access)
  if (!('challenge' in verdict && verdict.isMissing)) return verdict
  return (await bySession(access, credentials(), method)) ?? verdict
}

/** The verdict on a session; undefined where there is none, or where its credential has changed or is gone. */
async function bySession(
  access: KongAccess,
  held: Credentials,
  { plugin, identifierOf, judgeFacts }: AuthenticationMethod,
): Promise<Verdict | undefined> {
  const session = await access.session()
  if (session?.credential.plugin !== plugin) return undefined
  const { credential, until, isForeign } = session
  const found = await held.byReference(credential)
  const facts = credential.token && judgeFacts ? judgeFacts(credential.token) : {}
  if (!found || !facts) return undefined
  if (isForeign) return { forbidden: FOREIGN_PAGE }
  return {
    id: found.id,
    consumer: found.consumer,
    until: earlier(earlier(until, facts.until), endOf(found)),
    ...(identifierOf && { identifier: identifierOf(found) }),
  }
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)
}

function refusal(c: Context, refused: Refused): Response {
  if ('forbidden' in refused) return refuse(c, 403, 'FORBIDDEN', refused.forbidden)
  if ('error' in refused) return errorResponse(c, refused.error, false)
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

/** Notes a header that held a credential. One that is to be hidden already stays so. */
export function credentialHeader(access: KongAccess, name: string, isHidden: boolean): void {
  const { credentialHeaders, forwardedCredentials } = access
  const mustHide = credentialHeaders.includes(name) && !forwardedCredentials.includes(name)
  credentialHeaders.push(name)
  if (!isHidden && !mustHide) forwardedCredentials.push(name)
}
