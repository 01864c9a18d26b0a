// @ts-check
/**
 * Commands that show again what the page shows. They read from a position, so that they never take
 * records out of a consumer group.
 */
import { shellWord } from '../format.js'
import { pageUrl, readable } from './pages.js'
import { PAGE_SIZE, requestOfRecord } from './query.js'

/** @typedef {import('./sources.js').Source} Source */
/** @typedef {import('./pages.js').Parameters} Parameters */

/**
 * A command that reads the records of a page.
 *
 * @param {Source} source
 * @param {Parameters} selection
 * @param {import('./pages.js').Page} page
 * @param {boolean} isMerged Whether the page is in the order of time.
 */
export function curlOfPage(source, selection, { begin, cursor, records }, isMerged) {
  const isFiltered = selection.some(([name]) => name === 'filter' || name === 'key')
  /** @type {Parameters} */
  const range = [begin === undefined ? ['start', 'earliest'] : ['cursor', begin], ['end', cursor]]
  // A search may take longer than the time for which one read filters: a stream goes on to its end.
  if (isFiltered && source.stream !== undefined) {
    const url = new URL(source.stream, location.origin)
    for (const [name, value] of [...range, ...selection]) url.searchParams.append(name, value)
    return `curl -N -H 'Accept: application/x-ndjson' ${shellWord(readable(url).href)}`
  }
  if (isMerged) range.push(['order', 'time'])
  return commandOf(source, pageUrl(source, selection, range, Math.max(PAGE_SIZE, records.length)))
}

/**
 * A command that follows records from a position on.
 *
 * @param {Source} source
 * @param {Parameters} selection
 * @param {string} cursor
 */
export function curlOfLive(source, selection, cursor) {
  /** @type {Parameters} */
  const position = cursor === '' ? [['start', 'latest']] : [['cursor', cursor]]
  if (source.stream === undefined) {
    return commandOf(source, pageUrl(source, selection, position, PAGE_SIZE))
  }
  const url = new URL(source.stream, location.origin)
  for (const [name, value] of [...position, ...selection]) url.searchParams.append(name, value)
  return `curl -N ${shellWord(readable(url).href)}`
}

/**
 * A command that reads one record.
 *
 * @param {Source} source
 * @param {{ topic: string, partition: number, offset: number }} record
 */
export function curlOfRecord(source, { topic, partition, offset }) {
  const request = requestOfRecord(`${topic}:${partition}:${offset}`) ?? []
  return commandOf(source, pageUrl(source, [], request, 1))
}

/** @param {Source} source @param {URL} url */
function commandOf(source, url) {
  const accept = source.page === undefined ? "-N -H 'Accept: application/x-ndjson' " : ''
  return `curl ${accept}${shellWord(url.href)}`
}
