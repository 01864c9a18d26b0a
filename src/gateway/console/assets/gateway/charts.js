// @ts-check
/** The charts of the last five minutes, computed from `/metrics`. */
import { byId } from '../dom.js'
import { bytes, duration, rate } from '../format.js'

/** @typedef {Record<string, number>} Samples Values by series, as the exposition writes them. */
/** @typedef {{ at: number, samples: Samples }} Scrape */

const KEEP = 300
/** The window of a rate, in seconds. */
const WINDOW = 6
/** The window of latencies, in seconds. */
const LATENCY_WINDOW = 30

export const FIGURES = {
  records: { name: 'Records sent', unit: '/s', format: rate, color: '--plot-1' },
  bytes: { name: 'Bytes sent', unit: '/s', format: bytes, color: '--plot-2' },
  subscribers: { name: 'Open streams', unit: '', format: rate, color: '--plot-3' },
  latency: { name: 'Latency, p99', unit: '', format: duration, color: '--plot-4' },
}

/** @typedef {keyof typeof FIGURES} Name */

export class Charts {
  /** @type {Scrape[]} */
  #scrapes = []
  /** @type {number[]} */
  #times = []
  /** @type {Record<Name, Array<number | null>>} */
  #values = { records: [], bytes: [], subscribers: [], latency: [] }
  /** @type {Map<Name, any>} */
  #plots = new Map()

  #observer = new ResizeObserver(() => this.#resize())
  #isClosed = false

  constructor() {
    for (const name of this.#names()) this.#observer.observe(byId(`${name}-plot`))
    void loadPlots().then(() => {
      if (!this.#isClosed) this.draw()
    })
  }

  /** Ends the charts, before another view is shown. */
  close() {
    this.#isClosed = true
    this.#observer.disconnect()
    for (const plot of this.#plots.values()) plot.destroy()
  }

  /**
   * Adds a scrape.
   * @param {string} text
   */
  add(text) {
    const at = Date.now() / 1_000
    const last = this.#scrapes.at(-1)
    const samples = parse(text)
    // After a restart the counters start at 0: earlier scrapes cannot be compared.
    if (last && sumOf(samples, 'records_total') < sumOf(last.samples, 'records_total')) {
      this.#scrapes = []
    }
    this.#scrapes.push({ at, samples })
    while (this.#scrapes.length > KEEP) this.#scrapes.shift()
    this.#point(at, {
      records: this.#rate('records_total'),
      bytes: this.#rate('sent_bytes_total'),
      subscribers: sumOf(samples, 'subscribers'),
      latency: this.#latency(),
    })
  }

  /** Shows that no metrics are available now. */
  miss() {
    this.#scrapes = []
    this.#point(Date.now() / 1_000, {
      records: null,
      bytes: null,
      subscribers: null,
      latency: null,
    })
  }

  /** Draws again, as after a change of colours. */
  draw() {
    if (!('uPlot' in globalThis)) return
    for (const name of this.#names()) {
      this.#plots.get(name)?.destroy()
      this.#plots.set(
        name,
        plot(name, this.#data(name), (index) => this.#show(name, index)),
      )
    }
  }

  /**
   * @param {number} at
   * @param {Record<Name, number | null>} values
   */
  #point(at, values) {
    if (this.#isClosed) return
    this.#times.push(at)
    for (const name of this.#names()) this.#values[name].push(values[name])
    if (this.#times.length > KEEP / 2) {
      this.#times.shift()
      for (const name of this.#names()) this.#values[name].shift()
    }
    for (const name of this.#names()) {
      this.#plots.get(name)?.setData(this.#data(name))
      this.#show(name)
    }
  }

  /**
   * @param {Name} name
   * @param {number | null | undefined} [index] Of the point that is pointed at.
   */
  #show(name, index) {
    const values = this.#values[name]
    const value = values[index ?? values.length - 1]
    byId(`${name}-value`).textContent =
      value === null || value === undefined ? '–' : FIGURES[name].format(value)
  }

  /** @param {Name} name */
  #data(name) {
    return [this.#times, this.#values[name]]
  }

  /** @returns {Name[]} */
  #names() {
    return /** @type {Name[]} */ (Object.keys(FIGURES))
  }

  #resize() {
    for (const [name, it] of this.#plots) {
      const { clientWidth, clientHeight } = byId(`${name}-plot`)
      if (clientWidth > 0) it.setSize({ width: clientWidth, height: clientHeight })
    }
  }

  /** @param {string} metric */
  #rate(metric) {
    const { now, before } = this.#span(WINDOW)
    if (!before) return null
    return (sumOf(now.samples, metric) - sumOf(before.samples, metric)) / (now.at - before.at)
  }

  /** The 99th percentile, as Prometheus's histogram_quantile finds it. */
  #latency() {
    const { now, before } = this.#span(LATENCY_WINDOW)
    if (!before) return null
    const after = bucketsOf(now.samples)
    const first = bucketsOf(before.samples)
    const counts = [...after].map(([bound, value]) => ({
      bound,
      below: value - (first.get(bound) ?? 0),
    }))
    counts.sort((a, b) => a.bound - b.bound)
    const all = counts.at(-1)?.below ?? 0
    if (all <= 0) return null
    const rank = 0.99 * all
    let lower = { bound: 0, below: 0 }
    for (const bucket of counts) {
      if (bucket.below >= rank) {
        if (bucket.bound === Infinity) return lower.bound
        const share = (rank - lower.below) / (bucket.below - lower.below)
        return lower.bound + (bucket.bound - lower.bound) * share
      }
      lower = bucket
    }
    return null
  }

  /**
   * The last scrape, and the one that is so many seconds older or nearly so.
   * @param {number} seconds
   * @returns {{ now: Scrape, before: Scrape | undefined }}
   */
  #span(seconds) {
    const now = /** @type {Scrape} */ (this.#scrapes.at(-1))
    const before = this.#scrapes.find(({ at }) => at >= now.at - seconds)
    return { now, before: before === now ? undefined : before }
  }
}

/** @type {Promise<void> | undefined} */
let loading

/** Loads the library that draws: it is larger than all else of the page, and only this view needs it. */
function loadPlots() {
  loading ??= new Promise((resolve) => {
    const style = document.createElement('link')
    style.rel = 'stylesheet'
    style.href = fileUrl('uplot.css')
    const script = document.createElement('script')
    script.src = trusted(fileUrl('uplot.js'))
    script.addEventListener('load', () => resolve())
    document.head.append(style, script)
  })
  return loading
}

/** A file of this page, with the query of this module, which may hold credentials. @param {string} name */
function fileUrl(name) {
  const url = new URL(`../${name}`, import.meta.url)
  url.search = new URL(import.meta.url).search
  return url.href
}

/** Where the page's policy wants trusted types, this one trusts the file that asks. @param {string} url */
function trusted(url) {
  const { trustedTypes } = /** @type {any} */ (globalThis)
  if (!trustedTypes) return url
  return trustedTypes.createPolicy('charts', { createScriptURL: () => url }).createScriptURL(url)
}

/**
 * @param {Name} name
 * @param {unknown} data
 * @param {(index: number | null | undefined) => void} onPoint
 */
function plot(name, data, onPoint) {
  const place = byId(`${name}-plot`)
  const style = getComputedStyle(document.documentElement)
  /** @param {string} variable */
  const color = (variable) => {
    // Custom properties are texts: a real one turns light-dark() into a colour.
    place.style.color = `var(${variable})`
    const found = getComputedStyle(place).color
    place.style.color = ''
    return found
  }
  const line = color(FIGURES[name].color)
  const uPlot = /** @type {any} */ (globalThis).uPlot
  return new uPlot(
    {
      width: place.clientWidth || 240,
      height: place.clientHeight || 72,
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false }, points: { size: 5 } },
      padding: [6, 2, 7, 2],
      scales: {
        x: { time: true },
        y: {
          range: (
            /** @type {unknown} */ _,
            /** @type {number | null} */ __,
            /** @type {number | null} */ max,
          ) => [0, max ? max * 1.1 : 1],
        },
      },
      axes: [
        { show: false },
        {
          size: 54,
          gap: 4,
          space: 26,
          incrs:
            name === 'subscribers'
              ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4]
              : undefined,
          stroke: color('--quiet'),
          font: `11px ${style.getPropertyValue('--sans')}`,
          grid: { stroke: color('--line'), width: 1 },
          ticks: { show: false },
          values: (/** @type {unknown} */ _, /** @type {number[]} */ ticks) =>
            ticks.map((tick) => FIGURES[name].format(tick)),
        },
      ],
      series: [
        {},
        {
          stroke: line,
          width: 1.5,
          fill: line.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.10)'),
          points: { show: false },
        },
      ],
      hooks: { setCursor: [(/** @type {any} */ it) => onPoint(it.cursor.idx)] },
    },
    data,
    place,
  )
}

const LINE = /^hono_kafka_(\S+?)(\{.*\})? (\S+)$/gm

/**
 * @param {string} text
 * @returns {Samples}
 */
function parse(text) {
  /** @type {Samples} */
  const samples = {}
  for (const [, name = '', labels = '', value] of text.matchAll(LINE)) {
    samples[name + labels] = Number(value)
  }
  return samples
}

/**
 * @param {Samples} samples
 * @param {string} metric
 */
function sumOf(samples, metric) {
  let sum = 0
  for (const [series, value] of Object.entries(samples)) {
    if (series === metric || series.startsWith(`${metric}{`)) sum += value
  }
  return sum
}

/** @param {Samples} samples */
function bucketsOf(samples) {
  /** @type {Map<number, number>} */
  const buckets = new Map()
  for (const [series, value] of Object.entries(samples)) {
    if (!series.startsWith('event_latency_seconds_bucket{')) continue
    const le = /le="([^"]+)"/.exec(series)?.[1]
    const bound = le === '+Inf' ? Infinity : Number(le)
    buckets.set(bound, (buckets.get(bound) ?? 0) + value)
  }
  return buckets
}
