import type { Context } from 'hono'
import { getCookie } from 'hono/cookie'
import { auth as basicCredentials } from 'hono/utils/basic-auth'
import { KafkaConsumeError } from '../../core/errors.ts'
import { limiterKey } from '../../core/fixed-window-limiter.ts'
import type { AcceptedCredentials, FormCredentials } from '../../core/form-credentials.ts'
import type { LoginCounter, MakeLoginCounter } from '../../core/login-counter.ts'
import type { KafkaClient } from '../../http/request/client.ts'
import { FOREIGN_PAGE, isForeignPage } from '../../http/request/page-origin.ts'
import { Clients, type KnownClient, secretHash } from './clients.ts'
import type { OidcOptions } from './oidc.ts'
import type { LoggedIn, Session, Sessions } from './sessions.ts'
import { type TokenOptions, tokenChecker } from './tokens.ts'

/** How clients authenticate. Without `clients`, `tokens` and `oidc` no credentials are required. */
export interface ClientAuthenticationOptions {
  /** The clients that may read, with a key or a password. */
  readonly clients?: readonly KnownClient[] | undefined
  /** The issuer whose tokens are accepted. */
  readonly tokens?: TokenOptions | undefined
  /** The issuer whose users may log in. */
  readonly oidc?: OidcOptions | undefined
  /** A cookie that may hold a key or token, for browsers' `EventSource`. */
  readonly tokenCookie?: string | undefined
  /** A query parameter that may hold a key or token. */
  readonly tokenQuery?: string | undefined
  /** Origins whose pages may read, or `*`. */
  readonly corsOrigins?: readonly string[] | undefined
}

/** An authenticated client. */
export interface Authenticated {
  readonly client: KafkaClient
  /** The key under which its requests and streams are counted. */
  readonly countedAs: string
}

/** The parts of the gateway that an authenticator needs. */
interface AuthenticatorParts {
  /** Finds the address of a request's client: failed passwords count by name and address. */
  readonly addressOf: (c: Context) => string
  readonly makeLoginCounter: MakeLoginCounter
  /**
   * Whether a request is for a page that pages of other origins may link to, since it only shows what its
   * own requests then read.
   */
  readonly isPage: (c: Context) => boolean
}

const REALM = 'hono-kafka-consume'

/** Finds the client of a request by its credentials. */
export class Authenticator {
  readonly sessions: Sessions | undefined
  readonly #options: ClientAuthenticationOptions
  readonly #checkToken: ((token: string) => Promise<KafkaClient | undefined>) | undefined
  readonly #credentialParameters: readonly string[]
  readonly #isPage: (c: Context) => boolean
  readonly #addressOf: (c: Context) => string
  readonly #makeLoginCounter: MakeLoginCounter
  /** How often the clients have been replaced. */
  #replacements = 0
  #failures: LoginCounter
  #clients: Promise<Clients>

  /** @param sessions Those of browsers that log in. Default: browsers cannot log in. */
  constructor(
    options: ClientAuthenticationOptions,
    { addressOf, makeLoginCounter, isPage }: AuthenticatorParts,
    sessions?: Sessions,
  ) {
    const { clients = [], tokens, tokenQuery } = options
    this.#options = options
    this.#addressOf = addressOf
    this.#isPage = isPage
    this.#makeLoginCounter = makeLoginCounter
    this.#failures = makeLoginCounter('guard 0', 'gateway')
    this.sessions = sessions
    this.#checkToken = tokens && tokenChecker(tokens)
    this.#credentialParameters = tokenQuery === undefined ? [] : [tokenQuery]
    this.#clients = Clients.of(clients)
  }

  /** Whether requests without credentials are refused. */
  get isNeeded(): boolean {
    const { clients, oidc } = this.#options
    return clients !== undefined || oidc !== undefined || this.#checkToken !== undefined
  }

  async accepted(): Promise<AcceptedCredentials> {
    const { haveKeys, havePasswords } = await this.#clients
    return { keys: haveKeys, tokens: this.#checkToken !== undefined, passwords: havePasswords }
  }

  replaceClients(clients: readonly KnownClient[]): void {
    this.#clients = Clients.of(clients)
    // A password that was refused may be right now.
    this.#replacements++
    this.#failures = this.#makeLoginCounter(`guard ${this.#replacements}`, 'gateway')
  }

  /** @throws KafkaConsumeError UNAUTHENTICATED, FORBIDDEN, RATE_LIMITED, AUTHENTICATION_UNAVAILABLE */
  async authenticate(c: Context): Promise<Authenticated> {
    const clients = await this.#clients
    const presented = this.#presented(c)
    if (presented) this.#assertOwnPage(c, presented)
    const found = presented && (await this.#find(clients, presented, c))
    if (found) {
      const client = {
        ...found.client,
        credentialParameters: this.#credentialParameters,
        credentialHeaders: this.#headersOf(c, presented),
      }
      return { ...found, client }
    }
    const isWrong = presented !== undefined || c.req.header('Authorization') !== undefined
    c.header('WWW-Authenticate', challenge(c, isWrong, clients.havePasswords))
    throw new KafkaConsumeError(
      'UNAUTHENTICATED',
      isWrong
        ? 'Cannot authenticate: the credentials are wrong, or no longer good'
        : 'Cannot answer: credentials are required',
    )
  }

  /**
   * Checks the credentials of a form.
   *
   * @returns The client to begin a session for; undefined for wrong credentials.
   * @throws KafkaConsumeError FORBIDDEN, RATE_LIMITED, AUTHENTICATION_UNAVAILABLE
   */
  async logIn(c: Context, { name, secret }: FormCredentials): Promise<LoggedIn | undefined> {
    const clients = await this.#clients
    const known = await this.#bySecret(clients, c, name, secret)
    if (known?.name !== undefined) {
      return { sub: known.name, version: clients.versionOf(known.name) }
    }
    const bearer = name === '' ? await this.#checkToken?.(secret) : undefined
    if (bearer?.name === undefined) return undefined
    await this.forgive(c, name)
    return { sub: bearer.name, until: bearer.until, ...(bearer.only && { only: bearer.only }) }
  }

  /**
   * Finds a client by its password, or without a name by its key, and slows those who guess.
   *
   * @throws KafkaConsumeError RATE_LIMITED
   */
  async #bySecret(
    clients: Clients,
    c: Context,
    name: string,
    secret: string,
  ): Promise<KafkaClient | undefined> {
    const hash = await secretHash(secret)
    const key = await this.#failureKey(c, name)
    const found = name === '' ? clients.byKey(hash) : clients.byPassword(name, hash)
    // One call counts and answers: attempts at one time must not all see the failures of before.
    const wait = await this.#failures.count(key, !found)
    if (wait !== undefined) throw tooManyFailures(wait)
    return found
  }

  /** Forgets failed attempts with a name, since its user has shown other credentials. */
  async forgive(c: Context, name: string): Promise<void> {
    await this.#failures.count(await this.#failureKey(c, name), false)
  }

  async #failureKey(c: Context, name: string): Promise<string> {
    return limiterKey(`${this.#addressOf(c)} ${name}`)
  }

  /** The credentials of a request: a session only where there are no others. */
  #presented(c: Context): Presented | undefined {
    const basic = basicCredentials(c.req.raw)
    if (basic) return { kind: 'password', ...basic }
    const token = tokenOf(c, this.#options)
    if (token) return token
    return this.sessions?.isIn(c) ? { kind: 'session' } : undefined
  }

  async #find(clients: Clients, presented: Presented, c: Context) {
    if (presented.kind === 'session') return this.#bySession(clients, c)
    if (presented.kind !== 'password') return this.#byToken(clients, presented.token)
    const { username, password } = presented
    // A user without a name is not one with a key.
    if (username === '') return undefined
    return named(await this.#bySecret(clients, c, username, password))
  }

  /** The headers that hold credentials. A browser sends its session along with other ones, too. */
  #headersOf(c: Context, { kind }: Presented): readonly string[] {
    if (kind === 'cookie' || kind === 'session') return ['cookie']
    return this.sessions?.isIn(c) ? ['authorization', 'cookie'] : ['authorization']
  }

  async #byToken(clients: Clients, token: string): Promise<Authenticated | undefined> {
    const known = named(clients.byKey(await secretHash(token)))
    if (known) return known
    const bearer = await this.#checkToken?.(token)
    return bearer && { client: bearer, countedAs: `subject ${bearer.name}` }
  }

  async #bySession(clients: Clients, c: Context): Promise<Authenticated | undefined> {
    const session = await this.sessions?.find(c)
    if (!session) return undefined
    const { sub, version, only, exp } = session
    const known = version === undefined ? undefined : clients.byVersion(sub, version)
    if (version !== undefined && known === undefined) return undefined
    c.set('gatewaySession', session)
    const until = exp * 1_000
    if (known) return { client: { ...known, until }, countedAs: clientKey(known) }
    const client = { name: sub, until, ...(only && { only }) }
    return { client, countedAs: `subject ${sub}` }
  }

  /** @throws KafkaConsumeError FORBIDDEN for a page that may not use credentials which a browser adds. */
  #assertOwnPage(c: Context, { kind }: Presented): void {
    if (kind === 'token') return
    const allowed = kind === 'session' ? [] : (this.#options.corsOrigins ?? [])
    if (!isForeignPage(c, (origin) => allowed.includes(origin)) || this.#isPage(c)) return
    throw new KafkaConsumeError('FORBIDDEN', FOREIGN_PAGE)
  }
}

function tooManyFailures(retryAfter: number): KafkaConsumeError {
  const message = `Cannot authenticate: too many attempts have failed; try again in ${retryAfter} s`
  return new KafkaConsumeError('RATE_LIMITED', message, { retryAfter })
}

declare module 'hono' {
  interface ContextVariableMap {
    /** The session by which the client of a request is known. */
    gatewaySession?: Session
  }
}

/** The key under which a client of the settings is counted. */
export function clientKey({ name }: KnownClient | KafkaClient): string {
  return `client ${name}`
}

function named(client: KafkaClient | undefined): Authenticated | undefined {
  return client && { client, countedAs: clientKey(client) }
}

/** A key or token: in the `Authorization` header, the query, or a cookie. */
interface PresentedToken {
  readonly kind: 'token' | 'cookie'
  readonly token: string
}

type Presented =
  | PresentedToken
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  | { readonly kind: 'session' }

/** A key or token: from the `Authorization` header, else the query, else the cookie, where these are allowed. */
function tokenOf(
  c: Context,
  { tokenQuery, tokenCookie }: ClientAuthenticationOptions,
): PresentedToken | undefined {
  const [, bearer] = /^bearer +([\w.~+/-]+=*) *$/i.exec(c.req.header('Authorization') ?? '') ?? []
  const token = bearer ?? (tokenQuery === undefined ? undefined : c.req.query(tokenQuery))
  if (token) return { kind: 'token', token }
  const cookie = tokenCookie === undefined ? undefined : getCookie(c, tokenCookie)
  return cookie ? { kind: 'cookie', token: cookie } : undefined
}

/**
 * `WWW-Authenticate` of a 401: https://www.rfc-editor.org/rfc/rfc6750#section-3,
 * https://www.rfc-editor.org/rfc/rfc7617#section-2
 *
 * The Fetch API joins two fields of this name in one line. Chromium reads one scheme a line, and
 * would not ask its user for a password where `Bearer` comes first. So a browser that opens a page
 * gets `Basic` only.
 */
function challenge(c: Context, isWrong: boolean, havePasswords: boolean): string {
  const bearer = `Bearer realm="${REALM}"${isWrong ? ', error="invalid_token"' : ''}`
  const basic = `Basic realm="${REALM}", charset="UTF-8"`
  if (!havePasswords) return bearer
  return c.req.header('Accept')?.includes('text/html') ? basic : `${bearer}, ${basic}`
}
