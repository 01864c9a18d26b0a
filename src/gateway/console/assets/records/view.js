// @ts-check
/** The view of records: live, or a page from a position, all of them or those that a search finds. */
import { render } from 'lit-html'
import { copy } from '../dom.js'
import { gatewayStatus, onStatus } from '../gateway-status.js'
import { addressOf, go, linkTo, replaceAddress } from '../router.js'
import { recordsLayout } from './layout.js'
import { RecordList } from './list.js'
import { LiveSession } from './live-session.js'
import { OpenedRecord } from './opened-record.js'
import { PageSession } from './page-session.js'
import { isSameList, parametersOf, placeOf, queryOf } from './query.js'
import { rangesOf, sourceOf, sourcesOf } from './sources.js'
import { startKindOf } from './toolbar.js'

/** @typedef {import('../views.js').OpenView} OpenView */
/** @typedef {import('./query.js').Query} Query */
/** @typedef {import('./query.js').Find} Find */
/** @typedef {import('./sources.js').Source} Source */
/** @typedef {import('./record.js').KafkaRecord} KafkaRecord */
/** @typedef {import('./layout.js').State} State */

/** Milliseconds between two updates of figures while records flow. */
const REDRAW = 250

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
  /** The present list. @type {LiveSession | PageSession | undefined} */
  #session
  /** Why the search cannot be made. @type {string | undefined} */
  #filterError
  /** The chosen kind of position and of search, before there is a value. */
  #startKind = 'live'
  /** @type {Find} */
  #find = 'text'
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #redrawing
  #closed = new AbortController()
  #list
  #opened
  #endStatus

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place
    this.#draw()
    const element = (/** @type {string} */ selector) =>
      /** @type {HTMLElement} */ (place.querySelector(selector))
    this.#list = new RecordList(element('#records'), (record) => this.#addressOfRecord(record))
    this.#opened = new OpenedRecord(element('#detail'), {
      close: () => this.closeRecord(),
      move: (step) => this.move(step),
    })
    this.#endStatus = onStatus(() => this.#update())
    const { signal } = this.#closed
    // A page that is left may come back as it was, from the browser's back-forward cache.
    addEventListener('pagehide', () => this.#live?.suspend(), { signal })
    addEventListener(
      'pageshow',
      (event) => {
        if (/** @type {PageTransitionEvent} */ (event).persisted) this.#live?.restore()
      },
      { signal },
    )
  }

  close() {
    this.#session?.close()
    this.#opened.close()
    this.#closed.abort()
    this.#endStatus()
    this.#list.close()
    clearTimeout(this.#redrawing)
  }

  /** @param {Query} query */
  show(query) {
    this.#query = query
    this.#update()
  }

  get #live() {
    return this.#session instanceof LiveSession ? this.#session : undefined
  }

  /** Takes over which routes there are, and begins a list where the present one is not the wanted one. */
  #update() {
    const status = gatewayStatus()
    if (!status) return
    const { sources, unreachable } = sourcesOf(status)
    this.#sources = sources
    const source = sourceOf(this.#query, sources)
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

  /** Begins the list of the query. @param {ReadonlyArray<{ name: string, reason: string }>} unreachable */
  #begin([unreachable]) {
    this.#session?.close()
    this.#session = undefined
    this.#listed = this.#query
    this.#filterError = undefined
    this.#list.clear()
    const source = this.#source
    if (!source) {
      const why = unreachable
        ? `No route can be read from this page: of ${unreachable.name}, ${unreachable.reason}.`
        : 'No route gives records: one in mode http-get, server-sent-events or auto would.'
      return this.#tell({ kind: 'off', text: 'no route', why })
    }
    this.#list.showTopics(source.topics.length > 1 && this.#query.topic === undefined)
    const { start, cursor, end } = this.#query
    const isLive = start === 'live' && cursor === undefined && end === undefined
    this.#session = isLive
      ? new LiveSession(source, this.#query, this.#list, this.#listener)
      : new PageSession(source, this.#query, this.#list, () => this.#ranges(), this.#listener)
  }

  /** @type {import('./live-session.js').SessionListener} */
  #listener = {
    onState: (state) => this.#tell(state),
    onRefused: (message) => {
      this.#filterError = message
    },
    onChange: () => {
      this.#redrawing ??= setTimeout(() => {
        this.#redrawing = undefined
        this.#openRecord()
        this.#draw()
      }, REDRAW)
    },
  }

  /** Pauses live records, or goes on. */
  toggle() {
    this.#live?.toggle()
  }

  /** Moves to another record: the opened one changes, or the focus of the list. @param {number} step */
  move(step) {
    const opened = this.#query.record
    if (opened === undefined) return this.#list.move(step)
    const { entries } = this.#list
    const at = entries.findIndex((entry) => 'record' in entry && placeOf(entry.record) === opened)
    let next = at + step
    while (entries[next] && 'note' in /** @type {object} */ (entries[next])) next += step
    const entry = entries[next]
    if (!entry || !('record' in entry)) return
    this.#query = { ...this.#query, record: placeOf(entry.record) }
    replaceAddress(parametersOf(this.#query))
    this.#list.reveal(next)
    this.#update()
  }

  closeRecord() {
    if (this.#query.record !== undefined) go(parametersOf({ ...this.#query, record: undefined }))
  }

  copyCurl() {
    const command = this.#session?.curl()
    if (command !== undefined) void copy(command, 'Command')
  }

  /** @param {KafkaRecord} record */
  #addressOfRecord(record) {
    const place = placeOf(record)
    // The link of the opened record closes it.
    const wanted = place === this.#query.record ? undefined : place
    return addressOf(parametersOf({ ...this.#query, record: wanted }))
  }

  /** Shows the record of the query. */
  #openRecord() {
    const { record } = this.#query
    if (record !== this.#list.opened) {
      this.#list.mark(record)
      const at = this.#list.entries.findIndex(
        (entry) => 'record' in entry && placeOf(entry.record) === record,
      )
      if (at >= 0) this.#list.reveal(at)
    }
    this.#live?.hold(record !== undefined)
    this.#opened.show(this.#query, this.#source, this.#list.entries)
  }

  /** The present offsets of the partitions of the query. */
  #ranges() {
    const status = gatewayStatus()
    const { topic, partition } = this.#query
    const all = status && this.#source ? rangesOf(status, this.#source, topic) : new Map()
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
    if (this.#session) this.#openRecord()
    this.#draw()
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
    const session = this.#session
    render(
      recordsLayout({
        query: this.#query,
        state: this.#state,
        page: session?.page,
        progress: session instanceof PageSession ? session.progress : undefined,
        isByPartition: session instanceof PageSession && session.isByPartition,
        live: this.#live?.figures,
        isEmpty: this.#list === undefined || this.#list.entries.length === 0,
        isAway: gatewayStatus()?.clusters.some(({ outage }) => outage) ?? false,
        bar: this.#bar(),
        actions: this.#actions,
      }),
      this.#place,
    )
  }

  #actions = {
    copyLink: () => void copy(linkTo(parametersOf(this.#query)), 'Link'),
    copyCurl: () => this.copyCurl(),
    stop: () => {
      if (this.#session instanceof PageSession) this.#session.stop()
    },
    toggle: () => this.toggle(),
    release: () => this.#live?.release(),
  }

  /** @returns {import('./toolbar.js').Toolbar} */
  #bar() {
    return {
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
    }
  }
}
