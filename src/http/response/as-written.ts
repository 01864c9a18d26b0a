/** Tells this process from others, in tags that never come twice. */
const PROCESS = crypto.randomUUID().slice(0, 8)
let answers = 0

/**
 * Headers of a body that is to reach its client as it is written: a stream, an answer whose records
 * count as delivered when its client has them, or one that is too large to be held twice. Hono's
 * `etag` would read the body to its end before the first byte goes out, and its `compress` would
 * hold bytes back. Both leave an answer alone that has a tag of its own and must not be transformed.
 *
 * @param caching What else `Cache-Control` says.
 */
export function asWritten(caching: 'no-cache' | 'no-store') {
  return {
    'Cache-Control': `${caching}, no-transform`,
    // A tag that came twice would be answered 304 by `etag`, though each answer is another one.
    ETag: `W/"${PROCESS}-${answers++}"`,
  }
}
