// @ts-check
/** A list of live records: the newest before they began, and those that come. */
import { curlOfLive } from './curl.js'
import { noteOf } from './list.js'
import { LiveRecords } from './live.js'
import { LiveBuffer } from './live-buffer.js'
import { pageUrl, readPage } from './pages.js'
import { PAGE_SIZE, positionOf, selectionOf } from './query.js'

/** @typedef {import('./query.js').Query} Query */
/** @typedef {import('./sources.js').Source} Source */
/** @typedef {import('./list.js').RecordList} RecordList */
/** @typedef {import('./layout.js').State} State */
/**
 * @typedef {{
 *   onState(state: State): void,
 *   onRefused(message: string): void,
 *   onChange(): void,
 * }} SessionListener `onRefused` is called with the message of a search that cannot be made, and
 *   `onChange` after a change of the records.
 */

export class LiveSession {
  #source
  #query
  #listener
  #buffer
  #records
  #received = 0
  #isPaused = false
  #reading = new AbortController()
  /** The page before the live records. @type {import('./pages.js').Page | undefined} */
  page

  /**
   * @param {Source} source
   * @param {Query} query
   * @param {RecordList} list
   * @param {SessionListener} listener
   */
  constructor(source, query, list, listener) {
    this.#source = source
    this.#query = query
    this.#listener = listener
    const buffer = new LiveBuffer(list, () => listener.onChange())
    this.#buffer = buffer
    this.#records = new LiveRecords(source, selectionOf(query), {
      onRecords: (records) => {
        this.#received += records.length
        buffer.add(records.map((record) => ({ record })))
      },
      onGap: (gap) => buffer.add([noteOf(gap)]),
      onBegin: (cursor) => void this.#readBacklog(cursor),
      onState: (kind, text, why) => {
        if (text === 'refused' && query.text !== '') listener.onRefused(why ?? text)
        listener.onState({ kind, text, why })
      },
    })
  }

  /** Figures of the head. */
  get figures() {
    const { entries, unseen } = this.#buffer
    return { received: this.#received, kept: entries.length, unseen }
  }

  /** @param {boolean} isRead Whether a record is opened, which must not move away. */
  hold(isRead) {
    this.#buffer.isRead = isRead
  }

  /** Shows what came while the list stood still. */
  release() {
    this.#buffer.release()
  }

  toggle() {
    this.#isPaused = !this.#isPaused
    if (!this.#isPaused) return this.#records.resume()
    this.#records.pause()
    this.#listener.onState({ kind: 'paused', text: 'paused' })
  }

  /** Before a page is left, which the browser may bring back as it was. */
  suspend() {
    this.#records.pause()
  }

  /** After the browser has brought the page back. */
  restore() {
    if (!this.#isPaused) this.#records.resume()
  }

  close() {
    this.#reading.abort()
    this.#records.close()
    this.#buffer.close()
  }

  curl() {
    const begin = this.page?.begin ?? this.#records.cursor
    return curlOfLive(this.#source, selectionOf(this.#query), begin)
  }

  /**
   * The newest records before the first live one.
   * @param {string} cursor
   */
  async #readBacklog(cursor) {
    const { signal } = this.#reading
    // Lines in such a format do not have positions.
    if (this.#source.page === undefined && this.#source.hasOwnFormat) return
    const position = positionOf({ ...this.#query, start: 'newest', end: cursor }, [])
    const url = pageUrl(this.#source, selectionOf(this.#query), position, PAGE_SIZE)
    try {
      const page = await readPage(this.#source, url, PAGE_SIZE, signal)
      if (signal.aborted) return
      this.page = page
      this.#buffer.addOlder(page.records.map((record) => ({ record })).toReversed())
    } catch {
      // The live records come all the same, and their state says what is wrong.
    }
  }
}
