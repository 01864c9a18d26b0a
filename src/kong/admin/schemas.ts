/** `/schemas` of the Admin API: describes the fields of entities and plugins, and checks entities. */
import { Hono } from 'hono'
import { refuseMasks } from '../config/masked-secrets.ts'
import { PLUGIN_NAMES } from '../config/plugins.ts'
import { readEntity } from '../config/read-entity.ts'
import type { EntityKind } from '../model/entities.ts'
import { KINDS } from '../model/integrity.ts'
import { otherMethods, Refusal } from './answers.ts'
import { entityFields, pluginFields } from './entity-fields.ts'
import { readBody } from './request-body.ts'

/** Kong's `/schemas/{entity}`, `/schemas/plugins/{name}` and `/schemas/{entity}/validate`. */
export function schemaRoutes(): Hono {
  const app = new Hono({ strict: false })
  app.post('/:kind/validate', async (c) => {
    const kind = kindOf(c.req.param('kind'))
    refuseMasks(kind, readEntity(kind, await readBody(c, kind)))
    return c.json({ message: 'schema validation successful' })
  })
  app.all('/:kind/validate', otherMethods(['POST']))
  app.get('/plugins/:name', (c) => {
    const name = c.req.param('name')
    if (!PLUGIN_NAMES.includes(name)) throw new Refusal(404, `No plugin named '${name}'`)
    return c.json({ fields: pluginFields(name) })
  })
  app.all('/plugins/:name', otherMethods(['GET']))
  app.get('/:kind', (c) => c.json({ fields: entityFields(kindOf(c.req.param('kind'))) }))
  app.all('/:kind', otherMethods(['GET']))
  return app
}

/** @throws Refusal 404 for a kind of entity that this gateway does not have. */
function kindOf(text: string): EntityKind {
  const kind = KINDS.find((each) => each === text)
  if (!kind) throw new Refusal(404, `No entity named '${text}'`)
  return kind
}
