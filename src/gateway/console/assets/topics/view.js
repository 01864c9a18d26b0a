// @ts-check
/** The view of topics: sizes, rates and lag of each, by `/status`. */
import { html, render } from 'lit-html'
import { byId, element } from '../dom.js'
import { count, rate } from '../format.js'
import { gatewayStatus, onStatus } from '../gateway-status.js'

/** @typedef {import('../gateway-status.js').Topic} Topic */
/** @typedef {import('../gateway-status.js').Status} Status */
/** @typedef {import('../views.js').OpenView} OpenView */

/** The window of a rate, in milliseconds. */
const WINDOW = 10_000

/**
 * @param {HTMLElement} place
 * @returns {OpenView}
 */
export function openView(place) {
  render(page, place)
  const table = new TopicTable()
  const draw = () => {
    const status = gatewayStatus()
    if (status) table.show(status)
  }
  const endStatus = onStatus(draw)
  return { show: draw, close: endStatus }
}

const NUMBERS = ['Records', 'End', 'Rate', 'Lag']

const page = html`<section class="panel" aria-labelledby="topics-title">
  <h2 id="topics-title">Topics</h2>
  <div class="wide-table" tabindex="0" role="region" aria-labelledby="topics-title">
  <table class="topics">
    <thead>
      <tr>
        <th scope="col">Topic</th>
        <th scope="col" class="number wide">Partitions</th>
        ${NUMBERS.map((name) => html`<th scope="col" class="number">${name}</th>`)}
      </tr>
    </thead>
    <tbody id="topics"></tbody>
  </table>
  </div>
  <p class="empty" id="no-topics">Nothing is known of topics yet.</p>
</section>`

class TopicTable {
  /** Ends of partitions over the last seconds. @type {Array<{ at: number, ends: Map<string, number> }>} */
  #before = []
  /** Topics whose partitions are shown. @type {Set<string>} */
  #open = new Set()
  /** @type {Status | undefined} */
  #last

  /** @param {Status} status */
  show(status) {
    this.#last = status
    this.#remember(status)
    this.#topics(status)
  }

  /** @param {Status} status */
  #remember({ clusters }) {
    const ends = new Map()
    for (const { name, topics } of clusters) {
      for (const topic of topics) {
        for (const { partition, end } of topic.partitions)
          ends.set(keyOf(name, topic.name, partition), end)
      }
    }
    const now = performance.now()
    this.#before.push({ at: now, ends })
    while ((this.#before[1]?.at ?? now) < now - WINDOW) this.#before.shift()
  }

  /**
   * Records per second.
   * @param {string} key
   * @param {number} end
   */
  #rate(key, end) {
    const [first] = this.#before
    const begin = first?.ends.get(key)
    const seconds = (performance.now() - (first?.at ?? 0)) / 1_000
    if (begin === undefined || seconds < 1) return undefined
    return Math.max(0, end - begin) / seconds
  }

  /** @param {Status} status */
  #topics({ clusters, groups }) {
    /** @type {Map<string, number>} */
    const lags = new Map()
    for (const { cluster, partitions } of groups) {
      for (const { topic, partition, lag } of partitions) {
        const key = keyOf(cluster, topic, partition)
        if (lag !== undefined) lags.set(key, (lags.get(key) ?? 0) + lag)
      }
    }
    const rows = clusters.flatMap(({ name: cluster, topics }) =>
      topics.flatMap((topic) => this.#topic(cluster, topic, lags)),
    )
    byId('topics').replaceChildren(...rows)
    byId('no-topics').hidden = rows.length > 0
  }

  /**
   * @param {string} cluster
   * @param {Topic} topic
   * @param {Map<string, number>} lags
   */
  #topic(cluster, { name, partitions }, lags) {
    const key = keyOf(cluster, name, 0)
    const isOpen = this.#open.has(key)
    const toggle = element(
      'button',
      { type: 'button', class: 'open', 'aria-expanded': String(isOpen) },
      name,
    )
    toggle.addEventListener('click', () => {
      if (!this.#open.delete(key)) this.#open.add(key)
      if (this.#last) this.#topics(this.#last)
    })
    const each = partitions.map(({ partition, start, end }) => {
      const id = keyOf(cluster, name, partition)
      return { partition, start, end, rate: this.#rate(id, end), lag: lags.get(id) }
    })
    const all = [
      element(
        'tr',
        {},
        element('th', { scope: 'row' }, toggle),
        number(count(each.length), 'wide'),
        number(count(sum(each.map(({ start, end }) => end - start)) ?? 0)),
        number(count(sum(each.map(({ end }) => end)) ?? 0)),
        number(perSecond(sum(each.map(({ rate }) => rate)))),
        number(orNone(sum(each.map(({ lag }) => lag)))),
      ),
    ]
    if (!isOpen) return all
    return [
      ...all,
      ...each.map((it) =>
        element(
          'tr',
          { class: 'partition' },
          element('th', { scope: 'row' }, `partition ${it.partition}`),
          number('', 'wide'),
          number(count(it.end - it.start)),
          number(count(it.end)),
          number(perSecond(it.rate)),
          number(orNone(it.lag)),
        ),
      ),
    ]
  }
}

/**
 * @param {string} text
 * @param {string} [more] A class.
 */
function number(text, more = '') {
  return element('td', { class: `number ${more}` }, text)
}

/** @param {number | undefined} value */
function perSecond(value) {
  return value === undefined ? '–' : `${rate(value)}/s`
}

/** @param {number | undefined} value */
function orNone(value) {
  return value === undefined ? '–' : count(value)
}

/** The sum of the known values. @param {Array<number | undefined>} values */
function sum(values) {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : known.reduce((all, value) => all + value, 0)
}

/** @param {string} cluster @param {string} topic @param {number} partition */
function keyOf(cluster, topic, partition) {
  return JSON.stringify([cluster, topic, partition])
}
