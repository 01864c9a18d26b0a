/** The information routes of the Admin API: the node, its status and its plugins. */
import { Hono, type MiddlewareHandler } from 'hono'
import { configurationHash } from '../config/configuration-hash.ts'
import { PLUGIN_NAMES } from '../config/plugins.ts'
import type { Store } from '../config/store.ts'
import { WORKSPACE } from '../model/workspace.ts'
import { notFound, otherMethods } from './answers.ts'

/** The version of Kong whose configuration and Admin API this gateway has. decK reads it. */
const KONG_VERSION = '3.15.0.0'
const NAME = 'hono-kafka-consume'

export interface NodeFacts {
  /** The version of this gateway. */
  readonly version: string
  /** The answer to `GET /status`. */
  status(): object | Promise<object>
}

/** Adds the header `Server`, with Kong's version for clients that look for it. */
export function serverHeader(version: string): MiddlewareHandler {
  return async (c, next) => {
    await next()
    c.header('Server', `${NAME}/${version} (kong/${KONG_VERSION})`)
  }
}

/** Routes that describe the gateway and its plugins. */
export function informationRoutes(store: Store, { version, status }: NodeFacts): Hono {
  const app = new Hono({ strict: false })
  // Kong has the root as `/kong`, too, which clients ask for behind the name of a workspace.
  app.on('GET', ['/', '/kong'], (c) =>
    c.json({
      tagline: `Welcome to ${NAME}`,
      version: KONG_VERSION,
      gateway: { name: NAME, version },
      plugins: {
        available_on_server: Object.fromEntries(PLUGIN_NAMES.map((name) => [name, { version }])),
        enabled_in_cluster: [...new Set(store.list('plugins').map(({ name }) => name))],
      },
    }),
  )
  app.get('/status', async (c) => {
    const hash = await configurationHash(store.snapshot())
    return c.json({ ...(await status()), configuration_hash: hash })
  })
  app.get('/plugins/enabled', (c) => c.json({ enabled_plugins: PLUGIN_NAMES }))
  app.get('/workspaces', (c) => c.json({ data: [WORKSPACE], next: null }))
  app.get('/workspaces/:name', (c) => {
    const name = c.req.param('name')
    if (name !== WORKSPACE.name && name !== WORKSPACE.id) throw notFound()
    return c.json(WORKSPACE)
  })
  const paths = ['/', '/kong', '/status', '/plugins/enabled', '/workspaces', '/workspaces/:name']
  for (const path of paths) app.all(path, otherMethods(['GET']))
  return app
}
