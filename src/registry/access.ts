/** Authentication with a schema registry. */
import { toBase64 } from '../core/bytes.ts'
import { KafkaConsumeError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { RegistryOptions } from '../options/registry-options.ts'
import { ask } from './http.ts'

type Authentication = RegistryOptions['authentication']
type OAuth2 = NonNullable<Authentication['oauth2']>
type OAuth2Client = NonNullable<Authentication['oauth2Client']>

/** The lifetime of a token when its server does not state it. */
const DEFAULT_LIFETIME_S = 300
/** The time before its end at which a token is renewed; half of its lifetime when that is shorter. */
const MARGIN_MS = 30_000

/**
 * Headers by which Confluent Cloud finds the registry and the identity pool of a token. They belong to
 * each request, not only to that of the token.
 */
const CLOUD_HEADERS = ['target-sr-cluster', 'confluent-identity-pool-id']

type RegistryHeaders = Readonly<Record<string, string>>

/** Makes the headers that authenticate requests. */
export interface RegistryAccess {
  /** @throws KafkaConsumeError when the token endpoint gives no token. */
  headers(): Promise<RegistryHeaders>
  /** Drops the present header. @returns Whether the next header may differ. */
  renew(): boolean
}

export function accessOf({ mode, basic, oauth2, oauth2Client }: Authentication): RegistryAccess {
  if (mode === 'oauth2' && oauth2) return new RegistryTokens(oauth2, oauth2Client)
  const header = mode === 'basic' && basic ? basicHeader(basic.username, basic.password) : undefined
  const headers = header === undefined ? {} : { authorization: header }
  return { headers: async () => headers, renew: () => false }
}

/** Tokens of an OAuth2 server. All requests share a token until shortly before its end. */
class RegistryTokens implements RegistryAccess {
  readonly #oauth2: OAuth2
  readonly #client: OAuth2Client | undefined
  readonly #cloudHeaders: RegistryHeaders
  #token: { readonly header: string; readonly until: number } | undefined
  #asking: Promise<string> | undefined

  constructor(oauth2: OAuth2, client: OAuth2Client | undefined) {
    this.#oauth2 = oauth2
    this.#client = client
    this.#cloudHeaders = Object.fromEntries(
      Object.entries(oauth2.tokenHeaders ?? {}).filter(([name]) =>
        CLOUD_HEADERS.includes(name.toLowerCase()),
      ),
    )
  }

  async headers(): Promise<RegistryHeaders> {
    return { ...this.#cloudHeaders, authorization: await this.#authorization() }
  }

  async #authorization(): Promise<string> {
    if (this.#token && performance.now() < this.#token.until) return this.#token.header
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  renew(): boolean {
    this.#token = undefined
    return true
  }

  /** Asks for a token by RFC 6749, sections 4.3 and 4.4. */
  async #ask(): Promise<string> {
    const headers: Record<string, string> = {
      accept: 'application/json',
      ...this.#oauth2.tokenHeaders,
    }
    const body = await this.#form(headers)
    const { status, body: answer } = await ask(new URL(this.#oauth2.tokenEndpoint), {
      method: 'POST',
      headers,
      body,
      sslVerify: this.#client?.sslVerify ?? true,
      ...(this.#client?.timeout && { timeout: this.#client.timeout }),
      server: 'the token endpoint of the schema registry',
    })
    const { token, lifetimeMs } = tokenIn(status, answer)
    const header = `Bearer ${token}`
    const margin = Math.min(MARGIN_MS, lifetimeMs / 2)
    const usableMs = lifetimeMs > 0 ? lifetimeMs - margin : 0
    this.#token = { header, until: performance.now() + usableMs }
    return header
  }

  /** The form of a token request. The client's credentials may go into the headers instead. */
  async #form(headers: Record<string, string>): Promise<URLSearchParams> {
    const { grantType, username, password, scopes, audience, tokenPostArgs } = this.#oauth2
    const form = new URLSearchParams({ grant_type: grantType })
    if (grantType === 'password') {
      form.set('username', username ?? '')
      form.set('password', password ?? '')
    }
    if (scopes.length > 0) form.set('scope', scopes.join(' '))
    for (const one of audience) form.append('audience', one)
    await this.#identify(form, headers)
    for (const [name, value] of Object.entries(tokenPostArgs ?? {})) form.set(name, value)
    return form
  }

  /** Adds the client's credentials by RFC 6749, section 2.3.1, or RFC 7523. */
  async #identify(body: URLSearchParams, headers: Record<string, string>): Promise<void> {
    const { clientId, clientSecret = '', tokenEndpoint } = this.#oauth2
    if (clientId === undefined) return
    switch (this.#client?.authMethod ?? 'client_secret_post') {
      case 'client_secret_basic':
        headers['authorization'] = basicHeader(
          encodeURIComponent(clientId),
          encodeURIComponent(clientSecret),
        )
        return
      case 'client_secret_jwt': {
        const { sign } = await import('hono/jwt')
        const now = Math.floor(Date.now() / 1_000)
        const claims = {
          iss: clientId,
          sub: clientId,
          aud: tokenEndpoint,
          jti: crypto.randomUUID(),
          iat: now,
          exp: now + 60,
        }
        body.set('client_id', clientId)
        body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
        const algorithm = this.#client?.clientSecretJwtAlg ?? 'HS512'
        body.set('client_assertion', await sign(claims, clientSecret, algorithm))
        return
      }
      case 'client_secret_post':
        body.set('client_secret', clientSecret)
    }
    body.set('client_id', clientId)
  }
}

/** @throws KafkaConsumeError when the answer of a token endpoint has no token. */
function tokenIn(status: number, answer: unknown): { token: string; lifetimeMs: number } {
  if (status >= 500) {
    throw new KafkaConsumeError(
      'SCHEMA_REGISTRY_UNAVAILABLE',
      'Cannot read schemas: the token endpoint of the schema registry is out of order',
      { detail: `it answered with status ${status}` },
    )
  }
  const fields = isJsonObject(answer) ? answer : {}
  const { access_token: token, error, expires_in: seconds } = fields
  if (status !== 200 || typeof token !== 'string') {
    const reason = typeof error === 'string' ? error : ''
    throw new KafkaConsumeError(
      'SCHEMA_REGISTRY_REFUSED',
      'Cannot read schemas: the token endpoint of the schema registry gave no token',
      { detail: `it answered with status ${status} ${reason}`.trim(), retryable: true },
    )
  }
  return { token, lifetimeMs: Number(seconds ?? DEFAULT_LIFETIME_S) * 1_000 }
}

function basicHeader(user: string, password: string): string {
  return `Basic ${toBase64(new TextEncoder().encode(`${user}:${password}`))}`
}
