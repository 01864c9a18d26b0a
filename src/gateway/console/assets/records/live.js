// @ts-check
/** Records as they come: by one stream that tabs share, or by reads that wait, where no route streams. */
import { withCredentials } from '../credentials.js'
import { pageUrl, RefusedError, readable, readPage } from './pages.js'
import { formattedIn, recordsIn } from './record.js'
import { SharedStream } from './shared-stream.js'

/** @typedef {import('./sources.js').Source} Source */
/** @typedef {import('./record.js').KafkaRecord} KafkaRecord */
/** @typedef {import('./pages.js').Gap} Gap */
/** @typedef {import('./pages.js').Parameters} Parameters */
/**
 * @typedef {{
 *   onRecords(records: readonly KafkaRecord[]): void,
 *   onGap(gap: Gap): void,
 *   onBegin(cursor: string): void,
 *   onState(state: 'live' | 'wait' | 'error', text: string, why?: string): void,
 * }} LiveListener `onBegin` is called once, with the position from which on records come.
 */

/** Milliseconds between two attempts when the server refuses, at first and at most. */
const RETRY = 1_000
const RETRY_MAX = 10_000
/** Milliseconds for which a read waits for records to come. */
const WAIT = 20_000
/** Records of a read that waits. */
const READ_SIZE = 1_000
const TOO_MANY =
  'Other tabs read at other positions, and a browser opens six connections of HTTP/1.1 to a host. HTTPS with HTTP/2 has no such limit.'

export class LiveRecords {
  #source
  #selection
  #listener
  /** @type {SharedStream | undefined} */
  #stream
  /** Where to go on: the id of the last event. */
  #cursor = ''
  #delay = RETRY
  /** Formatted records that came, which have no other number. */
  #received = 0
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry
  /** Ends the read or the attempt that is in progress. */
  #ended = new AbortController()

  /**
   * @param {Source} source
   * @param {Parameters} selection
   * @param {LiveListener} listener
   */
  constructor(source, selection, listener) {
    this.#source = source
    this.#selection = selection
    this.#listener = listener
    if (source.stream !== undefined) this.#stream = new SharedStream()
    this.resume()
  }

  /** The position after the newest record that came. */
  get cursor() {
    return this.#cursor
  }

  /** Goes on where it was. */
  resume() {
    this.#ended = new AbortController()
    this.#listener.onState('wait', 'connecting …')
    if (!this.#stream) void this.#poll(this.#ended.signal)
    else this.#stream.open(withCredentials(this.#url()), (event) => this.#onEvent(event))
  }

  pause() {
    clearTimeout(this.#retry)
    this.#ended.abort()
    this.#stream?.close()
  }

  /** Ends it for good. */
  close() {
    this.pause()
    this.#stream?.end()
  }

  #url() {
    const url = new URL(this.#source.stream ?? '/', location.origin)
    if (this.#cursor === '') url.searchParams.set('start', 'latest')
    else url.searchParams.set('cursor', this.#cursor)
    for (const [name, value] of this.#selection) url.searchParams.append(name, value)
    return readable(url)
  }

  /** @param {string} cursor */
  #moveTo(cursor) {
    if (cursor === '') return
    const isFirst = this.#cursor === ''
    this.#cursor = cursor
    if (isFirst) this.#listener.onBegin(cursor)
  }

  /** @param {import('./shared-stream.js').StreamEvent} event */
  #onEvent(event) {
    switch (event.type) {
      case 'open':
        this.#delay = RETRY
        return this.#listener.onState('live', 'live')
      case 'message':
        this.#listener.onRecords(this.#recordsIn(event.data))
        return this.#moveTo(event.lastEventId)
      // A position without a record: at the beginning, and past what a filter leaves out.
      case 'cursor':
        return this.#moveTo(event.lastEventId)
      case 'gap':
        this.#moveTo(event.lastEventId)
        return this.#listener.onGap(JSON.parse(event.data))
      case 'error':
        return this.#listener.onState('error', 'waiting …', JSON.parse(event.data).message)
      case 'reconnecting':
        return this.#listener.onState('wait', 'reconnecting …')
      case 'waiting':
        return this.#listener.onState('wait', 'waiting for other tabs …', TOO_MANY)
      case 'lost':
        return this.resume()
      case 'refused':
        return void this.#refused(this.#ended.signal)
    }
  }

  /** @param {readonly KafkaRecord[]} records */
  #numbered(records) {
    if (!this.#source.hasOwnFormat) return records
    return records.map((record) => ({ ...record, offset: this.#received++ }))
  }

  /** @param {string} data */
  #recordsIn(data) {
    if (!this.#source.hasOwnFormat) return recordsIn(`{"records":[${data}]}`).records
    return formattedIn(`[${data}]`, this.#received++)
  }

  /**
   * An `EventSource` gives up at an answer that is not a stream, and does not report the answer.
   * @param {AbortSignal} signal
   */
  async #refused(signal) {
    this.#stream?.close()
    const controller = new AbortController()
    let error = new RefusedError('The gateway cannot be reached', 0)
    try {
      const response = await fetch(withCredentials(this.#url()), {
        headers: { accept: 'text/event-stream' },
        signal: controller.signal,
      })
      if (!response.ok) {
        const { message } = await response.json().catch(() => ({}))
        error = new RefusedError(message ?? `status ${response.status}`, response.status)
      }
      controller.abort()
    } catch {
      // The error of a gateway without an answer.
    }
    if (signal.aborted) return
    this.#failed(error)
    if (error.isPassing) this.#retryLater()
  }

  /** @param {RefusedError} error */
  #failed(error) {
    this.#listener.onState('error', error.state, error.message)
  }

  #retryLater() {
    this.#retry = setTimeout(() => this.resume(), this.#delay)
    this.#delay = Math.min(this.#delay * 2, RETRY_MAX)
  }

  /** Reads that wait for records, one after the other. @param {AbortSignal} signal */
  async #poll(signal) {
    try {
      while (!signal.aborted) {
        const isFirst = this.#cursor === ''
        /** @type {Parameters} */
        const position = isFirst ? [['start', 'latest']] : [['cursor', this.#cursor]]
        const url = pageUrl(this.#source, this.#selection, position, READ_SIZE)
        url.searchParams.set('timeout', String(isFirst ? 0 : WAIT))
        const { records, gaps, cursor } = await readPage(this.#source, url, READ_SIZE, signal)
        this.#delay = RETRY
        this.#listener.onState('live', 'live')
        for (const gap of gaps) this.#listener.onGap(gap)
        if (records.length > 0) this.#listener.onRecords(this.#numbered(records))
        this.#moveTo(cursor)
      }
    } catch (error) {
      if (signal.aborted || !(error instanceof RefusedError)) return
      this.#failed(error)
      if (error.isPassing) this.#retryLater()
    }
  }
}
