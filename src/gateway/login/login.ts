/** Logging in with a browser: a form for keys, passwords and tokens, and the user of an OIDC issuer. */
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import * as v from 'valibot'
import { asKafkaConsumeError, KafkaConsumeError } from '../../core/errors.ts'
import type { AcceptedCredentials, FormCredentials } from '../../core/form-credentials.ts'
import { readLimited } from '../../core/read-limited.ts'
import { requestStatisticsOf } from '../../core/request-statistics.ts'
import { isForeignPage, ownOrigin } from '../../http/request/page-origin.ts'
import { READING, refuseMethod } from '../../http/response/method-not-allowed.ts'
import { type Guard, type GuardOptions, guard, type SharedCounts } from '../auth/guard.ts'
import { OidcIssuer } from '../auth/oidc.ts'
import { CookieTooLong, SealedCookie } from '../auth/sealed-cookie.ts'
import { type LoggedIn, type Session, type SessionOptions, Sessions } from '../auth/sessions.ts'
import { type LoginNotice, loginPage, onwardPage } from './login-page.ts'
import { isPageRequest, withPageHeaders } from './small-page.ts'

/** The paths that are for everyone, in front of the guard. A route of such a path is not reached. */
const PATHS = {
  form: '/login',
  oidc: '/login/oidc',
  callback: '/login/callback',
  logout: '/logout',
} as const

/** The page to log in. */
export const LOGIN_PATH = PATHS.form
/** Where the console asks to log out. */
export const LOGOUT_PATH = PATHS.logout

/** Bytes of a posted form. */
const MAX_FORM_BYTES = 64 * 1024
/** Milliseconds that a user may take to log in at the issuer. */
const ATTEMPT_MAX_AGE_MS = 600_000

const ENDED = 'Your session has ended.'
const OTHERS_NEEDED = 'The credentials of your session do not open this page.'

const attemptSchema = v.object({
  state: v.string(),
  nonce: v.string(),
  verifier: v.string(),
  next: v.string(),
})

/** Credentials that browsers may log in with, and the sessions that begin so. */
interface Accounts {
  /** Whether such credentials are required, if only for some requests. */
  readonly isNeeded: boolean
  /** Absent: browsers cannot log in with these. */
  readonly sessions: Sessions | undefined
  accepted(): Promise<AcceptedCredentials> | AcceptedCredentials
  /** The client to begin a session for; undefined for wrong credentials. */
  logIn(c: Context, form: FormCredentials): Promise<LoggedIn | undefined>
}

/** The consumers of Kong's configuration. */
interface ConsumerAccounts extends Accounts {
  account(c: Context): Promise<Session | undefined>
}

export interface LoginOptions {
  /** Which clients are served. Default: all. */
  readonly guard?: GuardOptions | undefined
  /** Default: browsers cannot log in. */
  readonly sessions?: SessionOptions | undefined
  readonly consumers: ConsumerAccounts
  /** Whether a route of Kong's configuration takes a request of this method and path. */
  readonly isRoute: (c: Context, method: string, path: string) => boolean
  readonly addressOf: (c: Context) => string
  /** Whether a request is for a page that pages of other origins may link to. */
  readonly isPage: (c: Context) => boolean
  readonly counts?: SharedCounts | undefined
}

/** The guard of a gateway, and the login of its browsers. */
export interface GuardedLogin {
  /** Absent without a guard. */
  readonly handle: Guard['handle'] | undefined
  readonly replaceClients: Guard['replaceClients'] | undefined
  /** The paths that are for everyone. */
  readonly routes: Hono
  /** Whether browsers may log in by this request's host. */
  isOffered(c: Context): boolean
  /** The login page in place of a refusal by Kong's plugins; undefined where that stays. */
  offer(c: Context, refusal: Response): Promise<Response | undefined>
}

export function guardedLogin(options: LoginOptions): GuardedLogin {
  const { sessions } = options
  const own = sessions && new Sessions('kafka-session', sessions)
  const made =
    options.guard && guard(options.guard, options.addressOf, options.isPage, own, options.counts)
  const { handle, replaceClients } = made ?? {}
  if (!sessions) {
    const nothing = { routes: new Hono(), isOffered: () => false, offer: async () => undefined }
    return { ...nothing, handle, replaceClients }
  }
  const login = new Login(options, made, sessions.secret)
  return {
    routes: login.routes,
    handle: handle && login.inFrontOf(handle),
    replaceClients,
    isOffered: (c) => login.isThere(c),
    offer: (c, refusal) => login.offer(c, refusal),
  }
}

type MakeAnswer = (c: Context) => Promise<Response>

/** The login of a gateway: its paths, and its page in place of a 401 for browsers. */
class Login {
  readonly routes = new Hono()
  readonly #options: LoginOptions
  readonly #guard: Guard | undefined
  readonly #attempt: SealedCookie
  readonly #issuer: OidcIssuer | undefined

  /** @param secret Encrypts what a browser keeps while its user is at the issuer. Default: a random text. */
  constructor(options: LoginOptions, made: Guard | undefined, secret: string | undefined) {
    this.#options = options
    this.#guard = made
    this.#attempt = new SealedCookie('kafka-login', secret)
    const { oidc } = options.guard ?? {}
    this.#issuer = oidc && new OidcIssuer(oidc)
    const issuer = this.#issuer
    this.#mount(PATHS.form, {
      GET: (c) => this.#page(c, { status: 200 }),
      POST: (c) => this.#logIn(c),
    })
    this.#mount(PATHS.logout, { POST: (c) => this.#logOut(c) })
    if (!issuer) return
    this.#mount(PATHS.oidc, { GET: (c) => this.#begin(c, issuer) })
    this.#mount(PATHS.callback, { GET: (c) => this.#finish(c, issuer) })
  }

  /** Answers 405 to the methods of a path that it does not have. */
  #mount(path: string, answers: Partial<Record<'GET' | 'POST', MakeAnswer>>): void {
    const methods = Object.entries(answers)
    for (const [method, answer] of methods) this.routes.on(method, path, this.#served(answer))
    const allow = methods.flatMap(([method]) => (method === 'GET' ? READING : [method]))
    this.routes.all(
      path,
      this.#served(async (c) => refuseMethod(c, allow)),
    )
  }

  /** Whether the paths of the login are there: credentials are required, and no route has the path. */
  isThere(c: Context, method = 'POST', path: string = PATHS.form): boolean {
    const { consumers, isRoute } = this.#options
    if (this.#guard?.authenticator.isNeeded) return true
    return consumers.isNeeded && !isRoute(c, method, path)
  }

  #served(answer: MakeAnswer): MiddlewareHandler {
    return (c, next) =>
      this.isThere(c, c.req.method, c.req.path) ? this.#answer(c, answer) : next()
  }

  /** Answers with the headers of the login's pages. */
  async #answer(c: Context, make: MakeAnswer): Promise<Response | undefined> {
    const statistics = requestStatisticsOf(c)
    if (statistics) statistics.route = '(login)'
    c.header('Cache-Control', 'no-store')
    return withPageHeaders(c, () => make(c))
  }

  /**
   * The guard's middleware, which answers a browser's page without credentials by the login page, at the
   * page's own address: after the login the browser is where it wanted to be.
   */
  inFrontOf(guard: MiddlewareHandler): MiddlewareHandler {
    return async (c, next) => {
      const refusal = await guard(c, next)
      const { authenticator } = this.#guard ?? {}
      if (!authenticator?.isNeeded || refusal?.status !== 401 || !isPageRequest(c)) return refusal
      return this.#inPlace(c, authenticator.sessions?.isIn(c) ? ENDED : undefined)
    }
  }

  async offer(c: Context, refusal: Response): Promise<Response | undefined> {
    if (refusal.status !== 401 || !isPageRequest(c) || !this.isThere(c)) return undefined
    const { consumers } = this.#options
    if (!consumers.sessions?.isIn(c)) return this.#inPlace(c, undefined)
    return this.#inPlace(c, (await consumers.account(c)) ? OTHERS_NEEDED : ENDED)
  }

  #inPlace(c: Context, info: string | undefined): Promise<Response | undefined> {
    const { pathname, search } = new URL(c.req.url)
    // Chromium asks its user for a password where `Basic` is named.
    c.header('WWW-Authenticate', 'Bearer realm="hono-kafka-consume"')
    const next = `${pathname}${search}`
    return this.#answer(c, () => this.#page(c, { status: 401, next, ...(info && { info }) }))
  }

  /** The accounts whose credentials the form takes, those of the gateway's own settings first. */
  get #accounts(): readonly Accounts[] {
    const all: Array<Accounts | undefined> = [this.#guard?.authenticator, this.#options.consumers]
    return all.filter((each) => each !== undefined).filter(({ isNeeded }) => isNeeded)
  }

  async #accepted(): Promise<AcceptedCredentials> {
    const every = await Promise.all(this.#accounts.map((each) => each.accepted()))
    return {
      keys: every.some(({ keys }) => keys),
      tokens: every.some(({ tokens }) => tokens),
      passwords: every.some(({ passwords }) => passwords),
    }
  }

  async #page(c: Context, notice: LoginNotice): Promise<Response> {
    const issuer = this.#issuer
    const next = notice.next ?? localPath(c.req.query('next'))
    const html = loginPage({
      ...notice,
      next,
      action: PATHS.form,
      accepted: await this.#accepted(),
      issuer: issuer && { host: issuer.host, path: PATHS.oidc },
      nonce: c.get('secureHeadersNonce') ?? '',
    })
    return c.html(html, notice.status)
  }

  async #logIn(c: Context): Promise<Response> {
    const form = await this.#formOf(c).catch((error: unknown) => asKafkaConsumeError(error))
    if (form instanceof KafkaConsumeError) return this.#refuse(c, form, {})
    const { next, name } = form
    try {
      for (const accounts of this.#accounts) {
        const client = await accounts.logIn(c, form)
        if (!client) continue
        await beginSession(c, accounts.sessions, client)
        await this.#guard?.authenticator.forgive(c, name)
        return c.redirect(next, 303)
      }
      throw wrongCredentials(name)
    } catch (error) {
      const counted = await this.#guard?.countFailure(c).catch((limited: unknown) => limited)
      return this.#refuse(c, counted ?? error, { next, name })
    }
  }

  async #logOut(c: Context): Promise<Response> {
    if (isForeignPage(c, () => false)) return this.#refuse(c, foreignPage('log out'), {})
    await this.#guard?.authenticator.sessions?.end(c)
    await this.#options.consumers.sessions?.end(c)
    return this.#page(c, { status: 200, info: 'You are logged out.' })
  }

  async #begin(c: Context, issuer: OidcIssuer): Promise<Response> {
    const next = localPath(c.req.query('next'))
    // A page of another origin could have the browser read an address that takes records.
    if (isForeignPage(c, () => false)) return this.#refuse(c, foreignPage(), { next: '/' })
    try {
      const { url, attempt } = await issuer.begin(callbackOf(c))
      await this.#attempt.set(c, { ...attempt, next }, Date.now() + ATTEMPT_MAX_AGE_MS)
      return c.redirect(url.href, 303)
    } catch (error) {
      return this.#refuse(c, error, { next })
    }
  }

  async #finish(c: Context, issuer: OidcIssuer): Promise<Response> {
    const held = v.safeParse(attemptSchema, await this.#attempt.read(c))
    this.#attempt.delete(c)
    if (!held.success) {
      const message = 'Cannot log in: it took too long, or was begun again in another tab'
      return this.#refuse(c, new KafkaConsumeError('UNAUTHENTICATED', message), {})
    }
    const { next, ...attempt } = held.output
    try {
      const user = await issuer.finish(new URL(c.req.url), callbackOf(c), attempt)
      await beginSession(c, this.#guard?.authenticator.sessions, user)
      // A redirect would count as a request of the issuer's page, and pages of other origins may not read.
      return c.html(onwardPage(next))
    } catch (error) {
      await this.#guard?.countFailure(c).catch(() => undefined)
      return this.#refuse(c, error, { next })
    }
  }

  #refuse(c: Context, thrown: unknown, rest: Partial<LoginNotice>): Promise<Response> {
    const { status, message, retryAfter } = asKafkaConsumeError(thrown)
    if (retryAfter !== undefined) c.header('Retry-After', String(retryAfter))
    const notice = { ...rest, status: status as ContentfulStatusCode, error: message }
    return this.#page(c, notice)
  }

  /** @throws KafkaConsumeError FORBIDDEN, INVALID_PARAMETER */
  async #formOf(c: Context): Promise<FormCredentials & { readonly next: string }> {
    if (isForeignPage(c, () => false)) throw foreignPage()
    const type = c.req.header('Content-Type') ?? ''
    if (!/^application\/x-www-form-urlencoded\b/i.test(type)) {
      const message = 'Cannot log in: a form as application/x-www-form-urlencoded is required'
      throw new KafkaConsumeError('INVALID_PARAMETER', message)
    }
    const body = await readLimited(c.req.raw.body, MAX_FORM_BYTES)
    if (!body) {
      const message = `Cannot log in: the form is longer than ${MAX_FORM_BYTES} bytes`
      throw new KafkaConsumeError('INVALID_PARAMETER', message)
    }
    const form = new URLSearchParams(new TextDecoder().decode(body))
    return {
      name: form.get('name') ?? '',
      secret: form.get('secret')?.trim() ?? '',
      next: localPath(form.get('next') ?? undefined),
    }
  }
}

/** @throws KafkaConsumeError FORBIDDEN */
async function beginSession(
  c: Context,
  sessions: Sessions | undefined,
  client: LoggedIn,
): Promise<void> {
  try {
    await sessions?.begin(c, client)
  } catch (error) {
    if (!(error instanceof CookieTooLong)) throw error
    const message = 'Cannot log in: what the token says of its bearer is too long for a cookie'
    throw new KafkaConsumeError('FORBIDDEN', message)
  }
}

/** The address of this gateway to which the issuer sends browsers back. */
function callbackOf(c: Context): string {
  return new URL(PATHS.callback, ownOrigin(c) ?? c.req.url).href
}

/** A path of this gateway with its query and fragment; `/` for anything else, such as another origin's. */
export function localPath(text = '/'): string {
  const base = 'http://gateway.invalid'
  const url = URL.parse(text, base)
  const isHere = url?.origin === base && text.startsWith('/') && !url.pathname.startsWith('//')
  return isHere ? `${url.pathname}${url.search}${url.hash}` : '/'
}

function foreignPage(action = 'log in'): KafkaConsumeError {
  const message = `Cannot ${action}: the request is from a page of another site`
  return new KafkaConsumeError('FORBIDDEN', message)
}

function wrongCredentials(name: string): KafkaConsumeError {
  const what = name === '' ? 'this key or token is' : 'this name or password is'
  return new KafkaConsumeError('UNAUTHENTICATED', `Cannot log in: ${what} wrong, or no longer good`)
}
