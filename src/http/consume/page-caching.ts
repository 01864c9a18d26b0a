/**
 * How caches may keep pages. A full page from a cursor does not change: Kafka only appends, and a page
 * that was right once leads on to all records after it. Retention and compaction may delete its records,
 * hence `pageMaxAge`. A topic that is re-created, or a route whose options change, gives other pages to
 * the same cursors, hence the version in their addresses.
 */
import type { Context } from 'hono'
import { shortHash } from '../../core/hash.ts'
import type { FixedPosition } from '../../feed/position.ts'
import { clientOf, isAnonymous, urlOf } from '../request/client.ts'
import type { ReadPlan } from '../request/parameters.ts'
import type { AnswerForm } from '../response/body.ts'
import type { PageIdentity } from '../response/page-identity.ts'
import type { Route } from '../route/route.ts'

/** The version of each route, by the topic ids that it was made of. */
const versions = new WeakMap<
  Route,
  { readonly ids: ReadonlyMap<string, string>; readonly version: string }
>()

/**
 * Equal on all nodes whose routes give equal pages. Functions are compared by their text.
 *
 * @param ids Topic ids by name.
 * @returns undefined where a topic has no id: nobody could tell that it was re-created.
 */
export function versionOf(route: Route, ids: ReadonlyMap<string, string>): string | undefined {
  const { topics, pageCaching } = route.options
  if (pageCaching === 'off' || !topics.every((topic) => ids.has(topic))) return undefined
  const known = versions.get(route)
  if (known?.ids === ids) return known.version
  const version = shortHash(JSON.stringify([topics.map((topic) => ids.get(topic)), partsOf(route)]))
  versions.set(route, { ids, version })
  return version
}

/** The options of a route on which its pages depend. */
function partsOf({ options }: Route): readonly unknown[] {
  const { messageDeserializer, responseFormat, format, transform, messageByLuaFunctions } = options
  const { registries, schemas, enableDlq, filters } = options
  const urls = [...registries].map(([topic, registry]) => [topic, registry.url])
  return [
    ...[messageDeserializer, responseFormat, String(format), String(transform)],
    ...[messageByLuaFunctions, urls, [...schemas.keys()], enableDlq, filters],
  ]
}

/**
 * The identity of the page that a request asks for; undefined where caches may not keep it. Kong's form
 * has high watermarks, which change.
 */
export function identityOf(
  c: Context,
  { plan, form }: { readonly plan: ReadPlan; readonly form: AnswerForm },
  version: string | undefined,
  partitions: number,
): PageIdentity | undefined {
  if (version === undefined || form.list === 'kong' || !isFixed(plan, partitions)) return undefined
  const { pathname, search } = urlOf(c)
  const scope = JSON.stringify(clientOf(c).only ?? null)
  const etag = `W/"${shortHash([version, pathname, search, form.list, scope].join('\n'))}"`
  return { version, etag, isVersioned: plan.version === version }
}

/**
 * Whether the positions of a read have an offset for each partition, so that their meaning does not
 * change with time.
 */
export function isFixed({ position, end }: ReadPlan, partitions: number): boolean {
  if (!position) return false
  const hasFixedEnd = end !== undefined && isComplete(end, partitions)
  if ('newest' in position) return hasFixedEnd
  return isComplete(position, partitions) && (end === undefined || hasFixedEnd)
}

function isComplete(position: FixedPosition, partitions: number): boolean {
  if (!('cursor' in position) || position.cursor.length < partitions) return false
  return position.cursor.every((entry) => 'offset' in entry)
}

/**
 * Whether the client has this page already. Only full pages are sent with their validator, and a full
 * page does not change: nothing need be read.
 *
 * https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
 */
export function isNotModified(c: Context, { etag }: PageIdentity): boolean {
  const asked = c.req.header('If-None-Match')
  if (asked === undefined) return false
  const opaque = etag.replace('W/', '')
  return asked.split(',').some((tag) => tag.trim().replace('W/', '') === opaque)
}

/** The headers by which caches keep a page, and by which they find it again. */
export function cachingHeaders(
  c: Context,
  { options }: Route,
  identity: PageIdentity,
): Record<string, string> {
  const client = clientOf(c)
  const isPublic =
    options.pageCaching === 'public' && isAnonymous(client) && !c.req.header('Authorization')
  const scope = isPublic ? 'public' : 'private'
  // A page whose address names no version is asked for again, at the cost of a 304.
  const lifetime = identity.isVersioned
    ? `max-age=${Math.floor(options.pageMaxAge / 1_000)}, immutable`
    : 'no-cache'
  c.header('Vary', 'Accept', { append: true })
  for (const name of isPublic ? [] : (client.credentialHeaders ?? ['Authorization', 'Cookie'])) {
    c.header('Vary', name, { append: true })
  }
  return {
    // Middlewares such as Hono's `compress` and `etag` would hold the page a second time.
    'Cache-Control': `${scope}, ${lifetime}, no-transform`,
    ETag: identity.etag,
  }
}
