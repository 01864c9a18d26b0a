import { join } from 'node:path'
import { sign } from 'hono/jwt'
import { reader } from '../../tools/kafka/credentials.ts'
import { freePort } from '../support/port.ts'

/**
 * An OAuth 2 token endpoint (RFC 6749, 4.4) for one client, `reader`: its tokens are JWTs that the
 * secured broker verifies by its key. By TLS with a certificate of the broker's authority.
 */
export class TokenEndpoint {
  readonly requests: URLSearchParams[] = []
  /** Seconds that tokens last from now on; below 0 they have expired. */
  lifetime = 600
  /** The answer to every request, in place of a token. */
  refusal: { readonly status: number; readonly body: string } | undefined
  audience = 'kafka'
  readonly #folder: string
  readonly #key: JsonWebKey
  #server: Bun.Server<undefined> | undefined
  readonly #port: number

  private constructor(folder: string, key: JsonWebKey, port: number) {
    this.#folder = folder
    this.#key = key
    this.#port = port
  }

  static async start(folder: string): Promise<TokenEndpoint> {
    const key = (await Bun.file(join(folder, 'token-key.json')).json()) as JsonWebKey
    const endpoint = new TokenEndpoint(folder, key, await freePort())
    endpoint.open()
    return endpoint
  }

  get url(): string {
    return `https://localhost:${this.#port}/token`
  }

  /** Listens, again on the port that it had. */
  open(): void {
    this.#server ??= Bun.serve({
      hostname: '127.0.0.1',
      port: this.#port,
      tls: {
        cert: Bun.file(join(this.#folder, 'broker.pem')),
        key: Bun.file(join(this.#folder, 'broker.key')),
      },
      fetch: (request) => this.#answer(request),
    })
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    await server?.stop(true)
  }

  async #answer(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text())
    this.requests.push(form)
    if (this.refusal) return new Response(this.refusal.body, { status: this.refusal.status })
    const expected = `Basic ${btoa(`${reader.name}:${reader.password}`)}`
    if (request.headers.get('authorization') !== expected) {
      return Response.json({ error: 'invalid_client' }, { status: 401 })
    }
    const now = Math.floor(Date.now() / 1_000)
    const claims = { sub: reader.name, aud: this.audience, iat: now, exp: now + this.lifetime }
    const token = await sign(claims, this.#key as never, 'RS256')
    return Response.json({ access_token: token, token_type: 'Bearer', expires_in: this.lifetime })
  }
}
