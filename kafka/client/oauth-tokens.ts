import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { rootCertificates } from 'node:tls'
import { asKafkaConsumeError, KafkaConsumeError } from '../../src/core/errors.ts'
import { isJsonObject } from '../../src/core/json-object.ts'
import { logOf } from '../../src/core/log.ts'
import type { TokenSasl } from '../../src/port/cluster-options.ts'
import { connectionError } from './errors.ts'
import { readText } from './text-or-file.ts'

const log = logOf('tokens')

const REQUEST_TIMEOUT_MS = 10_000
const RETRY_MS = 1_000
/** The latest `Date`, in milliseconds since 1970; in microseconds it still fits librdkafka's 64 bits. */
const MAX_DATE_MS = 8.64e15
/** Characters of an answer of the token endpoint; a longer answer is an error. */
const MAX_ANSWER = 64 * 1024
/** Lifetime of a token when neither the endpoint nor the token says when it expires. */
const DEFAULT_LIFETIME_MS = 300_000
/**
 * The fraction of its lifetime after which a token is not given to clients any more. librdkafka asks
 * for the next token after 80 % of the lifetime that was left.
 */
const FRESH_FRACTION = 0.75

interface AccessToken {
  readonly value: string
  /** Milliseconds since 1970. */
  readonly issued: number
  /** Milliseconds since 1970. */
  readonly expires: number
}

/** A token in the form that Confluent's client expects. */
interface ClientToken {
  readonly tokenValue: string
  readonly lifetime: number
  readonly principal: string
  readonly extensions: Readonly<Record<string, string>>
}

/**
 * Tokens for OAUTHBEARER. All clients of a cluster share one token, since each catch-up read has a
 * client and identity providers limit requests. librdkafka's own `oidc` method requests a token for
 * each client, cannot skip the verification of the endpoint, and accepts only JWTs.
 */
export class OAuthTokens {
  readonly #options: TokenSasl
  #token: AccessToken | undefined
  #requesting: Promise<AccessToken> | undefined
  #error: KafkaConsumeError | undefined
  #closed = false

  constructor(options: TokenSasl) {
    this.#options = options
  }

  /** Why the last request for a token failed; undefined after one that succeeded. */
  get error(): KafkaConsumeError | undefined {
    return this.#error
  }

  /**
   * The present token while it is fresh, or else a new one.
   *
   * @throws KafkaConsumeError KAFKA_TOKEN, or INVALID_OPTIONS for a file that cannot be read.
   */
  async get(): Promise<AccessToken> {
    const token = this.#token
    if (token && isFresh(token)) return token
    this.#requesting ??= this.#renew().finally(() => {
      this.#requesting = undefined
    })
    return this.#requesting
  }

  close(): void {
    this.#closed = true
  }

  /** librdkafka's callback for the next token. It is answered when there is one, however long that takes. */
  readonly refresh = (
    _config: string,
    done: (error: Error | null, token: ClientToken) => void,
  ): void => {
    void this.#provide(done)
  }

  async #provide(done: (error: null, token: ClientToken) => void): Promise<void> {
    while (!this.#closed) {
      try {
        const { value, expires } = await this.get()
        const { extensions } = this.#options
        done(null, { tokenValue: value, lifetime: expires, principal: '', extensions })
        return
      } catch (error) {
        // Any other error comes from a client that was disconnected meanwhile: it needs no token.
        if (!(error instanceof KafkaConsumeError)) return
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref())
      }
    }
  }

  async #renew(): Promise<AccessToken> {
    try {
      const token = await this.#request()
      if (this.#error) log.info('The token endpoint gives tokens again')
      this.#error = undefined
      this.#token = token
      return token
    } catch (thrown) {
      const error = asKafkaConsumeError(thrown)
      if (error.message !== this.#error?.message) {
        log.warn('{message}: {detail}', { message: error.message, detail: error.detail ?? '' })
      }
      this.#error = error
      throw error
    }
  }

  async #request(): Promise<AccessToken> {
    const { clientId, clientSecret, scopes, tokenEndpoint, verify, ca } = this.#options
    const secret = readText(clientSecret, 'authentication.oauthbearer.clientSecret')
    const form = new URLSearchParams({ grant_type: 'client_credentials' })
    if (scopes.length > 0) form.set('scope', scopes.join(' '))
    const issued = Date.now()
    const { status, text } = await post(tokenEndpoint, {
      body: form.toString(),
      authorization: `Basic ${btoa(`${encode(clientId)}:${encode(secret)}`)}`,
      verify,
      ca: ca === undefined ? [] : [readText(ca, 'security.ca')],
    })
    const answer = parse(text)
    if (status !== 200) {
      // Only the error code (RFC 6749, 5.2) is safe to log: the rest may repeat the secret.
      const { error } = answer
      const detail = typeof error === 'string' ? `${status}, ${error.slice(0, 100)}` : `${status}`
      throw noToken(`the token endpoint answered ${status}`, detail)
    }
    const { access_token: value, expires_in: seconds } = answer
    if (typeof value !== 'string' || value === '') {
      throw noToken('the token endpoint answered without a token', 'access_token is missing')
    }
    const lifetime = Number(seconds) > 0 ? Number(seconds) * 1_000 : DEFAULT_LIFETIME_MS
    const expires = asDate(expiryOf(value) ?? issued + lifetime)
    if (expires <= Date.now()) {
      const detail = `expired at ${new Date(expires).toISOString()}`
      throw noToken('the token endpoint gave a token that has expired', detail)
    }
    return { value, issued, expires }
  }
}

function isFresh({ issued, expires }: AccessToken): boolean {
  return Date.now() < issued + (expires - issued) * FRESH_FRACTION
}

interface TokenRequest {
  readonly body: string
  readonly authorization: string
  readonly verify: boolean
  readonly ca: readonly string[]
}

/** Does not follow redirects: the request to another server would contain the secret. */
function post(
  url: string,
  { body, authorization, verify, ca }: TokenRequest,
): Promise<{ status: number; text: string }> {
  const options = {
    method: 'POST',
    headers: {
      authorization,
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': body.length,
    },
    agent: false,
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    ...(ca.length > 0 && { ca: [...rootCertificates, ...ca] }),
    rejectUnauthorized: verify,
  } as const
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => {
      const state = options.signal.aborted
        ? `the token endpoint did not answer within ${REQUEST_TIMEOUT_MS / 1_000} s`
        : 'the token endpoint cannot be reached'
      reject(noToken(state, error.code ?? error.message))
    }
    const request = url.startsWith('https:') ? requestHttps : requestHttp
    const sent = request(url, options, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > MAX_ANSWER) {
          reject(noToken('the token endpoint answered too much', `over ${MAX_ANSWER} characters`))
          response.destroy()
        }
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', fail)
    })
    sent.on('error', fail)
    sent.end(body)
  })
}

/** Encodes a client id or secret as in forms, before a colon joins both (RFC 6749, 2.3.1). */
function encode(text: string): string {
  return new URLSearchParams({ text }).toString().slice('text='.length)
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const answer: unknown = JSON.parse(text)
    return isJsonObject(answer) ? answer : {}
  } catch {
    return {}
  }
}

/** The expiry of a JWT (`exp`, RFC 7519, 4.1.4) in milliseconds since 1970; undefined if it has none. */
function expiryOf(token: string): number | undefined {
  const payload = token.split('.')[1]
  if (payload === undefined) return undefined
  const { exp } = parse(Buffer.from(payload, 'base64url').toString())
  return typeof exp === 'number' ? exp * 1_000 : undefined
}

/** The time itself, or the nearest one that a `Date` can hold: an endpoint may name any number. */
function asDate(time: number): number {
  return Math.min(Math.max(time, -MAX_DATE_MS), MAX_DATE_MS)
}

function noToken(state: string, detail: string): KafkaConsumeError {
  return connectionError('KAFKA_TOKEN', state, detail)
}
