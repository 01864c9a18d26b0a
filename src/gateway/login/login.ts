/** Logging in with a browser: a form for keys, passwords and tokens, and the user of an OIDC issuer. */
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { NONCE, secureHeaders } from 'hono/secure-headers'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import * as v from 'valibot'
import { asKafkaConsumeError, KafkaConsumeError } from '../../core/errors.ts'
import { readLimited } from '../../core/read-limited.ts'
import { requestStatisticsOf } from '../../core/request-statistics.ts'
import { FOREIGN_PAGE, isForeignPage, ownOrigin } from '../../http/request/page-origin.ts'
import type { FormCredentials } from '../auth/authenticator.ts'
import { type Guard, guard } from '../auth/guard.ts'
import { OidcIssuer } from '../auth/oidc.ts'
import { CookieTooLong, SealedCookie } from '../auth/sealed-cookie.ts'
import type { LoggedIn, Sessions } from '../auth/sessions.ts'
import { type LoginNotice, loginPage, onwardPage } from './login-page.ts'

/** The paths that are for everyone, in front of the guard. A route of such a path is not reached. */
const PATHS = {
  form: '/login',
  oidc: '/login/oidc',
  callback: '/login/callback',
  logout: '/logout',
} as const

/** Where the console asks to log out. */
export const LOGOUT_PATH = PATHS.logout

/** Bytes of a posted form. */
const MAX_FORM_BYTES = 64 * 1024
/** Milliseconds that a user may take to log in at the issuer. */
const ATTEMPT_MAX_AGE_MS = 600_000

const attemptSchema = v.object({
  state: v.string(),
  nonce: v.string(),
  verifier: v.string(),
  next: v.string(),
})

interface LoginParts {
  readonly guard: Guard
  readonly sessions: Sessions
  /** The issuer whose users may log in, if there is one. */
  readonly issuer: OidcIssuer | undefined
  /** Encrypts what a browser keeps while its user is at the issuer. Default: a random text. */
  readonly secret: string | undefined
}

/** A guard, and what is in front of it. */
interface GuardedLogin extends Pick<Guard, 'handle' | 'replaceClients'> {
  /** The paths that are for everyone. */
  readonly routes: Hono
}

/**
 * The guard of a gateway with its login. Without a login, as where no credentials are required, it has
 * the guard alone.
 */
export function guardedLogin(...[options, ...rest]: Parameters<typeof guard>): GuardedLogin {
  const made = guard(options, ...rest)
  const { handle, replaceClients, authenticator } = made
  const { sessions, isOpen } = authenticator
  if (isOpen || !sessions) return { routes: new Hono(), handle, replaceClients }
  const issuer = options.oidc && new OidcIssuer(options.oidc)
  const secret = options.sessions?.secret
  const login = new Login({ guard: made, sessions, issuer, secret })
  return { routes: login.routes, handle: login.inFrontOf(handle), replaceClients }
}

/** The login of a gateway: its paths, and its page in place of a 401 for browsers. */
class Login {
  readonly routes = new Hono()
  readonly #parts: LoginParts
  readonly #attempt: SealedCookie

  constructor(parts: LoginParts) {
    this.#parts = parts
    this.#attempt = new SealedCookie('kafka-login', parts.secret)
    const app = this.routes
    for (const path of Object.values(PATHS)) {
      app.use(path, headers, async (c, next) => {
        const statistics = requestStatisticsOf(c)
        if (statistics) statistics.route = '(login)'
        c.header('Cache-Control', 'no-store')
        await next()
      })
    }
    app.get(PATHS.form, (c) => this.#page(c, { status: 200 }))
    app.post(PATHS.form, (c) => this.#logIn(c))
    app.post(PATHS.logout, (c) => this.#logOut(c))
    if (!parts.issuer) return
    const { issuer } = parts
    app.get(PATHS.oidc, (c) => this.#begin(c, issuer))
    app.get(PATHS.callback, (c) => this.#finish(c, issuer))
  }

  /**
   * The guard's middleware, which answers a browser's page without credentials by the login page, at the
   * page's own address: after the login the browser is where it wanted to be.
   */
  inFrontOf(guard: MiddlewareHandler): MiddlewareHandler {
    return async (c, next) => {
      const refusal = await guard(c, next)
      if (refusal?.status !== 401 || !isPageRequest(c)) return refusal
      const { pathname, search } = new URL(c.req.url)
      const hadSession = this.#parts.sessions.isIn(c)
      let answer: Response | undefined
      const fill = async () => {
        answer = await this.#page(c, {
          status: 401,
          next: `${pathname}${search}`,
          ...(hadSession && { info: 'Your session has ended.' }),
        })
      }
      // Chromium asks its user for a password where `Basic` is named.
      c.header('WWW-Authenticate', 'Bearer realm="hono-kafka-consume"')
      c.header('Cache-Control', 'no-store')
      await headers(c, fill)
      return answer
    }
  }

  async #page(c: Context, notice: LoginNotice): Promise<Response> {
    const { guard, issuer } = this.#parts
    const next = notice.next ?? localPath(c.req.query('next'))
    const html = loginPage({
      ...notice,
      next,
      action: PATHS.form,
      accepted: await guard.authenticator.accepted(),
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
      const client = await this.#parts.guard.authenticator.logIn(form)
      if (!client) throw wrongCredentials(name)
      await this.#beginSession(c, client)
      return c.redirect(next, 303)
    } catch (error) {
      const counted = await this.#parts.guard.countFailure(c).catch((limited: unknown) => limited)
      return this.#refuse(c, counted ?? error, { next, name })
    }
  }

  async #logOut(c: Context): Promise<Response> {
    if (isForeignPage(c, () => false)) return this.#refuse(c, foreignPage(), {})
    await this.#parts.sessions.end(c)
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
      await this.#beginSession(c, user)
      // A redirect would count as a request of the issuer's page, and pages of other origins may not read.
      return c.html(onwardPage(next))
    } catch (error) {
      await this.#parts.guard.countFailure(c).catch(() => undefined)
      return this.#refuse(c, error, { next })
    }
  }

  async #beginSession(c: Context, client: LoggedIn): Promise<void> {
    try {
      await this.#parts.sessions.begin(c, client)
    } catch (error) {
      if (!(error instanceof CookieTooLong)) throw error
      const message = 'Cannot log in: what the token says of its bearer is too long for a cookie'
      throw new KafkaConsumeError('FORBIDDEN', message)
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

/**
 * Headers of the login's pages. With the referrer's origin a browser sends `Origin` along with a form,
 * which without it would be `null`.
 */
const headers = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: [NONCE],
    styleSrc: [NONCE],
    baseUri: ["'none'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
  },
  referrerPolicy: 'same-origin',
  strictTransportSecurity: false,
  xFrameOptions: 'DENY',
})

/** Whether a browser wants to show the answer as a page. */
function isPageRequest(c: Context): boolean {
  const isRead = c.req.method === 'GET' || c.req.method === 'HEAD'
  return isRead && c.req.header('Accept')?.includes('text/html') === true
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

function foreignPage(): KafkaConsumeError {
  return new KafkaConsumeError('FORBIDDEN', FOREIGN_PAGE)
}

function wrongCredentials(name: string): KafkaConsumeError {
  const what = name === '' ? 'this key or token is' : 'this name or password is'
  return new KafkaConsumeError('UNAUTHENTICATED', `Cannot log in: ${what} wrong, or no longer good`)
}
