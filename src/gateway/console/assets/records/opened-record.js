// @ts-check
/** The record that is opened beside the list, by the address: from the list, or from Kafka. */
import { linkTo } from '../router.js'
import { curlOfRecord } from './curl.js'
import { RecordDetail } from './detail.js'
import { pageUrl, readPage } from './pages.js'
import { parametersOf, placeOf, requestOfRecord } from './query.js'

/** @typedef {import('./query.js').Query} Query */
/** @typedef {import('./sources.js').Source} Source */
/** @typedef {import('./list.js').Entry} Entry */
/** @typedef {import('./record.js').KafkaRecord} KafkaRecord */
/** @typedef {{ close(): void, move(step: number): void }} Actions */

export class OpenedRecord {
  #detail
  #actions
  /** @type {KafkaRecord | undefined} */
  #shown
  /** The place that is being read. @type {string | undefined} */
  #asked
  /** Ends the read. */
  #reading = new AbortController()

  /**
   * @param {HTMLElement} place
   * @param {Actions} actions
   */
  constructor(place, actions) {
    this.#detail = new RecordDetail(place)
    this.#actions = actions
  }

  /**
   * Shows the record of a query.
   * @param {Query} query
   * @param {Source | undefined} source
   * @param {readonly Entry[]} entries Those of the list.
   */
  show(query, source, entries) {
    const { record: place } = query
    if (place === undefined) return this.close()
    if (this.#shown && placeOf(this.#shown) === place) return
    const entry = entries.find((each) => 'record' in each && placeOf(each.record) === place)
    if (!source) return
    if (entry && 'record' in entry) this.#showRecord(query, source, entry.record)
    else if (this.#asked !== place) void this.#read(query, source, place)
  }

  close() {
    this.#reading.abort()
    this.#shown = undefined
    this.#asked = undefined
  }

  /** @param {Query} query @param {Source} source @param {string} place */
  async #read(query, source, place) {
    this.close()
    this.#asked = place
    this.#reading = new AbortController()
    const { signal } = this.#reading
    const tell = (/** @type {string} */ message) => {
      if (!signal.aborted) this.#detail.showMessage(message, this.#actions.close)
    }
    const request = requestOfRecord(place)
    if (!request) return tell('The address does not name a record.')
    tell('Reading …')
    try {
      const { records } = await readPage(source, pageUrl(source, [], request, 1), 1, signal)
      const record = records.find((each) => placeOf(each) === place)
      if (!record) tell('Kafka does not have this record, or does not have it any more.')
      else if (!signal.aborted) this.#showRecord(query, source, record)
    } catch (error) {
      tell(/** @type {Error} */ (error).message)
    }
  }

  /** @param {Query} query @param {Source} source @param {KafkaRecord} record */
  #showRecord(query, source, record) {
    this.close()
    this.#shown = record
    this.#detail.show({
      record,
      curl: record.isFormatted ? undefined : curlOfRecord(source, record),
      link: linkTo(parametersOf({ ...query, record: placeOf(record) })),
      ...this.#actions,
    })
  }
}
