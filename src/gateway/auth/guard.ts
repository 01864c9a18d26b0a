/** What a request must show to be served, and how often a client may come: by the gateway's settings. */
import type { Context, MiddlewareHandler } from 'hono'
import { getCookie } from 'hono/cookie'
import { cors } from 'hono/cors'
import { auth as basicOf } from 'hono/utils/basic-auth'
import { KafkaConsumeError } from '../../core/errors.ts'
import {
  FixedWindowLimiter,
  limiterKey,
  type RateLimits,
  rateLimitHeaders,
} from '../../core/fixed-window-limiter.ts'
import type { KafkaClient } from '../../http/request/client.ts'
import { FOREIGN_PAGE, isForeignPage } from '../../http/request/page-origin.ts'
import { errorResponse } from '../../http/response/error-response.ts'
import { Clients, type KnownClient } from './clients.ts'
import { type TokenOptions, tokenChecker } from './tokens.ts'

/** Who is served, and how much. What is not given is not asked for. */
export interface GuardOptions {
  /** Those who may read, by key or password. */
  readonly clients?: readonly KnownClient[] | undefined
  /** Whose tokens are taken. */
  readonly tokens?: TokenOptions | undefined
  /** A cookie in which a key or token may come, for browsers' `EventSource`. */
  readonly tokenCookie?: string | undefined
  /** A query parameter in which a key or token may come. */
  readonly tokenQuery?: string | undefined
  /** Origins whose pages may read, or `*`. */
  readonly corsOrigins?: readonly string[] | undefined
  /** Requests of one client at most. */
  readonly limits?: RateLimits | undefined
  /** Open streams of one client at most. */
  readonly maxStreams?: number | undefined
}

/** The middleware, and what may change while it serves. */
export interface Guard {
  readonly handle: MiddlewareHandler
  /** Serves other clients from now on. Streams of those that are gone or changed end. */
  replaceClients(clients: readonly KnownClient[]): void
}

const REALM = 'hono-kafka-consume'
/** Seconds for which a browser keeps what it was told of an origin. */
const CORS_MAX_AGE = 600
/** Headers of answers that pages of other origins may read. */
const EXPOSED = ['Kafka-Cursor', 'Kafka-Gaps', 'Link', 'Retry-After', 'RateLimit-Limit'].concat([
  'RateLimit-Remaining',
  'RateLimit-Reset',
])

/**
 * A client is a key's or a user's name, or a token's subject; where none is asked for, an address.
 * Each has a number of requests and of open streams. Requests that fail to authenticate count as
 * their address's.
 *
 * @param addressOf The address of a request's client.
 */
export function guard(options: GuardOptions, addressOf: (c: Context) => string): Guard {
  const { corsOrigins, tokenCookie } = options
  let known = options.clients ?? []
  let clients = Clients.of(known)
  const check = options.tokens && tokenChecker(options.tokens)
  const windows = options.limits && new FixedWindowLimiter(options.limits)
  const streams = new Streams(options.maxStreams ?? Infinity)
  const isOpen = options.clients === undefined && check === undefined

  /** @throws KafkaConsumeError UNAUTHENTICATED, FORBIDDEN, AUTHENTICATION_UNAVAILABLE */
  const identify = async (c: Context): Promise<{ client: KafkaClient; who: string }> => {
    if (isOpen) return { client: {}, who: `address ${addressOf(c)}` }
    const held = await clients
    const basic = basicOf(c.req.raw)
    const shown = basic ? undefined : tokenOf(c, options)
    if (basic || shown?.isCookie) assertOwnPage(c, corsOrigins ?? [])
    const credentialParameters = options.tokenQuery === undefined ? [] : [options.tokenQuery]
    const one = basic
      ? await held.byPassword(basic.username, basic.password)
      : shown && (await held.byKey(shown.token))
    if (one) return { client: { ...one, credentialParameters }, who: whoIs(one) }
    const bearer = shown && (await check?.(shown.token))
    if (bearer) {
      return { client: { ...bearer, credentialParameters }, who: `subject ${bearer.name}` }
    }
    const isWrong = shown !== undefined || c.req.header('Authorization') !== undefined
    c.header('WWW-Authenticate', challenge(c, isWrong, held.havePasswords))
    throw new KafkaConsumeError(
      'UNAUTHENTICATED',
      isWrong
        ? 'Cannot authenticate: the credentials are wrong, or no longer good'
        : 'Cannot answer: credentials are required',
    )
  }

  const limit = async (c: Context, client: string) => {
    if (!windows) return
    const { usages, exceeded } = windows.count(await limiterKey(client))
    for (const [name, value] of rateLimitHeaders(usages)) c.header(name, value)
    if (!exceeded) return
    throw new KafkaConsumeError(
      'RATE_LIMITED',
      `Cannot answer: ${exceeded.limit} requests in a ${exceeded.period} are allowed`,
      { retryAfter: exceeded.reset },
    )
  }

  const admit: MiddlewareHandler = async (c, next) => {
    try {
      const { client, who } = await identify(c).catch(async (error: unknown) => {
        await limit(c, `address ${addressOf(c)}`)
        throw error
      })
      await limit(c, who)
      const openStream = (end: () => void) => streams.open(who, end)
      c.set('kafkaClient', { ...client, openStream } satisfies KafkaClient)
    } catch (error) {
      return errorResponse(c, error, false)
    }
    return next()
  }

  return {
    handle: corsOrigins ? withCors(corsOrigins, tokenCookie !== undefined, admit) : admit,
    replaceClients: (replaced) => {
      const still = new Set(replaced.map((client) => JSON.stringify(client)))
      const gone = known.filter((client) => !still.has(JSON.stringify(client)))
      known = replaced
      clients = Clients.of(replaced)
      for (const client of gone) streams.end(whoIs(client))
    },
  }
}

function withCors(
  origins: readonly string[],
  credentials: boolean,
  admit: MiddlewareHandler,
): MiddlewareHandler {
  const allow = cors({
    origin: origins.includes('*') ? '*' : [...origins],
    allowMethods: ['GET', 'POST'],
    allowHeaders: ['Authorization', 'Cache-Control', 'Content-Type', 'Last-Event-ID'],
    exposeHeaders: EXPOSED,
    maxAge: CORS_MAX_AGE,
    credentials,
  })
  return async (c, next) => {
    const isPreflight =
      c.req.method === 'OPTIONS' && c.req.header('Access-Control-Request-Method') !== undefined
    let answer: Response | undefined
    // An OPTIONS that is no preflight is a request like others: hono/cors would answer it.
    if (c.req.method === 'OPTIONS' && !isPreflight) return admit(c, next)
    const preflight = await allow(c, async () => {
      answer = (await admit(c, next)) ?? undefined
    })
    return preflight ?? answer
  }
}

interface PresentedCredentials {
  readonly token: string
  readonly isCookie: boolean
}

/** A key or token: of the header, else of the query, else of the cookie, as far as those are asked for. */
function tokenOf(
  c: Context,
  { tokenQuery, tokenCookie }: GuardOptions,
): PresentedCredentials | undefined {
  const [, bearer] = /^bearer +([\w.~+/-]+=*) *$/i.exec(c.req.header('Authorization') ?? '') ?? []
  const token = bearer ?? (tokenQuery === undefined ? undefined : c.req.query(tokenQuery))
  if (token) return { token, isCookie: false }
  const cookie = tokenCookie === undefined ? undefined : getCookie(c, tokenCookie)
  return cookie ? { token: cookie, isCookie: true } : undefined
}

/** @throws KafkaConsumeError FORBIDDEN for a page that may not use the credentials a browser adds. */
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
 * is only told of `Basic`.
 */
function challenge(c: Context, isWrong: boolean, havePasswords: boolean): string {
  const bearer = `Bearer realm="${REALM}"${isWrong ? ', error="invalid_token"' : ''}`
  const basic = `Basic realm="${REALM}", charset="UTF-8"`
  if (!havePasswords) return bearer
  return c.req.header('Accept')?.includes('text/html') ? basic : `${bearer}, ${basic}`
}

/** What a client of the settings is counted as. */
function whoIs({ name }: KnownClient | KafkaClient): string {
  return `client ${name}`
}

/** The open streams of each client that has any, by what ends them. */
class Streams {
  readonly #max: number
  readonly #open = new Map<string, Set<() => void>>()

  constructor(max: number) {
    this.#max = max
  }

  /** @throws KafkaConsumeError TOO_MANY_STREAMS */
  open(client: string, end: () => void): () => void {
    const open = this.#open.get(client) ?? new Set()
    if (open.size >= this.#max) {
      throw new KafkaConsumeError(
        'TOO_MANY_STREAMS',
        `Cannot open a stream: this client has ${this.#max} open already`,
      )
    }
    this.#open.set(client, open.add(end))
    return () => {
      open.delete(end)
      if (open.size === 0 && this.#open.get(client) === open) this.#open.delete(client)
    }
  }

  end(client: string): void {
    for (const end of this.#open.get(client) ?? []) end()
  }
}
