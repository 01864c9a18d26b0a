/** The console: a page that shows what a gateway serves, live. */
import { type Context, Hono } from 'hono'
import { onUse } from '../../core/on-use.ts'
import { clientOf, credentialQuery, isRestricted } from '../../http/request/client.ts'
import { fileRoutes } from '../../http/response/file-routes.ts'
import { describeScope } from '../auth/scope.ts'
import type { ConsoleAccount } from './page.ts'

/** Options of `kafkaConsole`: addresses of the app, as the browser sees them. */
export interface ConsoleOptions {
  /**
   * Address of `kafkaStatus`, which the page polls.
   *
   * @default '/status'
   */
  readonly status?: string | undefined
  /**
   * Address of `printMetrics` of `kafkaMetrics`, which the page polls.
   *
   * @default '/metrics'
   */
  readonly metrics?: string | undefined
  /**
   * Address of `kafkaTopics`, which the page polls while it shows topics.
   *
   * @default '/topics'
   */
  readonly topics?: string | undefined
  /** Address of the page of `kafkaDocs`. Without it the console has no link to API docs. */
  readonly docs?: string | undefined
  /** The account with which the page was opened, where its user has logged in. Default: none. */
  readonly account?: ((c: Context) => ConsoleAccount | undefined) | undefined
  /**
   * Address of a page to log in, with the console's own address in its query parameter `next`. The
   * console links to it where nobody has logged in. Default: none.
   */
  // biome-ignore lint/suspicious/noExplicitAny: a context of any environment
  readonly login?: ((c: Context<any>) => string | undefined) | undefined
}

/**
 * A page that shows routes, topics, metrics and a live view of records. It has no access of its own: it
 * reads `status`, `topics`, `metrics` and the routes as any client does, and loads nothing from other servers. It
 * sends the credentials with which it was opened, also those of a query parameter that the client's
 * `credentialParameters` name. Other pages and other servers never get them.
 *
 * @param options Addresses, as the browser sees them. Default: `/status`, `/metrics` and `/topics`, no docs.
 * @returns An app to mount by `app.route`.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaConsole, kafkaConsume, kafkaMetrics, kafkaStatus, kafkaTopics } from 'hono-kafka-consume'
 *
 * const orders = kafkaConsume({ bootstrapServers: 'localhost:9092', topics: ['orders'], mode: 'auto' })
 * const app = new Hono()
 *   .all('/orders', orders)
 *   .get('/ops/status', kafkaStatus({ '/orders': orders }))
 *   .get('/ops/metrics', kafkaMetrics({ '/orders': orders }).printMetrics)
 *   .route('/ops/topics', kafkaTopics({ '/orders': orders }))
 *   .route('/ops', kafkaConsole({ status: '/ops/status', metrics: '/ops/metrics', topics: '/ops/topics' }))
 *
 * const response = await app.request('/ops')
 * if (!response.headers.get('content-security-policy')?.includes("default-src 'none'")) {
 *   throw new Error('the page may load nothing but its own files')
 * }
 * await orders.close()
 * ```
 */
export function kafkaConsole({
  status = '/status',
  metrics = '/metrics',
  topics = '/topics',
  docs,
  account,
  login,
}: ConsoleOptions = {}): Hono {
  const app = new Hono()
  const links = { status, metrics, topics, docs }
  // Records are whatever others have written: the page shows them as text, and runs nothing else
  // than its own files even if it did not.
  app.use(
    onUse(async () => {
      const { NONCE, secureHeaders } = await import('hono/secure-headers')
      return secureHeaders({
        contentSecurityPolicy: {
          defaultSrc: ["'none'"],
          scriptSrc: ["'self'", NONCE],
          styleSrc: ["'self'"],
          imgSrc: ["'self'"],
          connectSrc: ["'self'"],
          workerSrc: ["'self'"],
          baseUri: ["'none'"],
          formAction: ["'none'"],
          frameAncestors: ["'none'"],
          requireTrustedTypesFor: ["'script'"],
        },
        strictTransportSecurity: false,
        xFrameOptions: 'DENY',
      })
    }),
  )
  app.get('/', async (c) => {
    const [{ importMap }, { page }] = await Promise.all([
      import('./assets.ts'),
      import('./page.ts'),
    ])
    // Its files are named relative to the page, so that it works behind any prefix.
    const last = new URL(c.req.url).pathname.split('/').at(-1)
    const files = last ? `${last}/console` : 'console'
    c.header('Cache-Control', 'no-store')
    const credentials = credentialQuery(c)
    const imports = importMap(files, credentials)
    const nonce = c.get('secureHeadersNonce') ?? ''
    const client = clientOf(c)
    const scope = isRestricted(client) ? describeScope(client.only) : undefined
    const user = { account: account?.(c), login: login?.(c), scope }
    return c.html(page(links, { files, credentials, imports, nonce, ...user }))
  })
  app.route(
    '/console',
    fileRoutes(async () => (await import('./assets.ts')).FILES),
  )
  return app
}
