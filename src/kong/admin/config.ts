/** `/config` of the Admin API: reads and replaces all entities as one declarative document. */
import { type Context, Hono } from 'hono'
import { doInTurns, type SlicedWork } from '../../core/sliced-work.ts'
import type { ShowEntity } from '../config/masked-secrets.ts'
import type { Store } from '../config/store.ts'
import type { KongSnapshot } from '../model/entities.ts'
import { KINDS } from '../model/integrity.ts'
import { declarativeAnswer, otherMethods, Refusal } from './answers.ts'
import { readDocument } from './request-body.ts'
import type { ChooseShow } from './shown-secrets.ts'

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
 * `/config`: all entities as one declarative document. An answer has `***` in place of each secret,
 * except for clients that see secrets. In a request, `***` keeps the secret of the entity with that id; without such an entity it is refused.
 */
export function configRoutes(store: Store, { load, dump }: Documents, show: ChooseShow): Hono {
  const app = new Hono({ strict: false })
  let reading = 0
  /** An answer with all entities, put together in turns. */
  const answer = (c: Context, status: 200 | 201, documentOf: (snapshot: KongSnapshot) => object) =>
    doInTurns(answerInTurns(store.snapshot(), show(c), status, documentOf))
  app.get('/', (c) => answer(c, 200, dump))
  app.post('/', async (c) => {
    if (reading >= MAX_READ) {
      c.header('Retry-After', '2')
      throw new Refusal(503, `Cannot read a configuration: ${MAX_READ} are being read already`)
    }
    reading++
    try {
      const { text, type } = await readDocument(c)
      await store.replaceAll(await load(text, type))
    } catch (error) {
      if (error instanceof Refusal) throw error
      return declarativeAnswer(error, c)
    } finally {
      reading--
    }
    return answer(c, 201, byId)
  })
  app.all('/', otherMethods(['GET', 'POST']))
  return app
}

function* answerInTurns(
  snapshot: KongSnapshot,
  show: ShowEntity,
  status: number,
  documentOf: (snapshot: KongSnapshot) => object,
): SlicedWork<Response> {
  const text = yield* jsonOf(documentOf(yield* shown(snapshot, show)))
  return new Response(text, { status, headers: { 'content-type': 'application/json' } })
}

/** A snapshot as a client may see it. */
function* shown(snapshot: KongSnapshot, show: ShowEntity): SlicedWork<KongSnapshot> {
  const kinds: Array<[string, unknown]> = []
  for (const kind of KINDS) {
    const entities: unknown[] = []
    for (const entity of snapshot[kind]) {
      entities.push(show(kind, entity))
      yield
    }
    kinds.push([kind, entities])
  }
  return Object.fromEntries(kinds) as KongSnapshot
}

/** The text of an object of collections, which `JSON.stringify` would make in one turn. */
function* jsonOf(document: object): SlicedWork<string> {
  const fields: string[] = []
  for (const [name, value] of Object.entries(document)) {
    if (typeof value !== 'object' || value === null) {
      fields.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`)
      continue
    }
    const isArray = Array.isArray(value)
    const parts: string[] = []
    for (const [key, inner] of Object.entries(value)) {
      parts.push(`${isArray ? '' : `${JSON.stringify(key)}:`}${JSON.stringify(inner)}`)
      yield
    }
    const list = parts.join(',')
    fields.push(`${JSON.stringify(name)}:${isArray ? `[${list}]` : `{${list}}`}`)
  }
  return `{${fields.join(',')}}`
}

/** Kong's answer to a document: the entities of each kind by id. */
function byId(snapshot: KongSnapshot): object {
  const kinds = KINDS.filter((kind) => snapshot[kind].length > 0).map((kind) => [
    kind,
    Object.fromEntries(snapshot[kind].map((entity) => [entity.id, entity])),
  ])
  return Object.fromEntries(kinds)
}
