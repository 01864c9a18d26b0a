import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { rootCertificates } from 'node:tls'
import { getLogger } from '@logtape/logtape'
import { asKafkaConsumeError, KafkaConsumeError } from '../../src/core/errors.ts'
import type { TextOrFile, TokenSasl } from '../../src/port/kafka.ts'
import { connectionError } from './errors.ts'
import { textOf } from './security.ts'

const log = getLogger(['hono-kafka-consume', 'tokens'])

const REQUEST_TIMEOUT_MS = 10_000
const RETRY_MS = 1_000
/** Bytes of an answer of the endpoint; more is refused. */
const MAX_ANSWER = 64 * 1024
/** Milliseconds that a token lasts whose endpoint does not say. */
const DEFAULT_LIFETIME = 300_000
/**
 * The part of its life after which a token is no longer handed out. librdkafka asks for the next
 * after 80 % of what was left of it.
 */
const HANDED_OUT = 0.75

interface Token {
  readonly value: string
  /** Milliseconds since 1970. */
  readonly issued: number
  readonly expires: number
}

/** What Confluent's client takes for a token. */
interface ClientToken {
  readonly tokenValue: string
  readonly lifetime: number
  readonly principal: string
  readonly extensions: Readonly<Record<string, string>>
}

/**
 * Tokens for OAUTHBEARER: one at a time for all clients of a cluster, as each replay has a client
 * and an identity provider counts requests. librdkafka could ask by itself (`oidc`), but for each
 * client, and it can neither leave an endpoint unverified nor take a token that is no JWT.
 */
export class OAuthTokens {
  readonly #options: TokenSasl
  readonly #ca: TextOrFile | undefined
  #token: Token | undefined
  #asking: Promise<Token> | undefined
  #error: KafkaConsumeError | undefined
  #closed = false

  /** @param ca Authorities, beside the usual ones, that the endpoint's certificate may be of. */
  constructor(options: TokenSasl, ca: TextOrFile | undefined) {
    this.#options = options
    this.#ca = ca
  }

  /** Why the last request brought no token. */
  get error(): KafkaConsumeError | undefined {
    return this.#error
  }

  /**
   * The token at hand, or a new one.
   *
   * @throws KafkaConsumeError KAFKA_TOKEN, or INVALID_OPTIONS for a file that cannot be read.
   */
  async get(): Promise<Token> {
    const token = this.#token
    if (token && Date.now() < token.issued + (token.expires - token.issued) * HANDED_OUT) {
      return token
    }
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  close(): void {
    this.#closed = true
  }

  /** A client needs a token, now or soon: it gets one as soon as there is one. */
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
        // The client may be gone by now, and not want a token any more.
        if (!(error instanceof KafkaConsumeError)) return
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref())
      }
    }
  }

  async #ask(): Promise<Token> {
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

  async #request(): Promise<Token> {
    const { clientId, clientSecret, scopes, tokenEndpoint, verify } = this.#options
    const secret = textOf(clientSecret, 'clientSecret')
    const form = new URLSearchParams({ grant_type: 'client_credentials' })
    if (scopes.length > 0) form.set('scope', scopes.join(' '))
    const issued = Date.now()
    const { status, text } = await post(tokenEndpoint, {
      body: form.toString(),
      authorization: `Basic ${btoa(`${encode(clientId)}:${encode(secret)}`)}`,
      verify,
      ca: this.#ca === undefined ? [] : [textOf(this.#ca, 'ca')],
    })
    const answer = parse(text)
    if (status !== 200) {
      // Of what it says, only the code of RFC 6749, 5.2: the rest may repeat what was sent.
      const { error } = answer
      const detail = typeof error === 'string' ? `${status}, ${error.slice(0, 100)}` : `${status}`
      throw noToken(`the token endpoint answered ${status}`, detail)
    }
    const { access_token: value, expires_in: seconds } = answer
    if (typeof value !== 'string' || value === '') {
      throw noToken('the token endpoint answered without a token', 'access_token is missing')
    }
    const lifetime = Number(seconds) > 0 ? Number(seconds) * 1_000 : DEFAULT_LIFETIME
    const expires = expiryOf(value) ?? issued + lifetime
    if (expires <= Date.now()) {
      const detail = `expired at ${new Date(expires).toISOString()}`
      throw noToken('the token endpoint gave a token that has expired', detail)
    }
    return { value, issued, expires }
  }
}

interface TokenRequest {
  readonly body: string
  readonly authorization: string
  readonly verify: boolean
  readonly ca: readonly string[]
}

/** Redirections are not followed: they would be told the secret. */
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

/** RFC 6749, 2.3.1: as in forms, before they are joined by a colon. */
function encode(text: string): string {
  return new URLSearchParams({ text }).toString().slice('text='.length)
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const answer: unknown = JSON.parse(text)
    return typeof answer === 'object' && answer !== null ? { ...answer } : {}
  } catch {
    return {}
  }
}

/** What a JWT says of its end (RFC 7519, 4.1.4), in milliseconds since 1970. */
function expiryOf(token: string): number | undefined {
  const payload = token.split('.')[1]
  if (payload === undefined) return undefined
  const { exp } = parse(Buffer.from(payload, 'base64url').toString())
  return typeof exp === 'number' ? exp * 1_000 : undefined
}

function noToken(state: string, detail: string): KafkaConsumeError {
  return connectionError('KAFKA_TOKEN', state, detail)
}
