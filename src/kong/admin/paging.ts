/** Pages of a collection of the Admin API, with Kong's parameters `size`, `offset` and `tags`. */
import type { Entity } from '../model/entities.ts'

const DEFAULT_SIZE = 100
const MAX_SIZE = 1_000

/** Kong's error for an invalid query of a page. */
export interface PagingError {
  readonly message: string
  readonly name: 'invalid size' | 'invalid offset' | 'invalid options'
  readonly code: 7 | 9 | 11
}

export interface Page<E> {
  readonly data: readonly E[]
  /** The offset at which the next page begins. */
  readonly offset?: string
  /** The next page's path; null after the last. */
  readonly next: string | null
}

/**
 * A page of entities in the order of their ids, so that an offset stays valid while entities are added
 * and removed.
 *
 * @param path The path of the collection.
 */
export function page<E extends Entity>(
  entities: readonly E[],
  query: URLSearchParams,
  path: string,
): Page<E> | PagingError {
  const size = readSize(query.get('size'))
  if (size === undefined) {
    const message = `size must be an integer between 1 and ${MAX_SIZE}`
    return { message, name: 'invalid size', code: 9 }
  }
  const after = readOffset(query.get('offset'))
  if (after === undefined) {
    const message = `'${query.get('offset')}' is not a valid offset: bad base64 encoding`
    return { message, name: 'invalid offset', code: 7 }
  }
  const has = tagFilter(query.get('tags'))
  if (!has) {
    const message = "invalid option (tags: must be a list of tags, separated by either ',' or '/')"
    return { message, name: 'invalid options', code: 11 }
  }
  const rest = entities
    .filter(({ id, tags }) => id > after && has(tags ?? []))
    .sort((one, other) => (one.id < other.id ? -1 : 1))
  const data = rest.slice(0, size)
  const last = data.at(-1)
  if (!last || rest.length === data.length) return { data, next: null }
  const offset = btoa(last.id)
  const following = new URLSearchParams({ offset })
  for (const name of ['size', 'tags']) {
    const value = query.get(name)
    if (value !== null) following.set(name, value)
  }
  return { data, offset, next: `${path}?${following}` }
}

function readSize(text: string | null): number | undefined {
  if (text === null) return DEFAULT_SIZE
  const size = /^\d{1,9}$/.test(text) ? Number(text) : 0
  return size >= 1 && size <= MAX_SIZE ? size : undefined
}

function readOffset(text: string | null): string | undefined {
  if (text === null) return ''
  try {
    return atob(text)
  } catch {
    return undefined
  }
}

/** A filter by tags: `a,b` requires both, `a/b` one of them. */
function tagFilter(text: string | null): ((tags: readonly string[]) => boolean) | undefined {
  if (text === null) return () => true
  const isAny = text.includes('/')
  const wanted = text.split(isAny ? '/' : ',')
  if (wanted.some((tag) => tag === '' || tag.includes(','))) return undefined
  return (tags) =>
    isAny ? wanted.some((tag) => tags.includes(tag)) : wanted.every((tag) => tags.includes(tag))
}
