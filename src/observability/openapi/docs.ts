/** `/openapi.json`, and a page that shows it. */
import { Hono } from 'hono'
import { onUse } from '../../core/on-use.ts'
import { credentialQuery } from '../../http/request/client.ts'
import { fileRoutes } from '../../http/response/file-routes.ts'
import { assertHandlers } from '../assert-handlers.ts'
import type { DescribedHandler, DescribedRoute } from './openapi.ts'
import type { OperationPath } from './operations.ts'

/** Handlers by the paths at which an app has them; several where methods share a path. */
export type DocumentedRoutes = Readonly<
  Record<string, DescribedHandler | readonly DescribedHandler[]>
>

/**
 * The API's description by OpenAPI 3.1 at `/openapi.json`, and at `/docs` a page to read and try it,
 * which loads nothing from elsewhere.
 *
 * @param routes Handlers of `kafkaConsume` and `kafkaProduce`. A path that ends with `/offsets` is one to
 *   commit at, where its handler has `commitStrategy: 'off'`.
 * @returns An app to mount by `app.route`.
 * @throws KafkaConsumeError INVALID_OPTIONS where a handler is not one of this package's.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaConsume, kafkaDocs, kafkaProduce } from 'hono-kafka-consume'
 *
 * const cluster = { bootstrapServers: 'localhost:9092', topics: ['orders'] }
 * const reading = kafkaConsume({ ...cluster, mode: 'auto' })
 * const writing = kafkaProduce(cluster)
 * const app = new Hono()
 *   .get('/orders', reading)
 *   .post('/orders', writing)
 *   .route('/', kafkaDocs({ '/orders': [reading, writing] }))
 *
 * const { paths } = await (await app.request('/openapi.json')).json()
 * if (!paths['/orders'].get || !paths['/orders'].post) throw new Error('both are described')
 * await Promise.all([reading.close(), writing.close()])
 * ```
 */
export function kafkaDocs(routes: DocumentedRoutes): Hono {
  assertHandlers('kafkaDocs', routes, 'stats')
  const described = Object.entries(routes).flatMap(([path, handlers]) =>
    [handlers].flat().map((handler) => ({ name: path, paths: [path], hosts: [], handler })),
  )
  return docsApp(async () => (await import('./openapi.ts')).openApi(described))
}

/**
 * The description and its page for a gateway.
 *
 * @param routes Asked at each request.
 * @param operations The gateway's own paths that are served.
 */
export function docsRoutes(
  routes: () => readonly DescribedRoute[],
  operations: readonly OperationPath[],
): Hono {
  return docsApp(async () => (await import('./openapi.ts')).openApi(routes(), operations))
}

/** @param document The description, whose making is loaded when it is asked for. */
function docsApp(document: () => Promise<object>): Hono {
  const app = new Hono()
  app.get('/openapi.json', async (c) => {
    c.header('Cache-Control', 'no-store')
    return c.json(await document())
  })
  app.use(
    '/docs',
    onUse(async () => {
      const { secureHeaders } = await import('hono/secure-headers')
      return secureHeaders({
        contentSecurityPolicy: {
          defaultSrc: ["'none'"],
          scriptSrc: ["'self'"],
          // Scalar writes styles into the page and its elements, not all of them by a nonce.
          styleSrc: ["'unsafe-inline'"],
          imgSrc: ["'self'", 'data:'],
          connectSrc: ["'self'"],
          baseUri: ["'none'"],
          formAction: ["'none'"],
          frameAncestors: ["'none'"],
        },
        strictTransportSecurity: false,
        xFrameOptions: 'DENY',
      })
    }),
  )
  app.get('/docs', async (c) => {
    const { page } = await import('./page.ts')
    c.header('Cache-Control', 'no-store')
    return c.html(page(credentialQuery(c)))
  })
  app.route(
    '/docs',
    fileRoutes(async () => (await import('./assets.ts')).FILES),
  )
  return app
}
