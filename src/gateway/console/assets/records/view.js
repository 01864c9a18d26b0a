// @ts-check
/** The view of records: live, or a page from a position, all of them or those that a search finds. */
import { html, nothing, render } from 'lit-html'
import { copy } from '../dom.js'
import { count, localTime } from '../format.js'
import { gatewayStatus, onStatus, refreshStatus } from '../gateway-status.js'
import { addressOf, go, linkTo, replaceAddress } from '../router.js'
import { curlOfLive, curlOfPage, curlOfRecord } from './curl.js'
import { RecordDetail } from './detail.js'
import { RecordList } from './list.js'
import { LiveRecords } from './live.js'
import { LiveBuffer } from './live-buffer.js'
import { pageUrl, RefusedError, readPage, readPages } from './pages.js'
import { searchProgress } from './progress.js'
import {
  isNewestFirst,
  isSameList,
  PAGE_SIZE,
  parametersOf,
  placeOf,
  positionOf,
  queryOf,
  requestOfRecord,
  selectionOf,
} from './query.js'
import { rangesOf, sourcesOf } from './sources.js'
import { startKindOf, toolbar } from './toolbar.js'

/** @typedef {import('../views.js').OpenView} OpenView */
/** @typedef {import('./query.js').Query} Query */
/** @typedef {import('./query.js').Find} Find */
/** @typedef {import('./sources.js').Source} Source */
/** @typedef {import('./pages.js').Page} Page */
/** @typedef {import('./pages.js').Gap} Gap */
/** @typedef {import('./list.js').Entry} Entry */
/** @typedef {import('./record.js').KafkaRecord} KafkaRecord */
/** @typedef {{ kind: 'live' | 'wait' | 'paused' | 'error' | 'off', text: string, why?: string | undefined }} State */

/** Milliseconds between two updates of figures while records flow. */
const REDRAW = 250
/** Milliseconds until a page that Kafka's outage prevents is tried again. */
const RETRY = 3_000

/**
 * @param {HTMLElement} place
 * @returns {OpenView}
 */
export function openView(place) {
  const view = new RecordsView(place)
  return {
    show: (parameters) => view.show(queryOf(parameters)),
    close: () => view.close(),
    keys: [
      { key: ' ', text: 'pause, or go on', act: () => view.toggle() },
      { key: '/', text: 'search', act: () => focus(place, '#search') },
      { key: 'j', text: 'next record', act: () => view.move(1) },
      { key: 'k', text: 'previous record', act: () => view.move(-1) },
      { key: 'Enter', text: 'open or close a record' },
      { key: 'Escape', text: 'close the record', act: () => view.closeRecord() },
      { key: 'c', text: 'copy what is shown as curl', act: () => view.copyCurl() },
    ],
  }
}

/** @param {HTMLElement} place @param {string} selector */
function focus(place, selector) {
  const found = /** @type {HTMLElement | null} */ (place.querySelector(selector))
  found?.focus()
}

class RecordsView {
  #place
  /** @type {Query} */
  #query = queryOf(new URLSearchParams())
  /** @type {readonly Source[]} */
  #sources = []
  /** @type {Source | undefined} */
  #source
  /** The query of the present list; undefined before the first. @type {Query | undefined} */
  #listed
  /** @type {State} */
  #state = { kind: 'wait', text: '…' }
  /** @type {LiveRecords | undefined} */
  #live
  /** @type {LiveBuffer | undefined} */
  #buffer
  #received = 0
  /** The page that is shown, or that comes before the live records. @type {Page | undefined} */
  #page
  /** @type {{ examined: number, total: number } | undefined} */
  #progress
  /** Ends the reads of the present list. */
  #reading = new AbortController()
  /** @type {string | undefined} */
  #filterError
  /** The chosen kind of position and of search, before there is a value. */
  #startKind = 'live'
  /** @type {Find} */
  #find = 'text'
  /** @type {KafkaRecord | undefined} */
  #opened
  /** Ends the read of an opened record. */
  #opening = new AbortController()
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #redrawing
  #closed = new AbortController()
  #list
  #detail
  #endStatus

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place
    this.#draw()
    this.#list = new RecordList(this.#element('#records'), (record) =>
      this.#addressOfRecord(record),
    )
    this.#detail = new RecordDetail(this.#element('#detail'))
    this.#endStatus = onStatus(() => this.#onStatus())
    const { signal } = this.#closed
    // A page that is left may come back as it was, from the browser's back-forward cache.
    addEventListener('pagehide', () => this.#live?.pause(), { signal })
    addEventListener(
      'pageshow',
      (event) => {
        const { persisted } = /** @type {PageTransitionEvent} */ (event)
        if (persisted && this.#state.kind !== 'paused') this.#live?.resume()
      },
      { signal },
    )
  }

  close() {
    this.#end()
    this.#opening.abort()
    this.#closed.abort()
    this.#endStatus()
    this.#list.close()
    clearTimeout(this.#redrawing)
  }

  /** @param {Query} query */
  show(query) {
    this.#query = query
    this.#onStatus()
  }

  /** Takes over which routes there are, and begins where the list is not the wanted one. */
  #onStatus() {
    const status = gatewayStatus()
    if (!status) return
    const { sources, unreachable } = sourcesOf(status)
    if (JSON.stringify(sources) !== JSON.stringify(this.#sources)) this.#sources = sources
    const source = sourceFor(this.#query, this.#sources)
    const isSame =
      this.#listed !== undefined &&
      isSameList(this.#listed, this.#query) &&
      JSON.stringify(source) === JSON.stringify(this.#source)
    this.#source = source
    if (!isSame) {
      this.#startKind = startKindOf(this.#query.start)
      this.#find = this.#query.find
      this.#begin(unreachable)
    }
    this.#openRecord()
    this.#draw()
  }

  /** Shows the list of the query from its beginning. @param {ReadonlyArray<{ name: string, reason: string }>} unreachable */
  #begin(unreachable) {
    this.#end()
    this.#listed = this.#query
    this.#received = 0
    this.#page = undefined
    this.#progress = undefined
    this.#filterError = undefined
    this.#list.show([])
    this.#element('#records').scrollTop = 0
    this.#reading = new AbortController()
    const source = this.#source
    if (!source) {
      const [first] = unreachable
      const why = first
        ? `No route can be read from this page: of ${first.name}, ${first.reason}.`
        : 'No route gives records: one in mode http-get, server-sent-events or auto would.'
      return this.#tell({ kind: 'off', text: 'no route', why })
    }
    this.#list.showTopics(source.topics.length > 1 && this.#query.topic === undefined)
    const { start, cursor, end } = this.#query
    if (start === 'live' && cursor === undefined && end === undefined) this.#follow(source)
    else void this.#readPage(source)
  }

  #end() {
    this.#reading.abort()
    this.#live?.close()
    this.#buffer?.close()
    this.#live = undefined
    this.#buffer = undefined
  }

  /** @param {Source} source */
  #follow(source) {
    const buffer = new LiveBuffer(this.#list, this.#element('#records'), () => this.#redrawSoon())
    this.#buffer = buffer
    buffer.isRead = this.#query.record !== undefined
    this.#live = new LiveRecords(source, selectionOf(this.#query), {
      onRecords: (records) => {
        this.#received += records.length
        buffer.add(records.map((record) => ({ record })))
      },
      onGap: (gap) => buffer.add([noteOf(gap)]),
      onBegin: (cursor) => void this.#readBacklog(source, buffer, cursor),
      onState: (kind, text, why) => {
        if (kind === 'error' && text === 'refused' && this.#query.text !== '')
          this.#filterError = why
        this.#tell({ kind, text, why })
      },
    })
  }

  /**
   * The newest records before the first live one.
   * @param {Source} source
   * @param {LiveBuffer} buffer
   * @param {string} cursor
   */
  async #readBacklog(source, buffer, cursor) {
    const { signal } = this.#reading
    const position = positionOf({ ...this.#query, start: 'newest', end: cursor }, [])
    const url = pageUrl(source, selectionOf(this.#query), position, PAGE_SIZE)
    try {
      const page = await readPage(source, url, PAGE_SIZE, signal)
      if (signal.aborted) return
      this.#page = page
      buffer.addOlder(page.records.map((record) => ({ record })).toReversed())
      this.#draw()
    } catch {
      // The live records come all the same, and their state says what is wrong.
    }
  }

  /** @param {Source} source */
  async #readPage(source) {
    const { signal } = this.#reading
    const query = this.#query
    const isSearch = query.text !== ''
    this.#tell({ kind: 'wait', text: isSearch ? 'searching …' : 'reading …' })
    // Offsets that partitions do not have yet would make a gap.
    if (query.start.startsWith('offset:')) await refreshStatus()
    if (signal.aborted) return
    const ranges = this.#ranges(source)
    try {
      const position = positionOf(query, ranges.values())
      for await (const page of readPages(source, selectionOf(query), position, signal)) {
        if (signal.aborted) return
        this.#showPage(page)
        if (isSearch) this.#progress = searchProgress(page, position, ranges)
        this.#draw()
      }
      this.#tell({ kind: 'off', text: isSearch ? 'found' : 'page' })
    } catch (error) {
      if (!signal.aborted) this.#onPageError(source, error)
    }
  }

  /** @param {Page} page */
  #showPage(page) {
    this.#page = page
    const records = page.records.map((record) => ({ record }))
    const entries = [...page.gaps.map(noteOf), ...records]
    this.#list.show(isNewestFirst(this.#query) ? entries.toReversed() : entries)
    this.#openRecord()
  }

  /** @param {Source} source @param {unknown} error */
  #onPageError(source, error) {
    if (!(error instanceof RefusedError)) throw error
    const { message, status, isPassing } = error
    if (status === 400 && this.#query.text !== '') this.#filterError = message
    this.#tell({ kind: 'error', text: isPassing ? 'waiting …' : 'refused', why: message })
    if (!isPassing) return
    const { signal } = this.#reading
    setTimeout(() => {
      if (!signal.aborted) void this.#readPage(source)
    }, RETRY)
  }

  /** Ends a search. */
  #stop() {
    this.#reading.abort()
    this.#tell({ kind: 'off', text: 'stopped' })
  }

  /** Pauses live records, or goes on. */
  toggle() {
    if (!this.#live) return
    if (this.#state.kind === 'paused') return this.#live.resume()
    this.#live.pause()
    this.#tell({ kind: 'paused', text: 'paused' })
  }

  /** Moves to another record: the opened one changes, or the focus of the list. @param {number} step */
  move(step) {
    const opened = this.#query.record
    if (opened === undefined) return this.#list.move(step)
    const { entries } = this.#list
    const at = entries.findIndex((entry) => 'record' in entry && placeOf(entry.record) === opened)
    for (let next = at + step; next >= 0 && next < entries.length; next += step) {
      const entry = /** @type {Entry} */ (entries[next])
      if (!('record' in entry)) continue
      this.#query = { ...this.#query, record: placeOf(entry.record) }
      replaceAddress(parametersOf(this.#query))
      this.#list.reveal(next)
      return this.#onStatus()
    }
  }

  closeRecord() {
    if (this.#query.record !== undefined) go(parametersOf({ ...this.#query, record: undefined }))
  }

  copyCurl() {
    const command = this.#curl()
    if (command !== undefined) void copy(command, 'Command')
  }

  #curl() {
    const source = this.#source
    if (!source) return undefined
    const selection = selectionOf(this.#query)
    if (this.#page && !this.#live) return curlOfPage(source, selection, this.#page)
    return curlOfLive(source, selection, this.#page?.begin ?? this.#live?.cursor ?? '')
  }

  /** @param {KafkaRecord} record */
  #addressOfRecord(record) {
    const place = placeOf(record)
    // The link of the opened record closes it.
    const wanted = place === this.#query.record ? undefined : place
    return addressOf(parametersOf({ ...this.#query, record: wanted }))
  }

  /** Shows the record of the query, from the list or from Kafka. */
  #openRecord() {
    const { record: place } = this.#query
    this.#list.mark(place)
    if (this.#buffer) this.#buffer.isRead = place !== undefined
    if (place === undefined) {
      this.#opened = undefined
      this.#opening.abort()
      return
    }
    if (this.#opened && placeOf(this.#opened) === place) return
    const entry = this.#list.entries.find(
      (each) => 'record' in each && placeOf(each.record) === place,
    )
    if (entry && 'record' in entry) this.#showRecord(entry.record)
    else if (this.#source) void this.#readRecord(this.#source, place)
  }

  /** @type {string | undefined} */
  #asked

  /** @param {Source} source @param {string} place */
  async #readRecord(source, place) {
    if (this.#asked === place && !this.#opening.signal.aborted) return
    this.#asked = place
    this.#opening.abort()
    this.#opening = new AbortController()
    const { signal } = this.#opening
    const close = () => this.closeRecord()
    const request = requestOfRecord(place)
    if (!request) return this.#detail.showMessage('The address does not name a record.', close)
    this.#detail.showMessage('Reading …', close)
    try {
      const { records } = await readPage(source, pageUrl(source, [], request, 1), 1, signal)
      if (signal.aborted) return
      const record = records.find((each) => placeOf(each) === place)
      if (record) this.#showRecord(record)
      else
        this.#detail.showMessage(
          'Kafka does not have this record, or does not have it any more.',
          close,
        )
      this.#draw()
    } catch (error) {
      if (!signal.aborted) this.#detail.showMessage(/** @type {Error} */ (error).message, close)
    }
  }

  /** @param {KafkaRecord} record */
  #showRecord(record) {
    this.#opening.abort()
    this.#opened = record
    const source = /** @type {Source} */ (this.#source)
    this.#detail.show({
      record,
      curl: curlOfRecord(source, record),
      link: linkTo(parametersOf({ ...this.#query, record: placeOf(record) })),
      close: () => this.closeRecord(),
      move: (step) => this.move(step),
    })
  }

  /** @param {Source} source */
  #ranges(source) {
    const status = gatewayStatus()
    const { topic, partition } = this.#query
    const all = status ? rangesOf(status, source, topic) : new Map()
    if (partition === undefined) return all
    return new Map([...all].filter(([, range]) => range.partition === partition))
  }

  #partitions() {
    const status = gatewayStatus()
    if (!status || !this.#source) return []
    const ranges = rangesOf(status, this.#source, this.#query.topic)
    return [...new Set([...ranges.values()].map(({ partition }) => partition))].sort(
      (a, b) => a - b,
    )
  }

  /** @param {State} state */
  #tell(state) {
    this.#state = state
    this.#draw()
  }

  #redrawSoon() {
    this.#redrawing ??= setTimeout(() => {
      this.#redrawing = undefined
      this.#draw()
    }, REDRAW)
  }

  /** @param {string} selector */
  #element(selector) {
    return /** @type {HTMLElement} */ (this.#place.querySelector(selector))
  }

  /** @param {Partial<Query>} changes */
  #change(changes) {
    const query = {
      ...this.#query,
      cursor: undefined,
      end: undefined,
      record: undefined,
      ...changes,
    }
    // An equal query is read again, as when somebody searches once more.
    if (isSameList(query, this.#query)) this.#listed = undefined
    go(parametersOf(query))
  }

  #draw() {
    const { kind, text, why } = this.#state
    const isSearching = kind === 'wait' && text === 'searching …'
    const unseen = this.#buffer?.unseen ?? 0
    render(
      html`<section class="panel records" aria-label="Records" data-detail=${this.#query.record ? 'open' : 'closed'}>
        <div class="head">
          <h2>Records</h2>
          <p class="state" id="state" role="status" data-state=${kind} title=${why ?? ''}>${text}</p>
          <p class="count" id="count">${this.#countText()}</p>
          ${
            this.#progress && isSearching
              ? html`<progress max=${this.#progress.total} value=${this.#progress.examined} aria-label="Search"></progress>`
              : nothing
          }
          <span class="buttons">
            <button type="button" id="link" @click=${() => void copy(linkTo(parametersOf(this.#query)), 'Link')}>Copy link</button>
            <button type="button" id="curl" ?disabled=${!this.#source} @click=${() => this.copyCurl()}>Copy as curl</button>
            ${isSearching ? html`<button type="button" id="stop" class="main" @click=${() => this.#stop()}>Stop</button>` : nothing}
            ${
              this.#live
                ? html`<button type="button" id="pause" class="main" @click=${() => this.toggle()}>${kind === 'paused' ? 'Go on' : 'Pause'}</button>`
                : nothing
            }
          </span>
        </div>
        ${toolbar({
          query: this.#query,
          sources: this.#sources,
          source: this.#source,
          partitions: this.#partitions(),
          startKind: this.#startKind,
          find: this.#find,
          filterError: this.#filterError,
          onChange: (changes) => this.#change(changes),
          onStartKind: (startKind) => {
            this.#startKind = startKind
            this.#draw()
            focus(this.#place, startKind === 'time' ? '#time' : '#offset')
          },
          onFind: (find) => {
            this.#find = find
            this.#draw()
            focus(this.#place, '#search')
          },
        })}
        <div class="split">
          <div class="frame">
            <button type="button" class="newest" id="newest" ?hidden=${unseen === 0} @click=${() => this.#buffer?.release()}>↑ ${count(unseen)} newer</button>
            <div class="list" id="records" tabindex="0" role="region" aria-label="List of records"></div>
            <p class="empty" id="no-records" ?hidden=${!this.#isEmpty()}>${this.#emptyText()}</p>
            ${this.#pager()}
          </div>
          <aside class="detail" id="detail" aria-label="Record" ?hidden=${this.#query.record === undefined}></aside>
        </div>
      </section>`,
      this.#place,
    )
  }

  #isEmpty() {
    return this.#list === undefined || this.#list.entries.length === 0
  }

  #emptyText() {
    const { kind, why } = this.#state
    if (this.#filterError !== undefined) return ''
    if (why !== undefined && kind !== 'live') return why
    if (kind === 'wait') return this.#query.text === '' ? '' : 'Searching …'
    if (this.#query.text !== '') return 'No record found here.'
    return this.#live ? 'No records yet.' : 'No records here.'
  }

  #countText() {
    const parts = []
    if (this.#live) {
      const kept = this.#buffer?.entries.length ?? 0
      if (this.#received > 0) parts.push(`${count(this.#received)} received`)
      if (kept < this.#received) parts.push(`the newest ${count(kept)} are kept`)
      return parts.join(' · ')
    }
    const { records } = this.#page ?? { records: [] }
    if (this.#progress) {
      const { examined, total } = this.#progress
      parts.push(`${count(records.length)} found`, `${count(examined)} of ${count(total)} searched`)
    } else if (records.length > 0) parts.push(`${count(records.length)} records`)
    const times = records.map(({ timestamp }) => timestamp).filter((time) => time >= 0)
    if (times.length > 1) {
      const [first = 0, last = 0] = [Math.min(...times), Math.max(...times)]
      parts.push(`${localTime(first).slice(0, 19)} to ${localTime(last).slice(0, 19)}`)
    }
    return parts.join(' · ')
  }

  #pager() {
    const page = this.#page
    if (!page) return nothing
    const others = { ...this.#query, cursor: undefined, end: undefined, record: undefined }
    const start = this.#live ? 'newest' : this.#query.start
    const verb = this.#query.text === '' ? '' : 'Search '
    const older = { ...others, start, end: page.begin }
    const newer = { ...others, cursor: page.cursor }
    const name = (/** @type {string} */ text) => (verb ? verb + text.toLowerCase() : text)
    return html`<nav class="pager" aria-label="Pages">
      ${
        page.older && page.begin !== undefined
          ? html`<a id="older" rel="prev" href=${addressOf(parametersOf(older))}>← ${name('Older')}</a>`
          : html`<span class="none">← The oldest</span>`
      }
      ${
        this.#live
          ? nothing
          : page.newer
            ? html`<a id="newer" rel="next" href=${addressOf(parametersOf(newer))}>${name('Newer')} →</a>`
            : html`<a id="newer" href=${addressOf(parametersOf({ ...others, start: 'live' }))}>Live →</a>`
      }
    </nav>`
  }
}

/** @param {Gap} gap */
function noteOf({ topic, partition, from, to, reason }) {
  const why = reason === 'retention' ? 'Kafka has deleted them' : 'the partition ends before'
  return { note: `Gap in ${topic}/${partition}: ${count(from)} to ${count(to)}, ${why}` }
}

/** @param {Query} query @param {readonly Source[]} sources */
function sourceFor({ route, topic }, sources) {
  return (
    sources.find((source) => route !== undefined && source.name === route) ??
    sources.find((source) => topic !== undefined && source.topics.includes(topic)) ??
    sources[0]
  )
}
