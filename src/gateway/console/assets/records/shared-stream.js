// @ts-check
/**
 * Event streams that the tabs of this console share. A browser opens at most six connections of
 * HTTP/1.1 to a host, all tabs together, and a stream takes one for as long as it is open: the
 * seventh tab could not even load.
 *
 * This file is a module of the page and the script of a SharedWorker, which holds the streams of all
 * tabs. It imports nothing, since imports of a worker would lack the page's credentials.
 */

/**
 * @typedef {{ type: 'open' | 'reconnecting' | 'refused' | 'waiting' | 'lost' }
 *   | { type: 'message' | 'cursor' | 'gap' | 'error', data: string, lastEventId: string }} StreamEvent
 */
/** @typedef {(event: StreamEvent) => void} Listener */

/** Streams that are open at a time, where each takes a connection: the pages need the other ones. */
const MAX_STREAMS = 4
/** Milliseconds between two signs of life of a tab. Browsers delay those of hidden tabs by a minute. */
const PING = 20_000
/** Milliseconds without a sign of life after which a tab counts as gone, or as frozen. */
const PATIENCE = 150_000

/** One EventSource, and who listens to it. */
class Stream {
  /** @type {Map<object, Listener>} */
  listeners = new Map()
  /** The position in all partitions; empty before the first event. */
  lastEventId = ''
  isOpen = false
  /** Whether it began at the end, so that another tab that begins there may join it. */
  isLive
  /** @type {EventSource} */
  #source

  /**
   * @param {string} url
   * @param {string} records Which records it has, from wherever it began.
   * @param {boolean} isLive
   * @param {(stream: Stream) => void} onEvent Called after each event that has an id.
   */
  constructor(url, records, isLive, onEvent) {
    this.records = records
    this.isLive = isLive
    const source = new EventSource(url)
    this.#source = source
    source.onopen = () => {
      this.isOpen = true
      this.#tell({ type: 'open' })
    }
    /** @param {MessageEvent} event */
    const pass = ({ type, data, lastEventId }) => {
      if (lastEventId) this.lastEventId = lastEventId
      this.#tell(/** @type {StreamEvent} */ ({ type, data, lastEventId }))
      if (lastEventId) onEvent(this)
    }
    for (const type of ['message', 'cursor', 'gap']) source.addEventListener(type, pass)
    source.addEventListener('error', (event) => {
      if (event instanceof MessageEvent) return pass(event)
      this.isOpen = false
      const isClosed = source.readyState === EventSource.CLOSED
      this.#tell({ type: isClosed ? 'refused' : 'reconnecting' })
    })
  }

  get isClosed() {
    return this.#source.readyState === EventSource.CLOSED
  }

  close() {
    this.#source.close()
  }

  /** @param {StreamEvent} event */
  #tell(event) {
    for (const listener of [...this.listeners.values()]) listener(event)
  }
}

/** The streams of all tabs, of which those with equal records and an equal position become one. */
class Streams {
  /** @type {Set<Stream>} */
  #streams = new Set()
  /** The tabs that wait for a stream to be closed. @type {Map<object, () => void>} */
  #waiting = new Map()
  #limit

  /** @param {number} limit */
  constructor(limit) {
    this.#limit = limit
  }

  /**
   * @param {object} subscriber
   * @param {string} url
   * @param {Listener} listener
   */
  open(subscriber, url, listener) {
    const { records, isLive } = positionOf(url)
    const shared = [...this.#streams].find(
      (each) => isLive && each.isLive && !each.isClosed && each.records === records,
    )
    if (shared) {
      shared.listeners.set(subscriber, listener)
      if (shared.isOpen) listener({ type: 'open' })
      const { lastEventId } = shared
      if (lastEventId) listener({ type: 'cursor', data: '', lastEventId })
      return
    }
    for (const each of this.#streams) if (each.isClosed) this.#streams.delete(each)
    if (this.#streams.size >= this.#limit) {
      listener({ type: 'waiting' })
      this.#waiting.set(subscriber, () => this.open(subscriber, url, listener))
      return
    }
    const stream = new Stream(url, records, isLive, (each) => this.#join(each))
    stream.listeners.set(subscriber, listener)
    this.#streams.add(stream)
  }

  /** @param {object} subscriber */
  close(subscriber) {
    this.#waiting.delete(subscriber)
    for (const stream of this.#streams) {
      if (stream.listeners.delete(subscriber) && stream.listeners.size === 0) this.#end(stream)
    }
  }

  /**
   * Streams of equal records that are at an equal position have the same events from there on.
   * @param {Stream} stream
   */
  #join(stream) {
    const twin = [...this.#streams].find(
      (each) =>
        each !== stream &&
        each.isOpen &&
        each.records === stream.records &&
        each.lastEventId === stream.lastEventId,
    )
    if (!twin) return
    for (const [subscriber, listener] of stream.listeners) twin.listeners.set(subscriber, listener)
    twin.isLive ||= stream.isLive
    stream.listeners.clear()
    this.#end(stream)
  }

  /** @param {Stream} stream */
  #end(stream) {
    stream.close()
    this.#streams.delete(stream)
    // The first of them gets the place, and others may join it.
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const open of waiting) open()
  }
}

/** @param {string} url */
function positionOf(url) {
  const records = new URL(url)
  const isLive = records.searchParams.get('start') === 'latest'
  records.searchParams.delete('start')
  records.searchParams.delete('cursor')
  return { records: records.href, isLive }
}

/**
 * @typedef {{ open?: string, number?: number, close?: true, limit?: number }} Request A sign of life
 *   without `open` and `close`. `number` comes back with each event of the opened stream, since events
 *   of the one before may still be on their way.
 */

/** In the SharedWorker: serves the tabs. */
function serveTabs() {
  /** @type {Streams | undefined} */
  let streams
  /** When each tab has given its last sign of life. @type {Map<MessagePort, number>} */
  const seen = new Map()
  setInterval(() => {
    for (const [port, at] of seen) {
      if (at > performance.now() - PATIENCE) continue
      seen.delete(port)
      streams?.close(port)
      // For a frozen tab, which reads it when it is used again.
      port.postMessage({ event: { type: 'lost' } })
    }
  }, PING)
  addEventListener('connect', (event) => {
    const [port] = /** @type {MessageEvent} */ (event).ports
    if (!port) return
    port.onmessage = ({ data }) => {
      /** @type {Request} */
      const { open, number, close, limit } = data
      if (open === undefined && !close && !seen.has(port)) return
      seen.set(port, performance.now())
      streams ??= new Streams(limit ?? MAX_STREAMS)
      if (open !== undefined || close) streams.close(port)
      if (open !== undefined) {
        streams.open(port, open, (event) => port.postMessage({ event, number }))
      }
      if (close) seen.delete(port)
    }
  })
}

/** In the page: one stream at a time, from the SharedWorker where the browser has one. */
export class SharedStream {
  /** @type {MessagePort | undefined} */
  #port
  /** Without a worker. */
  #streams = new Streams(Infinity)
  /** @type {Listener} */
  #listener = () => {}
  /** @type {string | undefined} */
  #url
  /** The number of streams that were opened here. */
  #number = 0
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pings

  constructor() {
    const worker = startWorker()
    if (!worker) return
    const { port } = worker
    this.#port = port
    port.onmessage = ({ data: { event, number } }) => {
      if (number === undefined || number === this.#number) this.#listener(event)
    }
    worker.onerror = () => this.#withoutWorker()
    this.#pings = setInterval(() => port.postMessage({}), PING)
  }

  /** Closes the stream and the connection to the worker. */
  end() {
    this.close()
    clearInterval(this.#pings)
    this.#port?.close()
  }

  /**
   * Opens a stream in place of the one before.
   * @param {URL} url
   * @param {Listener} listener
   */
  open(url, listener) {
    this.close()
    this.#url = url.href
    this.#listener = listener
    this.#number++
    if (this.#port) this.#send({ open: this.#url, number: this.#number })
    else this.#streams.open(this, this.#url, listener)
  }

  close() {
    if (this.#url === undefined) return
    this.#url = undefined
    this.#listener = () => {}
    if (this.#port) this.#send({ close: true })
    else this.#streams.close(this)
  }

  /** @param {Request} request */
  #send(request) {
    this.#port?.postMessage({ ...request, limit: connectionLimit() })
  }

  /** A worker that cannot be loaded, as behind a proxy that refuses it. */
  #withoutWorker() {
    this.#port = undefined
    if (this.#url !== undefined) this.#streams.open(this, this.#url, this.#listener)
  }
}

/** @returns {SharedWorker | undefined} */
function startWorker() {
  if (!('SharedWorker' in globalThis)) return undefined
  try {
    return new SharedWorker(scriptUrl(import.meta.url), { type: 'module', name: 'streams' })
  } catch {
    return undefined
  }
}

/** Where the page's policy wants trusted types, this one trusts the file that asks. @param {string} url */
function scriptUrl(url) {
  const { trustedTypes } = /** @type {any} */ (globalThis)
  if (!trustedTypes) return url
  return trustedTypes.createPolicy('worker', { createScriptURL: () => url }).createScriptURL(url)
}

/** Over HTTP/2 and HTTP/3 all streams share one connection. */
function connectionLimit() {
  const [navigation] = performance.getEntriesByType('navigation')
  const protocol = /** @type {PerformanceNavigationTiming | undefined} */ (navigation)
    ?.nextHopProtocol
  return protocol === 'h2' || protocol === 'h3' ? 50 : MAX_STREAMS
}

if ('SharedWorkerGlobalScope' in globalThis) serveTabs()
