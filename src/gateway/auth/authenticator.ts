import type { Context } from 'hono'
import { getCookie } from 'hono/cookie'
import { auth as basicCredentials } from 'hono/utils/basic-auth'
import { KafkaConsumeError } from '../../core/errors.ts'
import type { KafkaClient } from '../../http/request/client.ts'
import { FOREIGN_PAGE, isForeignPage } from '../../http/request/page-origin.ts'
import { Clients, type KnownClient } from './clients.ts'
import { type TokenOptions, tokenChecker } from './tokens.ts'

/** How clients authenticate. Without `clients` and `tokens` no credentials are required. */
export interface ClientAuthenticationOptions {
  /** The clients that may read, with a key or a password. */
  readonly clients?: readonly KnownClient[] | undefined
  /** The issuer whose tokens are accepted. */
  readonly tokens?: TokenOptions | undefined
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

const REALM = 'hono-kafka-consume'

/** Finds the client of a request by its credentials. */
export class Authenticator {
  readonly #options: ClientAuthenticationOptions
  readonly #checkToken: ((token: string) => Promise<KafkaClient | undefined>) | undefined
  readonly #credentialParameters: readonly string[]
  #clients: Promise<Clients>

  constructor(options: ClientAuthenticationOptions) {
    const { clients = [], tokens, tokenQuery } = options
    this.#options = options
    this.#checkToken = tokens && tokenChecker(tokens)
    this.#credentialParameters = tokenQuery === undefined ? [] : [tokenQuery]
    this.#clients = Clients.of(clients)
  }

  /** Whether requests without credentials are served. */
  get isOpen(): boolean {
    return this.#options.clients === undefined && this.#checkToken === undefined
  }

  replaceClients(clients: readonly KnownClient[]): void {
    this.#clients = Clients.of(clients)
  }

  /** @throws KafkaConsumeError UNAUTHENTICATED, FORBIDDEN, AUTHENTICATION_UNAVAILABLE */
  async authenticate(c: Context): Promise<Authenticated> {
    const clients = await this.#clients
    const basic = basicCredentials(c.req.raw)
    const presented = basic ? undefined : tokenOf(c, this.#options)
    if (basic || presented?.isCookie) assertOwnPage(c, this.#options.corsOrigins ?? [])
    const found = basic
      ? named(await clients.byPassword(basic.username, basic.password))
      : presented && (await this.#byToken(clients, presented.token))
    if (found) {
      const client = {
        ...found.client,
        credentialParameters: this.#credentialParameters,
        credentialHeaders: [presented?.isCookie ? 'cookie' : 'authorization'],
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

  async #byToken(clients: Clients, token: string): Promise<Authenticated | undefined> {
    const known = named(await clients.byKey(token))
    if (known) return known
    const bearer = await this.#checkToken?.(token)
    return bearer && { client: bearer, countedAs: `subject ${bearer.name}` }
  }
}

/** The key under which a client of the settings is counted. */
export function clientKey({ name }: KnownClient | KafkaClient): string {
  return `client ${name}`
}

function named(client: KafkaClient | undefined): Authenticated | undefined {
  return client && { client, countedAs: clientKey(client) }
}

interface PresentedToken {
  readonly token: string
  readonly isCookie: boolean
}

/** A key or token: from the `Authorization` header, else the query, else the cookie, where these are allowed. */
function tokenOf(
  c: Context,
  { tokenQuery, tokenCookie }: ClientAuthenticationOptions,
): PresentedToken | undefined {
  const [, bearer] = /^bearer +([\w.~+/-]+=*) *$/i.exec(c.req.header('Authorization') ?? '') ?? []
  const token = bearer ?? (tokenQuery === undefined ? undefined : c.req.query(tokenQuery))
  if (token) return { token, isCookie: false }
  const cookie = tokenCookie === undefined ? undefined : getCookie(c, tokenCookie)
  return cookie ? { token: cookie, isCookie: true } : undefined
}

/** @throws KafkaConsumeError FORBIDDEN for a page that may not use credentials which a browser adds. */
function assertOwnPage(c: Context, allowed: readonly string[]): void {
  if (!isForeignPage(c, (origin) => allowed.includes(origin))) return
  throw new KafkaConsumeError('FORBIDDEN', FOREIGN_PAGE)
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
