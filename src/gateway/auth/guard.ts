/** The gateway's guard: which requests are served by the gateway's own settings, and how many. */
import type { Context, MiddlewareHandler } from 'hono'
import { cors } from 'hono/cors'
import { KafkaConsumeError } from '../../core/errors.ts'
import {
  limiterKey,
  type MakeLimiter,
  makeLocalLimiter,
  type RateLimits,
  type RequestLimiter,
  rateLimitHeaders,
} from '../../core/fixed-window-limiter.ts'
import type { MakeGauge } from '../../core/gauge.ts'
import { makeLocalLoginCounter } from '../../core/local-login-counter.ts'
import type { MakeLoginCounter } from '../../core/login-counter.ts'
import type { KafkaClient } from '../../http/request/client.ts'
import { errorResponse } from '../../http/response/error-response.ts'
import { Authenticator, type ClientAuthenticationOptions, clientKey } from './authenticator.ts'
import { ClientStreams } from './client-streams.ts'
import type { KnownClient } from './clients.ts'
import type { Sessions } from './sessions.ts'

/** Which clients are served, and how much. */
export interface GuardOptions extends ClientAuthenticationOptions {
  /** Requests of one client at most. Default: no limit. */
  readonly limits?: RateLimits | undefined
  /** Open streams of one client at most. Default: no limit. */
  readonly maxStreams?: number | undefined
}

/** Counts that threads share which serve one port. Each has a default for one thread. */
export interface SharedCounts {
  readonly makeLimiter?: MakeLimiter
  readonly makeLoginCounter?: MakeLoginCounter
  readonly makeGauge?: MakeGauge
}

/** The middleware, and the setting of it that may change while it serves. */
export interface Guard {
  readonly handle: MiddlewareHandler
  readonly authenticator: Authenticator
  /**
   * Counts an attempt to log in that failed, by the client's address.
   *
   * @throws KafkaConsumeError RATE_LIMITED
   */
  countFailure(c: Context): Promise<void>
  /** Serves other clients from now on. Streams of removed and changed clients end. */
  replaceClients(clients: readonly KnownClient[]): void
}

/** Seconds for which a browser may cache the answer to a preflight. */
const CORS_MAX_AGE_SECONDS = 600
/** Headers of answers that pages of other origins may read. */
const EXPOSED_HEADERS = [
  ...['Kafka-Cursor', 'Kafka-Begin', 'Kafka-End', 'Kafka-Gaps', 'Link', 'ETag', 'Retry-After'],
  ...['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'],
]

/**
 * A guard by settings. Requests and open streams are counted by client: the name of a key or user,
 * or the subject of a token; where no credentials are required, the address. Requests that fail to
 * authenticate are counted by address.
 *
 * @param addressOf Finds the address of a request's client.
 * @param isPage Whether a request is for a page that pages of other origins may link to.
 * @param sessions Those of browsers that log in. Default: browsers cannot log in.
 */
export function guard(
  options: GuardOptions,
  addressOf: (c: Context) => string,
  isPage: (c: Context) => boolean,
  sessions: Sessions | undefined,
  {
    makeLimiter = makeLocalLimiter,
    makeLoginCounter = makeLocalLoginCounter,
    makeGauge,
  }: SharedCounts = {},
): Guard {
  const { corsOrigins, tokenCookie } = options
  const authenticator = new Authenticator(
    options,
    { addressOf, makeLoginCounter, isPage },
    sessions,
  )
  const limiter = options.limits && makeLimiter('guard', options.limits)
  const streams = new ClientStreams(options.maxStreams ?? Infinity, makeGauge)
  const byAddress = (c: Context) => `address ${addressOf(c)}`

  const limit = async (c: Context, client: string) => {
    if (limiter) await assertWithinLimits(c, limiter, await limiterKey(client))
  }
  const authenticate = async (c: Context) => {
    if (!authenticator.isNeeded) return { client: {}, countedAs: byAddress(c) }
    try {
      return await authenticator.authenticate(c)
    } catch (error) {
      await limit(c, byAddress(c))
      throw error
    }
  }
  const admit: MiddlewareHandler = async (c, next) => {
    try {
      const { client, countedAs } = await authenticate(c)
      await limit(c, countedAs)
      const openStream = (end: () => void) => streams.open(countedAs, end)
      c.set('kafkaClient', { ...client, openStream } satisfies KafkaClient)
    } catch (error) {
      return errorResponse(c, error, false)
    }
    return next()
  }

  let known = options.clients ?? []
  return {
    authenticator,
    countFailure: (c) => limit(c, byAddress(c)),
    handle: corsOrigins ? withCors(corsOrigins, tokenCookie !== undefined, admit) : admit,
    replaceClients: (clients) => {
      const unchanged = new Set(clients.map((client) => JSON.stringify(client)))
      const gone = known.filter((client) => !unchanged.has(JSON.stringify(client)))
      known = clients
      authenticator.replaceClients(clients)
      for (const client of gone) streams.endAll(clientKey(client))
    },
  }
}

/** @throws KafkaConsumeError RATE_LIMITED */
async function assertWithinLimits(
  c: Context,
  limiter: RequestLimiter,
  client: string,
): Promise<void> {
  const { usages, exceeded } = await limiter.count(client)
  for (const [name, value] of rateLimitHeaders(usages)) c.header(name, value)
  if (!exceeded) return
  throw new KafkaConsumeError(
    'RATE_LIMITED',
    `Cannot answer: ${exceeded.limit} requests in a ${exceeded.period} are allowed`,
    { retryAfter: exceeded.reset },
  )
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
    exposeHeaders: EXPOSED_HEADERS,
    maxAge: CORS_MAX_AGE_SECONDS,
    credentials,
  })
  return async (c, next) => {
    const isPreflight =
      c.req.method === 'OPTIONS' && c.req.header('Access-Control-Request-Method') !== undefined
    // hono/cors would answer every OPTIONS; one that is not a preflight is a request like others.
    if (c.req.method === 'OPTIONS' && !isPreflight) return admit(c, next)
    let answer: Response | undefined
    const preflight = await allow(c, async () => {
      answer = (await admit(c, next)) ?? undefined
    })
    return preflight ?? answer
  }
}
