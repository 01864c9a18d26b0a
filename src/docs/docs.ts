/** `/openapi.json`, and a page that shows it. */
import { Hono } from 'hono'
import { secureHeaders } from 'hono/secure-headers'
import { fileRoutes } from '../console/assets.ts'
import { type DescribedRoute, openApi } from './openapi.ts'
import { PAGE } from './page.tsx'

const own = (name: string) => new URL(`./assets/${name}`, import.meta.url)
const FILES = {
  'docs.js': [() => own('docs.js')],
  'scalar.js': [
    // The published package brings a copy. In a checkout it is in a package of Scalar's, the only one
    // that has it as a file without the 268 packages that it is made of.
    () => own('scalar.js'),
    () => new URL('js/standalone.js', import.meta.resolve('@scalar/fastify-api-reference')),
  ],
}

/**
 * The API's description by OpenAPI 3.1 at `/openapi.json`, and at `/docs` a page to read and try it.
 * The page loads nothing from elsewhere.
 *
 * @param routes Asked at each request.
 */
export function docsRoutes(routes: () => readonly DescribedRoute[]): Hono {
  const app = new Hono()
  app.get('/openapi.json', (c) => {
    c.header('Cache-Control', 'no-store')
    return c.json(openApi(routes()))
  })
  app.use(
    '/docs',
    secureHeaders({
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
    }),
  )
  app.get('/docs', (c) => {
    c.header('Cache-Control', 'no-store')
    return c.html(PAGE)
  })
  app.route('/docs', fileRoutes(FILES))
  return app
}
