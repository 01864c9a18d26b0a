/** `/config` of the Admin API: reads and replaces all entities as one declarative document. */
import { Hono } from 'hono'
import type { ShowEntity } from '../config/masked-secrets.ts'
import type { Store } from '../config/store.ts'
import type { EntityKind, EntityKinds, KongSnapshot } from '../model/entities.ts'
import { KINDS } from '../model/integrity.ts'
import { declarativeAnswer, otherMethods, Refusal } from './answers.ts'
import { readDocument } from './request-body.ts'

/**
 * The most documents that are read at a time, each by a thread. Overflow policy: a further one is
 * refused.
 */
const MAX_READ = 4

/** How declarative documents are read and written. */
export interface Documents {
  /** @throws SchemaViolation, or KafkaConsumeError INVALID_OPTIONS. */
  load(document: string, contentType: string): Promise<KongSnapshot>
  dump(snapshot: KongSnapshot): object
}

/**
 * `/config`: all entities as one declarative document. An answer has `***` in place of each secret. In
 * a request, `***` keeps the secret of the entity with that id; without such an entity it is refused.
 */
export function configRoutes(store: Store, { load, dump }: Documents, mask: ShowEntity): Hono {
  const app = new Hono({ strict: false })
  let reading = 0
  app.get('/', (c) => c.json(dump(shown(store.snapshot(), mask))))
  app.post('/', async (c) => {
    if (reading >= MAX_READ) {
      c.header('Retry-After', '2')
      throw new Refusal(503, `Cannot read a configuration: ${MAX_READ} are being read already`)
    }
    reading++
    try {
      const { text, type } = await readDocument(c)
      store.replaceAll(await load(text, type))
    } catch (error) {
      if (error instanceof Refusal) throw error
      return declarativeAnswer(error, c)
    } finally {
      reading--
    }
    return c.json(byId(shown(store.snapshot(), mask)), 201)
  })
  app.all('/', otherMethods(['GET', 'POST']))
  return app
}

function shown(snapshot: KongSnapshot, mask: ShowEntity): KongSnapshot {
  const kinds = KINDS.map((kind) => [
    kind,
    (snapshot[kind] as ReadonlyArray<EntityKinds[EntityKind]>).map((entity) => mask(kind, entity)),
  ])
  return Object.fromEntries(kinds) as KongSnapshot
}

/** Kong's answer to a document: the entities of each kind by id. */
function byId(snapshot: KongSnapshot): object {
  const kinds = KINDS.filter((kind) => snapshot[kind].length > 0).map((kind) => [
    kind,
    Object.fromEntries(snapshot[kind].map((entity) => [entity.id, entity])),
  ])
  return Object.fromEntries(kinds)
}
