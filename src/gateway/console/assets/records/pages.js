// @ts-check
/** Reads records a page at a time, forwards or backwards, also where a search needs many requests for one page. */
import { withCredentials } from '../credentials.js'
import { PAGE_SIZE } from './query.js'
import { formattedIn, recordsIn } from './record.js'

/** @typedef {import('./record.js').KafkaRecord} KafkaRecord */
/** @typedef {import('./sources.js').Source} Source */
/** @typedef {Array<[string, string]>} Parameters */
/** @typedef {{ topic: string, partition: number, from: number, to: number, reason: string }} Gap */
/**
 * @typedef {{
 *   records: readonly KafkaRecord[],
 *   gaps: readonly Gap[],
 *   begin: string | undefined,
 *   cursor: string,
 *   older: boolean,
 *   newer: boolean,
 * }} Page Records in the order of their time or offsets. `begin` and `cursor` are the positions before
 *   and after them; `older` and `newer` say whether there may be records beyond.
 */

/** The most requests of one search; each examines records for a second or two. */
const MAX_REQUESTS = 60

/** The state of a list whose route requires credentials. */
export const NOT_LOGGED_IN = 'not logged in'

/** An answer that is not a page. */
export class RefusedError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0 without an answer.
   */
  constructor(message, status) {
    super(message)
    this.status = status
  }

  /** The state of a list that this error ends. */
  get state() {
    if (this.isPassing) return 'waiting …'
    return this.status === 401 ? NOT_LOGGED_IN : 'refused'
  }

  /** Whether another attempt may succeed. */
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

/**
 * Reads pages until one page is full or nothing is left, and reports each part as it comes.
 *
 * @param {Source} source
 * @param {Parameters} selection
 * @param {Parameters} position
 * @param {boolean} isMerged Whether the records of several partitions are wanted in the order of time.
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Page>} The page as far as it is known.
 * @throws RefusedError
 */
export async function* readPages(source, selection, position, isMerged, signal) {
  const goesBack = isBackwards(position)
  const isFiltered = selection.some(([name]) => name === 'key' || name === 'filter')
  /** @type {Parameters} */
  const order = isMerged && !goesBack ? [['order', 'time']] : []
  /** @type {Parameters} Without an end a read would wait for records to come. */
  const end = goesBack ? [] : [['end', 'latest'], ...order]
  /** @type {Page | undefined} */
  let whole
  for (let requests = 1; ; requests++) {
    const missing = PAGE_SIZE - (whole?.records.length ?? 0)
    const url = pageUrl(source, selection, nextPosition(), missing)
    const part = await readPage(source, url, missing, signal)
    whole = whole ? joined(whole, part) : part
    yield whole
    const goesOn = goesBack ? part.older : part.newer
    const isFull = whole.records.length >= PAGE_SIZE
    if (!isFiltered || isFull || !goesOn || requests >= MAX_REQUESTS) return
  }

  /** @returns {Parameters} */
  function nextPosition() {
    if (!whole) return [...position, ...end]
    if (goesBack)
      return [
        ['start', `-${PAGE_SIZE}`],
        ['end', whole.begin ?? ''],
      ]
    return [['cursor', whole.cursor], ...end]
  }

  /** @param {Page} before @param {Page} part @returns {Page} */
  function joined(before, part) {
    const gaps = [...before.gaps, ...part.gaps]
    const [first, second] = goesBack ? [part, before] : [before, part]
    const records = numbered([...first.records, ...second.records])
    const { begin, older } = first
    const { cursor, newer } = second
    return { records: isMerged ? byTime(records) : records, gaps, begin, older, cursor, newer }
  }
}

/** Whether pages of a position lead to older records. @param {ReadonlyArray<[string, string]>} position */
export function isBackwards(position) {
  return position.some(([name, value]) => name === 'start' && /^-\d+$/.test(value))
}

/** Numbers the records that do not say where they are. @param {KafkaRecord[]} records */
function numbered(records) {
  return records.map((record, offset) => (record.isFormatted ? { ...record, offset } : record))
}

/**
 * Records in the order of time: each part of a search is in this order. Records of one partition stay
 * in the order of their offsets.
 * @param {readonly KafkaRecord[]} records
 */
function byTime(records) {
  /** @type {Map<string, number>} */
  const times = new Map()
  return records
    .map((record) => {
      const place = `${record.topic}:${record.partition}`
      const time = Math.max(record.timestamp, times.get(place) ?? record.timestamp)
      times.set(place, time)
      return { record, time }
    })
    .sort((a, b) => a.time - b.time)
    .map(({ record }) => record)
}

/**
 * The address of one request for a page.
 * @param {Source} source
 * @param {Parameters} selection
 * @param {Parameters} position
 * @param {number} limit Records at most.
 */
export function pageUrl(source, selection, position, limit) {
  const url = new URL(source.page ?? source.stream ?? '/', location.origin)
  for (const [name, value] of [...position, ...selection]) url.searchParams.append(name, value)
  if (source.page !== undefined) {
    if (!url.searchParams.has('max_records')) url.searchParams.set('max_records', String(limit))
    if (!source.hasOwnFormat) url.searchParams.set('format', 'records')
  } else {
    url.searchParams.delete('max_records')
    url.searchParams.delete('order')
    // A stream without an end would wait for records to come.
    if (!url.searchParams.has('end')) url.searchParams.set('end', 'latest')
  }
  return readable(url)
}

/**
 * An address whose query has the characters of cursors as they are, which a query may have.
 * @param {URL} url
 */
export function readable(url) {
  url.search = url.search.replaceAll(/%3A|%2C|%3B|%3D|%2F/g, decodeURIComponent)
  return url
}

/**
 * @param {Source} source
 * @param {URL} url
 * @param {number} limit Records at most, where the route streams.
 * @param {AbortSignal} signal
 * @returns {Promise<Page>}
 */
export async function readPage(source, url, limit, signal) {
  if (source.page === undefined) return readLines(url, limit, signal)
  const response = await answerOf(url, 'application/json', signal)
  const { records, gaps, cursor } = contentOf(source, response, await response.text())
  const links = response.headers.get('Link') ?? ''
  const begin = endOfPrevious(links)
  return {
    records,
    gaps,
    begin,
    cursor,
    older: begin !== undefined && begin !== url.searchParams.get('end'),
    newer: links.includes('rel="next"') && (records.length > 0 || !isAtEnd(url, cursor)),
  }
}

/**
 * The records of an answer. In a format of the app, its headers have the rest.
 * @param {Source} source
 * @param {Response} response
 * @param {string} text
 */
function contentOf({ hasOwnFormat }, { headers }, text) {
  if (!hasOwnFormat) return recordsIn(text)
  return {
    records: formattedIn(text),
    gaps: /** @type {Gap[]} */ (JSON.parse(headers.get('Kafka-Gaps') ?? '[]')),
    cursor: headers.get('Kafka-Cursor') ?? '',
  }
}

/** Whether a read has not moved from its position. @param {URL} url @param {string} cursor */
function isAtEnd(url, cursor) {
  return url.searchParams.get('cursor') === cursor
}

/** The position before a page, by the link to the page before it. @param {string} links */
function endOfPrevious(links) {
  const target = /<([^>]*)>; rel="prev"/.exec(links)?.[1]
  if (target === undefined) return undefined
  return new URL(target, location.origin).searchParams.get('end') ?? undefined
}

/**
 * @param {URL} url
 * @param {string} accept
 * @param {AbortSignal} signal
 */
async function answerOf(url, accept, signal) {
  let response
  try {
    response = await fetch(withCredentials(url), { headers: { accept }, signal })
  } catch (error) {
    if (signal.aborted) throw error
    throw new RefusedError('The gateway cannot be reached', 0)
  }
  if (response.ok) return response
  const body = await response.json().catch(() => ({}))
  throw new RefusedError(body.message ?? `status ${response.status}`, response.status)
}

/**
 * Reads a page from a route that only streams: its lines, up to the end of the address.
 * @param {URL} url
 * @param {number} limit
 * @param {AbortSignal} signal
 * @returns {Promise<Page>}
 */
async function readLines(url, limit, signal) {
  const enough = new AbortController()
  const both = AbortSignal.any([signal, enough.signal])
  const response = await answerOf(url, 'application/x-ndjson', both)
  const begin = response.headers.get('Kafka-Cursor') ?? ''
  const content = new PageContent(begin)
  for await (const line of linesOf(response)) {
    content.add(line)
    if (content.records.length >= limit) break
  }
  enough.abort()
  const isOldest = url.searchParams.get('start') === 'earliest'
  return {
    records: content.records,
    gaps: content.gaps,
    begin: isOldest ? undefined : begin,
    cursor: content.cursor,
    older: !isOldest,
    newer: content.records.length >= limit,
  }
}

/**
 * The lines of an answer that are not empty.
 * @param {Response} response
 */
async function* linesOf({ body }) {
  if (!body) return
  let rest = ''
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const lines = (rest + value).split('\n')
      rest = lines.pop() ?? ''
      yield* lines.filter((line) => line !== '')
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** The records of the lines of a stream, and the position that it has reached, which lines do not say. */
class PageContent {
  /** @type {KafkaRecord[]} */
  records = []
  /** @type {Gap[]} */
  gaps = []
  /** @type {Map<string, Map<number, number>>} */
  #topics = new Map()
  /** The position at which the range has ended. @type {string | undefined} */
  #end

  /** @param {string} cursor Where the stream began. */
  constructor(cursor) {
    for (const part of cursor.split(';')) {
      const [topic = '', entries = ''] = part.split(':')
      const offsets = entries.split(',').map((entry) => entry.split('=').map(Number))
      this.#topics.set(topic, new Map(/** @type {Array<[number, number]>} */ (offsets)))
    }
  }

  get cursor() {
    if (this.#end !== undefined) return this.#end
    return [...this.#topics]
      .map(([topic, offsets]) => `${topic}:${[...offsets].map((entry) => entry.join('=')).join()}`)
      .join(';')
  }

  /**
   * @param {string} line
   * @throws RefusedError when Kafka cannot be read any more.
   */
  add(line) {
    const [record] = recordsIn(`{"records":[${line}]}`).records
    const { gap, failure, ended, cursor } = /** @type {any} */ (record)
    if (failure) throw new RefusedError(failure.message, 503)
    if (ended) this.#end = cursor
    else if (gap) {
      this.gaps.push(gap)
      this.#topics.get(gap.topic)?.set(gap.partition, gap.to)
    } else if (record) {
      this.records.push(record)
      this.#topics.get(record.topic)?.set(record.partition, record.offset + 1)
    }
  }
}
