/**
 * Collections of Kong's Admin API whose entities this gateway does not have. Their lists are empty,
 * because decK reads all of them before it compares a file with the gateway.
 */
import { Hono } from 'hono'
import { notFound, Refusal } from './answers.ts'

const COLLECTIONS = [
  ...['upstreams', 'ca_certificates', 'vaults', 'keys', 'key-sets', 'partials', 'filter-chains'],
  ...['consumer_groups', 'acls', 'hmac-auths', 'oauth2', 'mtls-auths', 'licenses'],
  ...['cloned-plugins', 'custom-plugins', 'degraphql_routes', 'rbac/roles'],
]

/** Kong's `/upstreams`, `/vaults` and so on: always empty. */
export function unservedRoutes(): Hono {
  const app = new Hono({ strict: false })
  for (const name of COLLECTIONS) {
    app.get(`/${name}`, (c) => c.json({ data: [], next: null }))
    app.on(['GET', 'DELETE'], `/${name}/:key`, () => {
      throw notFound()
    })
    app.on(['POST', 'PUT', 'PATCH'], [`/${name}`, `/${name}/:key`], () => {
      throw new Refusal(400, `Cannot create an entity of /${name}: this gateway does not have them`)
    })
  }
  return app
}
