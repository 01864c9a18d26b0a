// @ts-check
/** How far a search has come. */
import { isBackwards } from './pages.js'

/** @typedef {import('./pages.js').Page} Page */
/** @typedef {Map<string, { start: number, end: number }>} Ranges The offsets that partitions have, by `topic:partition`. */

/**
 * The examined offsets of a search, and all that it may examine.
 *
 * @param {Page} page What was read so far.
 * @param {ReadonlyArray<[string, string]>} position Where it began.
 * @param {Ranges} ranges Those of the partitions that are searched.
 */
export function searchProgress({ begin, cursor }, position, ranges) {
  const upper = offsetsOf(cursor)
  const lower = begin === undefined ? new Map() : offsetsOf(begin)
  let examined = 0
  let total = 0
  for (const [place, { start, end }] of ranges) {
    const from = Math.max(start, lower.get(place) ?? start)
    const to = Math.max(from, upper.get(place) ?? end)
    examined += to - from
    total += isBackwards(position) ? to - start : Math.max(end, to) - from
  }
  return { examined, total }
}

/**
 * Whether nothing lies before a position.
 * @param {string} begin
 * @param {Ranges} ranges
 */
export function reachesBegin(begin, ranges) {
  const offsets = offsetsOf(begin)
  if (ranges.size === 0) return false
  return [...ranges].every(([place, { start }]) => (offsets.get(place) ?? 0) <= start)
}

/** The offsets of a cursor, by `topic:partition`. @param {string} cursor */
function offsetsOf(cursor) {
  /** @type {Map<string, number>} */
  const found = new Map()
  for (const part of cursor.split(';')) {
    const [topic, entries = ''] = part.split(':')
    for (const entry of entries.split(',')) {
      const [partition, offset] = entry.split('=')
      found.set(`${topic}:${partition}`, Number(offset))
    }
  }
  return found
}
