// @ts-check
/** Which records the view shows: its parameters in the address, and the requests that they mean. */

/** @typedef {import('./sources.js').Source} Source */
/** @typedef {'text' | 'key' | 'header' | 'cel'} Find How a search compares. */
/**
 * @typedef {{
 *   route: string | undefined,
 *   topic: string | undefined,
 *   partition: number | undefined,
 *   start: string,
 *   cursor: string | undefined,
 *   end: string | undefined,
 *   find: Find,
 *   text: string,
 *   record: string | undefined,
 * }} Query `start` is `live`, `newest`, `earliest`, a duration back from now such as `-1h`, a time of
 *   ISO 8601, or `offset:42`. `cursor` and `end` are the position of a further page: the records after
 *   the one, or before the other. `record` is the opened record, as `topic:partition:offset`.
 */

/** Records of a page. */
export const PAGE_SIZE = 100

/** @type {readonly Find[]} */
const FINDS = ['text', 'key', 'header', 'cel']

/**
 * @param {URLSearchParams} parameters
 * @returns {Query}
 */
export function queryOf(parameters) {
  const text = (/** @type {string} */ name) => parameters.get(name) || undefined
  const partition = text('partition')
  return {
    route: text('route'),
    topic: text('topic'),
    partition: partition && /^\d{1,9}$/.test(partition) ? Number(partition) : undefined,
    start: text('start') ?? 'live',
    cursor: text('cursor'),
    end: text('end'),
    find: FINDS.find((find) => find === text('find')) ?? 'text',
    text: text('search') ?? '',
    record: text('record'),
  }
}

/**
 * The parameters of a query. Defaults are left out.
 * @param {Query} query
 */
export function parametersOf({ start, find, text, ...others }) {
  const all = {
    ...others,
    start: start === 'live' ? undefined : start,
    find: text === '' || find === 'text' ? undefined : find,
    search: text,
  }
  const found = new URLSearchParams()
  for (const name of [
    'route',
    'topic',
    'partition',
    'start',
    'cursor',
    'end',
    'find',
    'search',
    'record',
  ]) {
    const value = all[/** @type {keyof typeof all} */ (name)]
    if (value !== undefined && value !== '') found.set(name, String(value))
  }
  return found
}

/** Whether two queries show the same records, whichever of them is opened. @param {Query} a @param {Query} b */
export function isSameList(a, b) {
  const name = (/** @type {Query} */ query) => String(parametersOf({ ...query, record: undefined }))
  return name(a) === name(b)
}

/** Whether the newest record is the first in the list. @param {Query} query */
export function isNewestFirst({ start }) {
  return start === 'live' || start === 'newest'
}

/**
 * The parameters by which requests select records, whatever their position.
 * @param {Query} query
 * @returns {Array<[string, string]>}
 */
export function selectionOf({ topic, partition, find, text }) {
  /** @type {Array<[string, string]>} */
  const found = []
  if (topic !== undefined) found.push(['topic', topic])
  if (partition !== undefined) found.push(['partition', String(partition)])
  if (text === '') return found
  if (find === 'key') found.push(['key', text])
  else found.push(['filter', find === 'cel' ? text : expressionOf(find, text)])
  return found
}

/**
 * A search as an expression of CEL.
 * @param {'text' | 'header'} find
 * @param {string} text
 */
function expressionOf(find, text) {
  if (find === 'header') return headerExpression(text)
  const quoted = celText(text.toLowerCase())
  return [
    `text(key).lowerAscii().contains(${quoted})`,
    `text(value).lowerAscii().contains(${quoted})`,
    `headers.exists(h, text(headers[h]).lowerAscii().contains(${quoted}))`,
  ].join(' || ')
}

/**
 * A header by its name, or by its name and value as in `name=value`.
 * @param {string} text
 */
function headerExpression(text) {
  const [, name = text, value] = /^([^=:]+)[=:]\s*(.*)$/.exec(text) ?? []
  const quoted = celText(name.trim())
  if (value === undefined) return `${quoted} in headers`
  // A name that occurs several times has a list of values.
  const wanted = celText(value)
  return `headers[${quoted}] == ${wanted} || ${wanted} in headers[${quoted}]`
}

/** A text as a literal of CEL. @param {string} text */
function celText(text) {
  const escapes = /** @type {Record<string, string>} */ ({ '\n': '\\n', '\r': '\\r', '\t': '\\t' })
  return `"${text.replaceAll(/["\\\n\r\t]/g, (found) => escapes[found] ?? `\\${found}`)}"`
}

/**
 * The position at which a list begins.
 * @param {Query} query
 * @param {Iterable<{ topic: string, partition: number, start: number, end: number }>} ranges Of the selected partitions.
 * @returns {Array<[string, string]>}
 */
export function positionOf({ start, cursor, end }, ranges) {
  if (cursor !== undefined) return [['cursor', cursor]]
  if (end !== undefined)
    return [
      ['start', `-${PAGE_SIZE}`],
      ['end', end],
    ]
  if (start === 'newest' || start === 'live') return [['start', `-${PAGE_SIZE}`]]
  const offset = /^offset:(\d{1,15})$/.exec(start)?.[1]
  if (offset === undefined) return [['start', start]]
  return [['cursor', cursorAt(ranges, Number(offset))]]
}

/**
 * The cursor of an offset in each of some partitions, or of the nearest offset that they have. The known
 * end of a single partition does not matter: it may have grown.
 * @param {Iterable<{ topic: string, partition: number, start: number, end: number }>} ranges
 * @param {number} offset
 */
function cursorAt(ranges, offset) {
  /** @type {Map<string, string[]>} */
  const topics = new Map()
  const all = [...ranges]
  for (const { topic, partition, start, end } of all) {
    const entries = topics.get(topic) ?? []
    topics.set(topic, entries)
    const upper = all.length === 1 ? Infinity : end
    entries.push(`${partition}=${Math.min(upper, Math.max(start, offset))}`)
  }
  return [...topics].map(([topic, entries]) => `${topic}:${entries.join()}`).join(';')
}

/**
 * The place of a record, as the parameter `record` names it.
 * @param {{ topic: string, partition: number, offset: number, isFormatted?: boolean }} record
 */
export function placeOf({ topic, partition, offset, isFormatted }) {
  if (isFormatted) return `formatted:${offset}`
  return `${topic}:${partition}:${offset}`
}

/**
 * The request for one record by its place.
 * @param {string} place
 * @returns {Array<[string, string]> | undefined}
 */
export function requestOfRecord(place) {
  const [, topic, partition, offset] = /^([\w.-]{1,249}):(\d{1,9}):(\d{1,15})$/.exec(place) ?? []
  if (topic === undefined || partition === undefined || offset === undefined) return undefined
  return [
    ['topic', topic],
    ['partition', partition],
    ['cursor', `${topic}:${partition}=${offset}`],
    ['end', 'latest'],
    ['max_records', '1'],
  ]
}
