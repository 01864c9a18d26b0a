// @ts-check
/** The view of records. */
import { html, render } from 'lit-html'
import { byId } from '../dom.js'
import { gatewayStatus, onStatus } from '../gateway-status.js'
import { Tail } from './tail.js'

/** @typedef {import('../views.js').OpenView} OpenView */

/**
 * @param {HTMLElement} place
 * @returns {OpenView}
 */
export function openView(place) {
  render(page, place)
  const tail = new Tail()
  const offer = () => {
    const status = gatewayStatus()
    if (!status) return
    tail.offer(status.routes)
    const { cluster, topics } = tail.route ?? {}
    const known = status.clusters.find(({ name }) => name === cluster)?.topics ?? []
    const partitions = known
      .filter(({ name }) => topics?.includes(name))
      .map((topic) => topic.partitions.length)
    tail.offerPartitions(Math.max(0, ...partitions))
  }
  const endStatus = onStatus(offer)
  byId('filter').addEventListener('keydown', clearFilter)
  return {
    show: offer,
    close: () => {
      endStatus()
      tail.close()
    },
    keys: [
      { key: ' ', text: 'pause, or go on', act: () => tail.toggle() },
      { key: '/', text: 'filter', act: () => byId('filter').focus() },
      { key: 'j', text: 'next record', act: () => move(1) },
      { key: 'k', text: 'previous record', act: () => move(-1) },
      { key: 'Enter', text: 'open or close a record' },
      { key: 'c', text: 'copy what is shown as curl', act: () => tail.copyCurl() },
    ],
  }
}

/** @param {KeyboardEvent} event */
function clearFilter(event) {
  if (event.key !== 'Escape') return
  const input = byId('filter')
  input.value = ''
  input.dispatchEvent(new Event('input'))
  input.blur()
}

/** @param {number} step */
function move(step) {
  const rows = /** @type {HTMLElement[]} */ ([
    ...document.querySelectorAll('#records > li:not([hidden]) > .row'),
  ])
  const index = rows.indexOf(/** @type {HTMLElement} */ (document.activeElement))
  const next = index < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, index + step))
  rows[next]?.focus()
  rows[next]?.scrollIntoView({ block: 'nearest' })
}

const STARTS = [
  ['latest', 'now'],
  ['-1m', '1 minute ago'],
  ['-10m', '10 minutes ago'],
  ['-1h', '1 hour ago'],
  ['-1d', '1 day ago'],
  ['earliest', 'the oldest record'],
  ['time', 'a time …'],
]

const page = html`<section class="panel tail" aria-label="Live view of records">
  <div class="head">
    <h2>Records</h2>
    <p class="state" id="state" role="status" data-state="wait">…</p>
    <p class="count" id="count"></p>
    <button type="button" id="curl">Copy as curl</button>
    <button type="button" id="clear">Clear</button>
    <button type="button" id="pause" class="main" disabled>Pause</button>
  </div>
  <div class="tools">
    <label>Route <select id="route"></select></label>
    <label>Partition <select id="partition"><option value="">all</option></select></label>
    <label>From <select id="start">${STARTS.map(
      ([value, text]) => html`<option value=${value}>${text}</option>`,
    )}</select></label>
    <label id="time-label" hidden>Time <input type="datetime-local" id="time" step="1"></label>
    <label class="grow">Filter <input
      type="search"
      id="filter"
      placeholder="key, value or header"
      autocomplete="off"
      spellcheck="false"
    ></label>
  </div>
  <div class="frame">
    <button type="button" class="newest" id="newest" hidden>↑ newest</button>
    <ol class="records" id="records"></ol>
  </div>
  <p class="empty" id="no-records">No records yet.</p>
</section>`
