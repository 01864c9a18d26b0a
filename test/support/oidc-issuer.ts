/** A real OpenID Connect issuer, npm's `oidc-provider`, with its own pages to log in and to consent. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider, { type Configuration } from 'oidc-provider'

/** A user's choice on the issuer's pages. */
export type IssuerChoice = { readonly user: string } | 'cancel'

interface Step {
  readonly url: string
  readonly form?: URLSearchParams
}

export class TestIssuer implements AsyncDisposable {
  readonly url: string
  readonly #server: ReturnType<Provider['listen']>

  private constructor(url: string, server: ReturnType<Provider['listen']>) {
    this.url = url
    this.#server = server
  }

  /**
   * Starts an issuer that knows one client, `gateway`.
   *
   * @param claims Claims of each user's ID token besides `sub`.
   * @param port Default: a free one.
   * @param onTokens Called when tokens have been signed, before they are sent.
   */
  static async start(
    callback: string,
    secret: string | undefined,
    claims: Readonly<Record<string, unknown>> = {},
    { port = 0, onTokens = () => {} } = {},
  ): Promise<TestIssuer> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    const url = `http://localhost:${(server.address() as AddressInfo).port}`
    const configuration: Configuration = {
      clients: [
        {
          client_id: 'gateway',
          redirect_uris: [callback],
          ...(secret === undefined
            ? { token_endpoint_auth_method: 'none' }
            : { client_secret: secret }),
        },
      ],
      claims: { openid: ['sub', ...Object.keys(claims)], profile: ['preferred_username'] },
      // Issuers may leave claims to their userinfo endpoint; this one has them in the ID token.
      conformIdTokenClaims: false,
      findAccount: (_, id) => ({
        accountId: id,
        claims: () => ({ sub: id, preferred_username: `${id}@example.test`, ...claims }),
      }),
      pkce: { required: () => true },
      cookies: { keys: ['planted-cookie-key'] },
    }
    const provider = new Provider(url, configuration)
    const answer = provider.callback()
    server.on('request', (request, response) => {
      if (request.url === '/token') {
        const end = response.end.bind(response)
        response.end = ((...content: Parameters<typeof end>) => {
          onTokens()
          return end(...content)
        }) as typeof end
      }
      void answer(request, response)
    })
    return new TestIssuer(url, server)
  }

  /**
   * Follows the issuer's own pages by their forms, as a browser would.
   *
   * @returns The address of another server that the issuer redirects to in the end.
   */
  async visit(start: string, choice: IssuerChoice): Promise<string> {
    const cookies = new Map<string, string>()
    let next: Step = { url: start }
    for (let step = 0; step < 12; step++) {
      if (!next.url.startsWith(this.url)) return next.url
      next = await this.#step(next, cookies, choice)
    }
    throw new Error(`Cannot leave ${this.url}: it goes on after 12 steps`)
  }

  async #step(
    { url, form }: Step,
    cookies: Map<string, string>,
    choice: IssuerChoice,
  ): Promise<Step> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const init = form ? { method: 'POST', body: form } : {}
    const response = await fetch(url, { ...init, headers: { cookie }, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    const text = await response.text()
    const location = response.headers.get('location')
    if (location !== null) return { url: new URL(location, url).href }
    const found = (pattern: RegExp) => pattern.exec(text)?.[1] ?? ''
    if (choice === 'cancel') return { url: new URL(found(/href="([^"]+\/abort)"/), url).href }
    const prompt = found(/name="prompt" value="([^"]+)"/)
    return {
      url: new URL(found(/action="([^"]+)"/), url).href,
      form: new URLSearchParams({ prompt, login: choice.user, password: 'any' }),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
