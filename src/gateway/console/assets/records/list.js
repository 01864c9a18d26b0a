// @ts-check
/**
 * The list of records. Only the rows that can be seen are elements of the page, so that thousands of
 * records a second can flow, and any number of them can be scrolled through.
 */
import { element } from '../dom.js'
import { count, isoTime, localTime } from '../format.js'
import { hexPreview } from './bytes.js'
import { placeOf } from './query.js'
import { preview, textOf } from './record.js'

/** @typedef {import('./record.js').KafkaRecord} KafkaRecord */
/** @typedef {{ record: KafkaRecord } | { note: string }} Entry */

/** Rows beyond the visible ones, above and below. */
const MARGIN = 6
/** Milliseconds without a change after which the elements are put in order. */
const SETTLE = 200

export class RecordList {
  /** In the order of the list. @type {readonly Entry[]} */
  #entries = []
  /** The element of each entry that is in the page. @type {Map<Entry, HTMLLIElement>} */
  #rows = new Map()
  /** Rows that left the page, to be used again. @type {HTMLLIElement[]} */
  #spare = []
  #rowHeight = 26
  #place
  #spacer
  #linkTo
  #hasTopics = false
  /** @type {string | undefined} */
  #opened
  #isDue = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #settling

  /**
   * @param {HTMLElement} place The scrolled element.
   * @param {(record: KafkaRecord) => string} linkTo The address that opens a record.
   */
  constructor(place, linkTo) {
    this.#place = place
    this.#linkTo = linkTo
    this.#spacer = element('ol', { class: 'rows', id: 'rows' })
    place.append(this.#spacer)
    place.addEventListener('scroll', () => this.#schedule(), { passive: true })
    this.#observer = new ResizeObserver(() => this.#measure())
    this.#observer.observe(place)
  }

  #observer

  close() {
    this.#observer.disconnect()
  }

  /** The entries that are shown, in the order of the list. */
  get entries() {
    return this.#entries
  }

  /** @param {readonly Entry[]} entries In the order of the list. */
  show(entries) {
    this.#entries = entries
    this.#schedule()
  }

  /** The element that scrolls. */
  get place() {
    return this.#place
  }

  /** Shows nothing, from the top on. */
  clear() {
    this.show([])
    this.#place.scrollTop = 0
  }

  /** @param {boolean} shows Whether each row names its topic. */
  showTopics(shows) {
    if (this.#hasTopics === shows) return
    this.#hasTopics = shows
    this.#place.classList.toggle('with-topics', shows)
    this.#measure()
    this.#refill()
  }

  /** The place of the opened record, which is marked. */
  get opened() {
    return this.#opened
  }

  /** @param {string | undefined} place The opened record, as `topic:partition:offset`. */
  mark(place) {
    this.#opened = place
    for (const [entry, row] of this.#rows) {
      const link = row.querySelector('a')
      if (link && 'record' in entry) this.#link(link, entry.record)
    }
  }

  /** Moves the focus by some rows, and scrolls where that is needed. @param {number} step */
  move(step) {
    const focused = [...this.#rows].find(([, row]) => row.contains(document.activeElement))?.[0]
    const at = focused ? this.#entries.indexOf(focused) : -1
    const next = at < 0 ? this.#firstVisible() : at + step
    const index = Math.min(this.#entries.length - 1, Math.max(0, next))
    const entry = this.#entries[index]
    if (!entry) return
    this.reveal(index)
    this.#draw()
    this.#rows.get(entry)?.querySelector('a')?.focus({ preventScroll: true })
  }

  /** Scrolls as far as is needed to see an entry. @param {number} index */
  reveal(index) {
    const top = index * this.#rowHeight
    const { scrollTop, clientHeight } = this.#place
    if (top < scrollTop) this.#place.scrollTop = top
    else if (top + this.#rowHeight > scrollTop + clientHeight) {
      this.#place.scrollTop = top + this.#rowHeight - clientHeight
    }
  }

  #firstVisible() {
    return Math.ceil(this.#place.scrollTop / this.#rowHeight)
  }

  /** Rows have one height, which the style sheet decides by the width of the page. */
  #measure() {
    const height = Number.parseFloat(getComputedStyle(this.#place).getPropertyValue('--row'))
    if (height > 0 && height !== this.#rowHeight) this.#rowHeight = height
    this.#schedule()
  }

  #refill() {
    for (const row of this.#rows.values()) this.#retire(row)
    this.#rows.clear()
    this.#schedule()
  }

  #schedule() {
    if (this.#isDue) return
    this.#isDue = true
    requestAnimationFrame(() => {
      this.#isDue = false
      this.#draw()
    })
  }

  #draw() {
    const { scrollTop, clientHeight } = this.#place
    const height = this.#rowHeight
    const first = Math.max(0, Math.floor(scrollTop / height) - MARGIN)
    const last = Math.min(
      this.#entries.length,
      Math.ceil((scrollTop + clientHeight) / height) + MARGIN,
    )
    const visible = this.#entries.slice(first, last)
    const wanted = new Set(visible)
    for (const [entry, row] of this.#rows) {
      if (wanted.has(entry)) continue
      this.#rows.delete(entry)
      this.#retire(row)
    }
    this.#spacer.style.height = `${this.#entries.length * height}px`
    for (const [index, entry] of visible.entries()) {
      let row = this.#rows.get(entry)
      if (!row) {
        row = this.#spare.pop() ?? newRow()
        this.#fill(row, entry)
        this.#rows.set(entry, row)
        if (!row.isConnected) this.#spacer.append(row)
      }
      row.style.transform = `translateY(${(first + index) * height}px)`
      row.ariaPosInSet = String(first + index + 1)
      row.ariaSetSize = String(this.#entries.length)
    }
    for (const row of this.#spare) row.remove()
    clearTimeout(this.#settling)
    this.#settling = setTimeout(() => this.#settle(), SETTLE)
  }

  /** Brings the elements into the order of the list, in which the Tab key goes through them. */
  #settle() {
    const focused = document.activeElement
    const ordered = this.#entries.flatMap((entry) => this.#rows.get(entry) ?? [])
    for (const [index, row] of ordered.entries()) {
      // An element that is moved loses the focus.
      if (this.#spacer.children[index] !== row && !row.contains(focused)) {
        this.#spacer.insertBefore(row, this.#spacer.children[index] ?? null)
      }
    }
  }

  /** @param {HTMLLIElement} row */
  #retire(row) {
    // The focus stays in the list when its record scrolls away.
    if (row.contains(document.activeElement)) this.#place.focus({ preventScroll: true })
    this.#spare.push(row)
  }

  /** @param {HTMLAnchorElement} link @param {KafkaRecord} record */
  #link(link, record) {
    link.href = this.#linkTo(record)
    link.ariaCurrent = placeOf(record) === this.#opened ? 'true' : null
  }

  /** @param {HTMLLIElement} row @param {Entry} entry */
  #fill(row, entry) {
    const [link, note] = /** @type {[HTMLAnchorElement, HTMLElement]} */ (
      /** @type {unknown} */ ([...row.children])
    )
    const isNote = 'note' in entry
    link.hidden = isNote
    note.hidden = !isNote
    if (isNote) {
      note.textContent = entry.note
      return
    }
    const { record } = entry
    const { topic, partition, offset, timestamp, key, value, encoding, error } = record
    const { isFormatted = false } = record
    this.#link(link, record)
    const [time, at, topicCell, keyCell, flag, valueCell] = /** @type {HTMLElement[]} */ ([
      ...link.children,
    ])
    if (!time || !at || !topicCell || !keyCell || !flag || !valueCell) return
    link.classList.toggle('formatted', isFormatted)
    time.textContent = localTime(timestamp)
    time.title = isoTime(timestamp) ?? ''
    at.textContent = `${partition}/${offset}`
    at.title = `${topic}, partition ${partition}, offset ${count(offset)}`
    topicCell.textContent = this.#hasTopics ? topic : ''
    fillCell(keyCell, key, encoding?.key, 'no key')
    flag.hidden = !error
    flag.textContent = error?.code ?? ''
    fillCell(valueCell, value, encoding?.value, 'tombstone')
  }
}

/**
 * @param {HTMLElement} cell
 * @param {unknown} content
 * @param {string | undefined} encoding
 * @param {string} none The text for null.
 */
function fillCell(cell, content, encoding, none) {
  const isNone = content === null || content === ''
  cell.classList.toggle('none', isNone)
  if (isNone) cell.textContent = content === null ? none : 'empty'
  else if (encoding === 'base64') cell.textContent = hexPreview(String(content))
  else cell.textContent = preview(textOf(content))
}

/**
 * An entry that tells of offsets without records.
 * @param {import('./pages.js').Gap} gap
 * @returns {Entry}
 */
export function noteOf({ topic, partition, from, to, reason }) {
  const why = reason === 'retention' ? 'Kafka has deleted them' : 'the partition ends before'
  return { note: `Gap in ${topic}/${partition}: ${count(from)} to ${count(to)}, ${why}` }
}

function newRow() {
  const cell = (/** @type {string} */ name) => element('span', { class: name })
  const link = element(
    'a',
    { class: 'row' },
    element('time'),
    cell('place'),
    cell('topic'),
    cell('key'),
    cell('flag'),
    cell('value'),
  )
  return /** @type {HTMLLIElement} */ (element('li', {}, link, element('p', { class: 'note' })))
}
