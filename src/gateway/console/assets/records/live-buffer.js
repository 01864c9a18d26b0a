// @ts-check
/** The newest records of a live view, and which of them the list shows while somebody reads it. */

import { textOf } from './record.js'

/** @typedef {import('./list.js').Entry} Entry */
/** @typedef {import('./list.js').RecordList} RecordList */

/** The most entries and characters that are kept. Overflow policy: the oldest go. */
const MAX_ENTRIES = 5_000
const MAX_CHARACTERS = 64 * 1024 * 1024
/** Milliseconds after the last move of a pointer for which the list stands still. */
const POINTER_REST = 10_000
/** Milliseconds between two changes of the list: nobody reads more, and frames stay free for the rest. */
const MERGE = 100

export class LiveBuffer {
  /** The newest first. @type {Entry[]} */
  #entries = []
  /** Came since the last change of the list, the newest last. @type {Entry[]} */
  #fresh = []
  /** Entries that came since the list stands still. */
  #unseen = 0
  #isDue = false
  #movedAt = -Infinity
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #resting
  #list
  #place
  #onChange
  #closed = new AbortController()

  /**
   * @param {RecordList} list
   * @param {() => void} onChange Called after a change of {@link unseen} or {@link entries}.
   */
  constructor(list, onChange) {
    const { place } = list
    this.#list = list
    this.#place = place
    this.#onChange = onChange
    const { signal } = this.#closed
    const touch = () => {
      this.#movedAt = performance.now()
    }
    const leave = () => {
      this.#movedAt = -Infinity
      this.#schedule()
    }
    place.addEventListener('pointermove', touch, { signal, passive: true })
    place.addEventListener('pointerdown', touch, { signal, passive: true })
    place.addEventListener('pointerleave', leave, { signal })
    place.addEventListener('focusout', () => this.#schedule(), { signal })
    place.addEventListener('scroll', () => this.#schedule(), { signal, passive: true })
    document.addEventListener('visibilitychange', () => this.#schedule(), { signal })
  }

  /** Whether a record is opened, which must not move away. */
  isRead = false

  /** Entries that came since the list stands still. */
  get unseen() {
    return this.#unseen
  }

  /** The newest first. @returns {readonly Entry[]} */
  get entries() {
    return this.#entries
  }

  /** @param {readonly Entry[]} entries The newest last. */
  add(entries) {
    this.#fresh.push(...entries)
    if (this.#fresh.length > MAX_ENTRIES) this.#fresh.splice(0, this.#fresh.length - MAX_ENTRIES)
    this.#schedule()
  }

  /** Adds entries that are older than all others. @param {readonly Entry[]} entries The newest first. */
  addOlder(entries) {
    this.#entries = this.#trimmed([...this.#entries, ...entries])
    this.#list.show(this.#entries)
    this.#onChange()
  }

  /** Shows what came since the list stands still, and lets it flow. */
  release() {
    this.#movedAt = -Infinity
    this.#place.scrollTop = 0
    const focused = document.activeElement
    if (focused instanceof HTMLElement && this.#place.contains(focused)) focused.blur()
    this.#schedule()
  }

  close() {
    clearTimeout(this.#resting)
    this.#closed.abort()
  }

  /** Whether the list must not move, since somebody reads it or is about to click. */
  get #isHeld() {
    const { activeElement } = document
    return (
      this.isRead ||
      this.#place.scrollTop > 0 ||
      performance.now() - this.#movedAt < POINTER_REST ||
      (activeElement !== this.#place && this.#place.contains(activeElement))
    )
  }

  #schedule() {
    if (this.#isDue || this.#closed.signal.aborted) return
    this.#isDue = true
    // Not by animation frames: a page in the background has none, and would pile records up.
    setTimeout(() => {
      this.#isDue = false
      if (!this.#closed.signal.aborted) this.#merge()
    }, MERGE)
  }

  #merge() {
    const fresh = this.#fresh.toReversed()
    this.#fresh = []
    if (fresh.length > 0) this.#entries = this.#trimmed([...fresh, ...this.#entries])
    if (this.#isHeld && this.#entries.length > fresh.length) this.#unseen += fresh.length
    else {
      this.#unseen = 0
      this.#list.show(this.#entries)
    }
    this.#onChange()
    // The pointer may come to rest without another event.
    clearTimeout(this.#resting)
    if (this.#unseen > 0) this.#resting = setTimeout(() => this.#schedule(), POINTER_REST)
  }

  /** @param {Entry[]} entries */
  #trimmed(entries) {
    let characters = 0
    let kept = 0
    while (kept < entries.length && kept < MAX_ENTRIES) {
      characters += sizeOf(/** @type {Entry} */ (entries[kept]))
      if (characters > MAX_CHARACTERS && kept > 0) break
      kept++
    }
    return kept < entries.length ? entries.slice(0, kept) : entries
  }
}

/** @type {WeakMap<Entry, number>} */
const sizes = new WeakMap()

/** The characters of an entry, or nearly so. @param {Entry} entry */
function sizeOf(entry) {
  if ('note' in entry) return entry.note.length
  const known = sizes.get(entry)
  if (known !== undefined) return known
  const { key, value, headers } = entry.record
  const size =
    100 +
    [key, value, headers].reduce((/** @type {number} */ sum, part) => sum + textOf(part).length, 0)
  sizes.set(entry, size)
  return size
}
