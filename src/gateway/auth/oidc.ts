/** Logging in by an OpenID Connect issuer: the authorization code flow with PKCE (RFC 7636). */
import * as oauth from 'oauth4webapi'
import { KafkaConsumeError } from '../../core/errors.ts'
import { logOf } from '../../core/log.ts'
import type { LoggedIn } from './sessions.ts'
import { type Claims, scopeOf } from './tokens.ts'

const log = logOf('auth')

/** The issuer whose users may log in, and how it knows this gateway. */
export interface OidcOptions {
  /** The URL of the issuer, whose metadata is at `/.well-known/openid-configuration` below it. */
  readonly issuer: string
  readonly clientId: string
  /** Default: a public client, which PKCE protects. */
  readonly clientSecret?: string | undefined
  /** The scopes to ask for. */
  readonly scopes: readonly string[]
  /** The claim of the ID token that says what a user may see. Default: all users may see all records. */
  readonly claim?: string | undefined
}

/** A login that has begun: its parts must be remembered until it ends. */
export interface LoginAttempt {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

/** Seconds by which the issuer's clock and ours may differ. */
const CLOCK_TOLERANCE_SECONDS = 5
const REQUEST_TIMEOUT_MS = 10_000
/** Milliseconds for which the issuer's metadata is used. */
const METADATA_MAX_AGE_MS = 600_000
const MAX_LABEL_LENGTH = 100

/** The issuer as this gateway's way to log in. */
export class OidcIssuer {
  readonly #options: OidcOptions
  readonly #url: URL
  readonly #client: oauth.Client
  #metadata: { readonly found: Promise<oauth.AuthorizationServer>; readonly at: number } | undefined

  constructor(options: OidcOptions) {
    this.#options = options
    this.#url = new URL(options.issuer)
    this.#client = {
      client_id: options.clientId,
      [oauth.clockTolerance]: CLOCK_TOLERANCE_SECONDS,
    }
  }

  /** The issuer's host, for the page that offers it. */
  get host(): string {
    return this.#url.host
  }

  /**
   * The address at which a user logs in, and what {@link finish} needs.
   *
   * @param callback The address to which the issuer sends the user's browser.
   * @throws KafkaConsumeError AUTHENTICATION_UNAVAILABLE
   */
  async begin(callback: string): Promise<{ readonly url: URL; readonly attempt: LoginAttempt }> {
    const { authorization_endpoint: endpoint } = await this.#server()
    if (endpoint === undefined) throw this.#unavailable(new Error('no authorization_endpoint'))
    const attempt = {
      state: oauth.generateRandomState(),
      nonce: oauth.generateRandomNonce(),
      verifier: oauth.generateRandomCodeVerifier(),
    }
    const url = new URL(endpoint)
    const parameters = {
      client_id: this.#options.clientId,
      redirect_uri: callback,
      response_type: 'code',
      scope: this.#options.scopes.join(' '),
      state: attempt.state,
      nonce: attempt.nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(attempt.verifier),
      code_challenge_method: 'S256',
    }
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
    return { url, attempt }
  }

  /**
   * The user of an answer of the issuer: exchanges its code for an ID token and checks that.
   *
   * @param answer The address with which the user's browser came back.
   * @throws KafkaConsumeError UNAUTHENTICATED, FORBIDDEN, AUTHENTICATION_UNAVAILABLE
   */
  async finish(answer: URL, callback: string, attempt: LoginAttempt): Promise<LoggedIn> {
    const server = await this.#server()
    const claims = await this.#claimsOf(server, answer, callback, attempt)
    const { sub } = claims
    const label = [claims['preferred_username'], claims['email'], claims['name']].find(
      (each) => typeof each === 'string' && each !== '',
    ) as string | undefined
    return {
      sub,
      ...scopeOf(claims, this.#options.claim),
      ...(label !== undefined && { label: label.slice(0, MAX_LABEL_LENGTH) }),
    }
  }

  async #claimsOf(
    server: oauth.AuthorizationServer,
    answer: URL,
    callback: string,
    { state, nonce, verifier }: LoginAttempt,
  ): Promise<Claims & { readonly sub: string }> {
    const client = this.#client
    try {
      const parameters = oauth.validateAuthResponse(server, client, answer, state)
      const authentication = this.#authentication(server)
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        authentication,
        parameters,
        callback,
        verifier,
        this.#requestOptions(),
      )
      const result = await oauth.processAuthorizationCodeResponse(server, client, response, {
        expectedNonce: nonce,
        requireIdToken: true,
      })
      const claims = oauth.getValidatedIdTokenClaims(result)
      if (!claims) throw new Error('no ID token')
      return claims
    } catch (error) {
      throw this.#refused(error)
    }
  }

  /** The issuer's metadata, asked for again after some minutes, and after an error at once. */
  #server(): Promise<oauth.AuthorizationServer> {
    const held = this.#metadata
    if (held && performance.now() - held.at < METADATA_MAX_AGE_MS) return held.found
    const found = oauth
      .discoveryRequest(this.#url, this.#requestOptions())
      .then((response) => oauth.processDiscoveryResponse(this.#url, response))
      .catch((error: unknown) => {
        this.#metadata = undefined
        throw this.#unavailable(error)
      })
    this.#metadata = { found, at: performance.now() }
    return found
  }

  #authentication({ token_endpoint_auth_methods_supported: methods }: oauth.AuthorizationServer) {
    const { clientSecret } = this.#options
    if (clientSecret === undefined) return oauth.None()
    // Without the field, an issuer supports `client_secret_basic` (OpenID Connect Discovery 1.0, 3).
    const isBasic = methods === undefined || methods.includes('client_secret_basic')
    return isBasic ? oauth.ClientSecretBasic(clientSecret) : oauth.ClientSecretPost(clientSecret)
  }

  #requestOptions() {
    return {
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      // The settings allow plain HTTP for an issuer on this machine only.
      [oauth.allowInsecureRequests]: this.#url.protocol === 'http:',
    }
  }

  /** The error of a request to the issuer that has no answer. */
  #unavailable(cause: unknown): KafkaConsumeError {
    const { issuer } = this.#options
    log.error('Cannot log a user in by {issuer}: {cause}', { issuer, cause: describe(cause) })
    const state = isAnswer(cause)
      ? `${this.host} does not answer as an OpenID Connect issuer of this address`
      : `${this.host} cannot be reached`
    return new KafkaConsumeError('AUTHENTICATION_UNAVAILABLE', `Cannot log in: ${state}`, {
      retryAfter: 5,
      cause,
    })
  }

  /** The error of an exchange: the issuer refuses, answers with an error, or does not answer. */
  #refused(error: unknown): KafkaConsumeError {
    if (error instanceof oauth.AuthorizationResponseError) return this.#notAllowed(error)
    if (!isAnswer(error)) return this.#unavailable(error)
    const { issuer } = this.#options
    log.warn('Cannot log a user in by {issuer}: {cause}', { issuer, cause: describe(error) })
    return new KafkaConsumeError('UNAUTHENTICATED', `Cannot log in: ${stateOf(error, this.host)}`, {
      cause: error,
    })
  }

  /** The issuer has sent the user back with an error: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1 */
  #notAllowed(cause: oauth.AuthorizationResponseError): KafkaConsumeError {
    const { error } = cause
    if (PASSING_ERRORS.has(error)) {
      const message = `Cannot log in: ${this.host} cannot log users in now`
      return new KafkaConsumeError('AUTHENTICATION_UNAVAILABLE', message, { retryAfter: 5, cause })
    }
    const state =
      error === 'access_denied'
        ? `it was cancelled at ${this.host}, or ${this.host} does not allow it`
        : `${this.host} answered ${error.slice(0, MAX_LABEL_LENGTH)}`
    return new KafkaConsumeError('UNAUTHENTICATED', `Cannot log in: ${state}`, { cause })
  }
}

/** Errors of an issuer that may be gone at the next attempt. */
const PASSING_ERRORS = new Set(['server_error', 'temporarily_unavailable'])

/** Whether the issuer has answered, if not as it should. */
function isAnswer(error: unknown): boolean {
  return (
    error instanceof oauth.OperationProcessingError ||
    error instanceof oauth.ResponseBodyError ||
    error instanceof oauth.WWWAuthenticateChallengeError
  )
}

/** Errors of a token endpoint that the gateway's operator must correct. */
const CLIENT_ERRORS = new Set(['invalid_client', 'unauthorized_client'])

/** The state that users are told when an issuer's answer is refused. */
function stateOf(error: unknown, host: string): string {
  const isOfClient =
    error instanceof oauth.WWWAuthenticateChallengeError ||
    (error instanceof oauth.ResponseBodyError && CLIENT_ERRORS.has(error.error))
  if (isOfClient) return `${host} does not accept this gateway's client id or secret`
  if (error instanceof oauth.ResponseBodyError) {
    return error.error === 'invalid_grant'
      ? `the login at ${host} was used already, or took too long`
      : `${host} answered ${error.error.slice(0, MAX_LABEL_LENGTH)}`
  }
  const { code, cause } = error as oauth.OperationProcessingError
  if (code === oauth.JWT_TIMESTAMP_CHECK) {
    return `the token of ${host} is out of date; its clock and that of this gateway may differ`
  }
  const { claim } = (cause ?? {}) as { claim?: unknown }
  const isOfAnother = code === oauth.JWT_CLAIM_COMPARISON && claim === 'nonce'
  if (isOfAnother) return `the answer of ${host} belongs to another login`
  return `the answer of ${host} is not valid`
}

/** The error's own words, without the answer that it may hold, which has secrets. */
function describe(error: unknown): string {
  if (error instanceof oauth.ResponseBodyError) return `${error.status} ${error.error}`
  return error instanceof Error ? error.message : String(error)
}
