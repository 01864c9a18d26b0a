// @ts-check
/** The live tail: one event stream, and the newest records that it brought. */
import { withCredentials } from '../credentials.js'
import { byId, copy, element } from '../dom.js'
import { count, isoTime } from '../format.js'
import { curlOf, rowOf, textOf } from './record.js'
import { SharedStream } from './shared-stream.js'

/** @typedef {import('../gateway-status.js').StatusRoute} StatusRoute */

/** Records that are kept and shown; older ones go. */
const KEEP = 300
/** Milliseconds between two attempts when the server refuses, at first and at most. */
const RETRY = 1_000
const RETRY_MAX = 10_000
const TOO_MANY =
  'Other tabs read at other positions, and a browser opens six connections of HTTP/1.1 to a host. HTTPS with HTTP/2 has no such limit.'

export class Tail {
  #stream = new SharedStream()
  #isOpen = false
  /** Where to go on: the id of the last event. */
  #cursor = ''
  #paused = false
  #seen = 0
  #delay = RETRY
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry
  /** @type {StatusRoute[]} */
  #routes = []
  /** Came since the last frame. @type {Array<{ row: HTMLLIElement, text: string }>} */
  #fresh = []
  /** By row. @type {WeakMap<Element, string>} */
  #texts = new WeakMap()
  #drawing = false
  #closed = new AbortController()

  constructor() {
    for (const id of ['route', 'start', 'partition', 'time']) {
      byId(id).addEventListener('change', () => this.#chosen(id))
    }
    byId('records').addEventListener('scroll', () => {
      byId('newest').hidden = byId('records').scrollTop < 40
    })
    byId('newest').addEventListener('click', () => byId('records').scrollTo({ top: 0 }))
    byId('filter').addEventListener('input', () => this.#filterAll())
    byId('pause').addEventListener('click', () => this.toggle())
    byId('clear').addEventListener('click', () => this.#clear())
    byId('curl').addEventListener('click', () => this.copyCurl())
    // A page that is left may come back as it was, from the browser's back-forward cache.
    const { signal } = this.#closed
    addEventListener('pagehide', () => this.#stream.close(), { signal })
    addEventListener(
      'pageshow',
      (event) => {
        const { persisted } = /** @type {PageTransitionEvent} */ (event)
        if (persisted && this.#isOpen) this.#open()
      },
      { signal },
    )
  }

  /** Ends the stream, before another view is shown. */
  close() {
    this.#closed.abort()
    this.#close()
    this.#stream.end()
  }

  /**
   * Takes over which routes there are.
   * @param {StatusRoute[]} routes
   */
  offer(routes) {
    const streams = routes.filter(({ mode }) => mode === 'server-sent-events' || mode === 'auto')
    if (JSON.stringify(streams.map(place)) === JSON.stringify(this.#routes.map(place))) return
    this.#routes = streams
    const select = byId('route')
    const before = select.value
    select.replaceChildren(
      ...streams.map((route) => {
        const reason = unreachable(route)
        return element(
          'option',
          { value: route.name, disabled: reason && '', title: reason },
          reason ? `${route.name} (${reason})` : route.name,
        )
      }),
    )
    const reachable = streams.filter((route) => !unreachable(route))
    if (reachable.some(({ name }) => name === before)) select.value = before
    else select.value = reachable[0]?.name ?? ''
    byId('pause').disabled = reachable.length === 0
    if (reachable.length === 0) {
      this.#close()
      this.#tell(
        'off',
        'no stream',
        'No route streams: one in mode server-sent-events or auto would.',
      )
    } else if (select.value !== before || !this.#isOpen) this.#begin()
  }

  /**
   * The partitions that may be chosen.
   * @param {number} partitions
   */
  offerPartitions(partitions) {
    const select = byId('partition')
    while (select.options.length - 1 > partitions) select.lastElementChild.remove()
    for (let index = select.options.length - 1; index < partitions; index++) {
      select.append(element('option', { value: String(index) }, String(index)))
    }
  }

  get route() {
    return this.#routes.find(({ name }) => name === byId('route').value)
  }

  toggle() {
    if (byId('pause').disabled) return
    this.#paused = !this.#paused
    byId('pause').textContent = this.#paused ? 'Go on' : 'Pause'
    if (this.#paused) {
      this.#close()
      this.#tell('paused', 'paused')
    } else this.#open()
  }

  copyCurl() {
    void copy(curlOf(this.#url()), 'Command')
  }

  /** @param {string} id */
  #chosen(id) {
    byId('time-label').hidden = byId('start').value !== 'time'
    if (byId('start').value === 'time' && chosenTime() === undefined) {
      if (id === 'start') byId('time').focus()
      return
    }
    this.#begin()
  }

  /** From the chosen position on, with an empty list. */
  #begin() {
    this.#close()
    this.#cursor = ''
    this.#clear()
    this.#paused = false
    byId('pause').textContent = 'Pause'
    this.#open()
  }

  /** Where this tail goes on. */
  #url() {
    const url = new URL(this.route?.paths[0] ?? '/', location.origin)
    const start = byId('start').value
    const time = chosenTime()
    if (this.#cursor !== '') url.searchParams.set('cursor', this.#cursor)
    else if (start !== 'time') url.searchParams.set('start', start)
    else if (time !== undefined) url.searchParams.set('start', time)
    const partition = byId('partition').value
    if (partition !== '') url.searchParams.set('partition', partition)
    // The marks of a cursor may stand in a query as they are.
    url.search = url.search.replaceAll(/%3A|%2C|%3B|%3D/g, decodeURIComponent)
    return url
  }

  #open() {
    clearTimeout(this.#retry)
    if (!this.route) return
    this.#tell('wait', 'connecting …')
    this.#isOpen = true
    this.#stream.open(withCredentials(this.#url()), (event) => this.#onEvent(event))
  }

  /** @param {import('./shared-stream.js').StreamEvent} event */
  #onEvent(event) {
    switch (event.type) {
      case 'open':
        this.#delay = RETRY
        return this.#tell('live', 'live')
      case 'message':
        return this.#take(JSON.parse(event.data), event.lastEventId)
      // Where the stream is without a record: at its beginning, and past what a filter leaves out.
      case 'cursor':
        this.#cursor = event.lastEventId
        return
      case 'gap': {
        if (event.lastEventId) this.#cursor = event.lastEventId
        const { topic, partition, from, to, reason } = JSON.parse(event.data)
        return this.#note(`Gap in ${topic}/${partition}: ${count(from)} to ${count(to)}, ${reason}`)
      }
      case 'error':
        return this.#note(JSON.parse(event.data).message)
      case 'reconnecting':
        return this.#tell('wait', 'reconnecting …')
      case 'waiting':
        return this.#tell('wait', 'waiting for other tabs …', TOO_MANY)
      case 'lost':
        return this.#open()
      case 'refused':
        return void this.#refused()
    }
  }

  /** An `EventSource` gives up at an answer that is not a stream, and does not report the answer. */
  async #refused() {
    this.#close()
    let message = 'the gateway cannot be reached'
    let isFinal = false
    try {
      const controller = new AbortController()
      const response = await fetch(withCredentials(this.#url()), {
        headers: { accept: 'text/event-stream' },
        signal: controller.signal,
      })
      if (!response.ok) {
        message = (await response.json()).message ?? `status ${response.status}`
        isFinal = response.status < 500
      }
      controller.abort()
    } catch {
      // Said above.
    }
    if (this.#paused || this.#isOpen) return
    this.#tell('error', isFinal ? 'refused' : 'waiting …', message)
    if (isFinal) return
    this.#retry = setTimeout(() => this.#open(), this.#delay)
    this.#delay = Math.min(this.#delay * 2, RETRY_MAX)
  }

  #close() {
    clearTimeout(this.#retry)
    this.#stream.close()
    this.#isOpen = false
  }

  /**
   * @param {import('./record.js').KafkaRecord} record
   * @param {string} id
   */
  #take(record, id) {
    // The cursor before the record: a stream says where it begins.
    const curl = curlOf(this.#url())
    this.#cursor = id
    this.#seen++
    this.#fresh.push({ row: rowOf(record, curl), text: textOf(record) })
    if (this.#fresh.length > KEEP) this.#fresh.shift()
    this.#draw()
  }

  /** @param {string} text */
  #note(text) {
    const row = /** @type {HTMLLIElement} */ (element('li', { class: 'note' }, text))
    this.#fresh.push({ row, text: '' })
    this.#draw()
  }

  #draw() {
    if (this.#drawing) return
    this.#drawing = true
    // Not by animation frames: a page in the background has none, and would pile records up.
    setTimeout(() => {
      this.#drawing = false
      if (this.#closed.signal.aborted) return
      const list = byId('records')
      const wanted = byId('filter').value.trim().toLowerCase()
      // The list must not move while somebody reads it.
      const isRead = list.scrollTop > 0 || list.querySelector('.detail') !== null
      const height = list.scrollHeight
      for (const { row, text } of this.#fresh) {
        this.#texts.set(row, text)
        row.hidden = !text.includes(wanted) && !row.classList.contains('note')
        list.prepend(row)
      }
      this.#fresh = []
      if (isRead) list.scrollTop += list.scrollHeight - height
      while (list.children.length > KEEP) list.lastElementChild.remove()
      this.#counted()
    }, 50)
  }

  #filterAll() {
    const wanted = byId('filter').value.trim().toLowerCase()
    for (const row of byId('records').children) {
      row.hidden = !(this.#texts.get(row) ?? '').includes(wanted) && !row.classList.contains('note')
    }
    this.#counted()
  }

  #counted() {
    const rows = [...byId('records').children]
    const shown = rows.filter((row) => !row.hidden).length
    const parts = []
    if (this.#seen > 0) parts.push(`${count(this.#seen)} received`)
    if (this.#seen > KEEP) parts.push(`the newest ${count(rows.length)} are kept`)
    if (shown < rows.length) parts.push(`${count(shown)} match`)
    byId('count').textContent = parts.join(' · ')
    byId('no-records').hidden = shown > 0
    byId('no-records').textContent =
      rows.length > 0 ? 'None of these records matches.' : 'No records yet.'
  }

  #clear() {
    this.#seen = 0
    this.#fresh = []
    byId('records').replaceChildren()
    this.#counted()
  }

  /**
   * @param {'live' | 'wait' | 'paused' | 'error' | 'off'} state
   * @param {string} text
   * @param {string} [why]
   */
  #tell(state, text, why) {
    const place = byId('state')
    place.dataset.state = state
    place.textContent = text
    place.title = why ?? ''
    if (why !== undefined && byId('records').children.length === 0) {
      byId('no-records').textContent = why
    }
  }
}

/** The time to begin at; undefined where none is chosen, or one beyond all dates. */
function chosenTime() {
  return isoTime(Date.parse(byId('time').value))
}

/** @param {StatusRoute} route */
function place({ name, paths, hosts }) {
  return [name, paths, hosts]
}

/**
 * Why this page cannot read a route.
 * @param {StatusRoute} route
 */
function unreachable({ paths, hosts }) {
  if (paths[0] === undefined) return 'it has no path'
  if (paths[0].startsWith('~')) return 'its path is a pattern'
  const here =
    hosts.length === 0 || hosts.some((host) => host === location.host || host === location.hostname)
  return here ? undefined : `on ${hosts[0]}`
}
