/** The information routes of the Admin API: the node, its status, its plugins and their schemas. */
import { Hono } from 'hono'
import { readEntity } from '../config/entity-schemas.ts'
import { refuseMasks } from '../config/masked-secrets.ts'
import { configField, PLUGIN_NAMES } from '../config/plugins.ts'
import type { Store } from '../config/store.ts'
import { otherMethods } from './answers.ts'
import { readBody } from './request-body.ts'

export interface NodeFacts {
  readonly version: string
  /** The answer to `GET /status`. */
  status(): object
}

/** Routes that describe the gateway, its plugins and their schemas. */
export function informationRoutes(store: Store, { version, status }: NodeFacts): Hono {
  const app = new Hono({ strict: false })
  app.get('/', (c) =>
    c.json({
      tagline: 'Welcome to hono-kafka-consume',
      version,
      plugins: {
        available_on_server: Object.fromEntries(PLUGIN_NAMES.map((name) => [name, { version }])),
        enabled_in_cluster: [...new Set(store.list('plugins').map(({ name }) => name))],
      },
    }),
  )
  app.get('/status', (c) => c.json(status()))
  app.get('/plugins/enabled', (c) => c.json({ enabled_plugins: PLUGIN_NAMES }))
  app.post('/schemas/plugins/validate', async (c) => {
    refuseMasks('plugins', readEntity('plugins', await readBody(c, 'plugins')))
    return c.json({ message: 'schema validation successful' })
  })
  app.all('/schemas/plugins/validate', otherMethods(['POST']))
  app.get('/schemas/plugins/:name', (c) => {
    const name = c.req.param('name')
    const config = configField(name)
    if (config) return c.json({ fields: [{ config }] })
    return c.json({ message: `No plugin named '${name}'` }, 404)
  })
  for (const path of ['/', '/status', '/plugins/enabled']) app.all(path, otherMethods(['GET']))
  app.all('/schemas/plugins/:name', otherMethods(['GET']))
  return app
}
