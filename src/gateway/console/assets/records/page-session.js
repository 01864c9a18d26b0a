// @ts-check
/** A list of records from a position, or of those that a search finds from there on. */
import { localTime } from '../format.js'
import { refreshStatus } from '../gateway-status.js'
import { curlOfPage } from './curl.js'
import { SEARCHING } from './layout.js'
import { noteOf } from './list.js'
import { isBackwards, RefusedError, readPages } from './pages.js'
import { reachesBegin, searchProgress } from './progress.js'
import { isNewestFirst, PAGE_SIZE, positionOf, selectionOf } from './query.js'

/** @typedef {import('./query.js').Query} Query */
/** @typedef {import('./sources.js').Source} Source */
/** @typedef {import('./list.js').RecordList} RecordList */
/** @typedef {ReturnType<typeof import('./sources.js').rangesOf>} Ranges */

/** Milliseconds until a page that Kafka's outage prevents is tried again. */
const RETRY = 3_000

export class PageSession {
  #source
  #query
  #list
  #ranges
  #listener
  #reading = new AbortController()
  /** The page as far as it is read. @type {import('./pages.js').Page | undefined} */
  page
  /** How far a search is. @type {{ examined: number, total: number } | undefined} */
  progress

  /**
   * @param {Source} source
   * @param {Query} query
   * @param {RecordList} list
   * @param {() => Ranges} ranges The present offsets of the partitions that are read.
   * @param {import('./live-session.js').SessionListener} listener
   */
  constructor(source, query, list, ranges, listener) {
    this.#source = source
    this.#query = query
    this.#list = list
    this.#ranges = ranges
    this.#listener = listener
    void this.#read()
  }

  /** Ends a search. */
  stop() {
    this.close()
    this.#listener.onState({ kind: 'off', text: 'stopped' })
  }

  close() {
    this.#reading.abort()
  }

  curl() {
    if (!this.page) return undefined
    return curlOfPage(this.#source, selectionOf(this.#query), this.page, this.isMerged)
  }

  /** Whether records of several partitions are in the order of time, for which a route must answer single reads. */
  get isMerged() {
    // The partitions are not known before the first request to a route.
    return this.#source.page !== undefined && this.#ranges().size !== 1
  }

  /** Whether the list has the records of one partition after those of another. */
  get isByPartition() {
    return this.#source.page === undefined && this.#ranges().size > 1
  }

  async #read() {
    const { signal } = this.#reading
    const query = this.#query
    const isSearch = query.text !== ''
    const reading = {
      kind: /** @type {const} */ ('wait'),
      text: isSearch ? SEARCHING : 'reading …',
    }
    this.#listener.onState(reading)
    // Offsets that partitions do not have yet would make a gap.
    if (query.start.startsWith('offset:')) await refreshStatus()
    if (signal.aborted) return
    const ranges = this.#ranges()
    // Lines in such a format do not have positions, from which further pages would begin.
    if (this.#source.page === undefined && this.#source.hasOwnFormat) {
      return this.#listener.onState({
        kind: 'off',
        text: 'live only',
        why: 'This route only streams, in a format of its own: its records can be followed live.',
      })
    }
    try {
      const position = positionOf(query, ranges.values())
      const selection = selectionOf(query)
      const pages = readPages(this.#source, selection, position, this.isMerged, signal)
      for await (const page of pages) {
        if (signal.aborted) return
        this.#show(page, ranges)
        if (isSearch) this.progress = searchProgress(page, position, this.#ranges())
        this.#listener.onState(reading)
      }
      this.#listener.onState({
        kind: 'off',
        text: isSearch ? this.#searchEnd(position) : `as of ${timeOfDay()}`,
      })
    } catch (error) {
      if (!signal.aborted) this.#failed(error)
    }
  }

  /** Why a search has ended. @param {ReadonlyArray<[string, string]>} position */
  #searchEnd(position) {
    const { page } = this
    if (!page || page.records.length >= PAGE_SIZE) return 'done'
    return (isBackwards(position) ? page.older : page.newer) ? 'limit reached' : 'done'
  }

  /** @param {import('./pages.js').Page} page @param {Ranges} ranges */
  #show(page, ranges) {
    const isOldest = page.begin !== undefined && reachesBegin(page.begin, ranges)
    this.page = isOldest ? { ...page, begin: undefined, older: false } : page
    const records = page.records.map((record) => ({ record }))
    const entries = [...page.gaps.map(noteOf), ...records]
    this.#list.show(isNewestFirst(this.#query) ? entries.toReversed() : entries)
  }

  /** @param {unknown} error */
  #failed(error) {
    if (!(error instanceof RefusedError)) throw error
    const { message, status, state, isPassing } = error
    if (status === 400 && this.#query.text !== '') this.#listener.onRefused(message)
    this.#listener.onState({ kind: 'error', text: state, why: message })
    if (!isPassing) return
    const { signal } = this.#reading
    setTimeout(() => {
      if (!signal.aborted) void this.#read()
    }, RETRY)
  }
}

/** The present time, without its date. */
function timeOfDay() {
  return localTime(Date.now()).slice(11, 19)
}
