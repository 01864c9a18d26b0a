/** `/config` of the Admin API: reads and replaces all entities as one declarative document. */
import { Hono } from 'hono'
import { maskEntity } from '../config/masked-secrets.ts'
import type { Store } from '../config/store.ts'
import type { EntityKind, EntityKinds, KongSnapshot } from '../model/entities.ts'
import { KINDS } from '../model/integrity.ts'
import { declarativeAnswer, otherMethods, Refusal } from './answers.ts'
import { readDocument } from './request-body.ts'

/** Documents that are read at a time, each by a thread. One more is refused. */
const MAX_READ = 4

/** How declarative documents are read and written. */
export interface Documents {
  /** @throws SchemaViolation, or KafkaConsumeError INVALID_OPTIONS. */
  load(document: string, contentType: string): Promise<KongSnapshot>
  dump(snapshot: KongSnapshot): object
}

/**
 * `/config`: all that is held, as one declarative document. Secrets don't leave, in a document
 * either: `***` stands for them, which is taken for the secret where that is held under the same
 * id, and refused by name where it is not.
 */
export function configRoutes(store: Store, { load, dump }: Documents): Hono {
  const app = new Hono({ strict: false })
  let reading = 0
  app.get('/', (c) => c.json(dump(masked(store.snapshot()))))
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
    return c.json(byId(masked(store.snapshot())), 201)
  })
  app.all('/', otherMethods(['GET', 'POST']))
  return app
}

function masked(snapshot: KongSnapshot): KongSnapshot {
  const kinds = KINDS.map((kind) => [
    kind,
    (snapshot[kind] as ReadonlyArray<EntityKinds[EntityKind]>).map((entity) =>
      maskEntity(kind, entity),
    ),
  ])
  return Object.fromEntries(kinds) as KongSnapshot
}

/** Kong's answer to a document: each kind that there is, by id. */
function byId(snapshot: KongSnapshot): object {
  const kinds = KINDS.filter((kind) => snapshot[kind].length > 0).map((kind) => [
    kind,
    Object.fromEntries(snapshot[kind].map((entity) => [entity.id, entity])),
  ])
  return Object.fromEntries(kinds)
}
