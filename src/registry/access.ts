/** How a schema registry is shown who asks. */

import { sign } from 'hono/jwt'
import { toBase64 } from '../core/bytes.ts'
import { KafkaConsumeError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { RegistryOptions } from '../options/registry-options.ts'
import { ask } from './http.ts'

type Authentication = RegistryOptions['authentication']
type OAuth2 = NonNullable<Authentication['oauth2']>
type OAuth2Client = NonNullable<Authentication['oauth2Client']>

/** How long a token is used whose server does not say how long it lives. */
const DEFAULT_LIFE_S = 300
/** A token is renewed so long before its end, or at half of its life if that is shorter. */
const MARGIN_MS = 30_000

/** What goes into the `Authorization` header. */
export interface RegistryAccess {
  /** @throws KafkaConsumeError when no token can be had. */
  authorization(): Promise<string | undefined>
  /** Drops what was used. @returns whether the next may be another. */
  renew(): boolean
}

export function accessOf({ mode, basic, oauth2, oauth2Client }: Authentication): RegistryAccess {
  if (mode === 'oauth2' && oauth2) return new RegistryTokens(oauth2, oauth2Client)
  const header = mode === 'basic' && basic ? basicHeader(basic.username, basic.password) : undefined
  return { authorization: async () => header, renew: () => false }
}

/** Tokens of an OAuth2 server, each used until shortly before its end, whoever asks. */
class RegistryTokens implements RegistryAccess {
  readonly #oauth2: OAuth2
  readonly #client: OAuth2Client | undefined
  #token: { readonly header: string; readonly until: number } | undefined
  #asking: Promise<string> | undefined

  constructor(oauth2: OAuth2, client: OAuth2Client | undefined) {
    this.#oauth2 = oauth2
    this.#client = client
  }

  async authorization(): Promise<string> {
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

  /** RFC 6749, sections 4.3 and 4.4; how the client shows itself: section 2.3.1 and RFC 7523. */
  async #ask(): Promise<string> {
    const { tokenEndpoint, grantType, username, password, scopes, audience } = this.#oauth2
    const body = new URLSearchParams({ grant_type: grantType })
    if (grantType === 'password') {
      body.set('username', username ?? '')
      body.set('password', password ?? '')
    }
    if (scopes.length > 0) body.set('scope', scopes.join(' '))
    for (const one of audience) body.append('audience', one)
    const headers: Record<string, string> = {
      accept: 'application/json',
      ...this.#oauth2.tokenHeaders,
    }
    await this.#identify(body, headers)
    for (const [name, value] of Object.entries(this.#oauth2.tokenPostArgs ?? {})) {
      body.set(name, value)
    }
    const { status, body: answer } = await ask(new URL(tokenEndpoint), {
      method: 'POST',
      headers,
      body,
      sslVerify: this.#client?.sslVerify ?? true,
      ...(this.#client?.timeout && { timeout: this.#client.timeout }),
      of: 'the token endpoint of the schema registry',
    })
    if (status >= 500) {
      throw new KafkaConsumeError(
        'SCHEMA_REGISTRY_UNAVAILABLE',
        'Cannot read schemas: the token endpoint of the schema registry is out of order',
        { detail: `it answered with status ${status}` },
      )
    }
    const token = isJsonObject(answer) ? answer['access_token'] : undefined
    if (status !== 200 || typeof token !== 'string') {
      const reason =
        isJsonObject(answer) && typeof answer['error'] === 'string' ? answer['error'] : ''
      throw new KafkaConsumeError(
        'SCHEMA_REGISTRY_REFUSED',
        'Cannot read schemas: the token endpoint of the schema registry gave no token',
        { detail: `it answered with status ${status} ${reason}`.trim(), retryable: true },
      )
    }
    const life = Number((answer as Record<string, unknown>)['expires_in'] ?? DEFAULT_LIFE_S) * 1_000
    const header = `Bearer ${token}`
    const margin = Math.min(MARGIN_MS, life / 2)
    this.#token = { header, until: performance.now() + (life > 0 ? life - margin : 0) }
    return header
  }

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

function basicHeader(user: string, password: string): string {
  return `Basic ${toBase64(new TextEncoder().encode(`${user}:${password}`))}`
}
