// @ts-check
/** The view of the gateway itself: metrics of the last minutes, and the routes. */
import { html, render } from 'lit-html'
import { withCredentials } from '../credentials.js'
import { copy, every } from '../dom.js'
import { count, shellWord } from '../format.js'
import { gatewayStatus, onStatus } from '../gateway-status.js'
import { Charts, FIGURES } from './charts.js'

/** @typedef {import('../gateway-status.js').StatusRoute} StatusRoute */
/** @typedef {import('../views.js').OpenView} OpenView */

const INTERVAL = 2_000

/**
 * @param {HTMLElement} place
 * @returns {OpenView}
 */
export function openView(place) {
  /** @type {string | undefined} */
  let refusal
  const draw = () => render(page(gatewayStatus()?.routes ?? [], refusal), place)
  draw()
  const charts = new Charts()
  const closed = new AbortController()
  const endStatus = onStatus(draw)
  const metrics = document.documentElement.dataset['metrics'] ?? '/metrics'
  void every(
    INTERVAL,
    async () => {
      try {
        const response = await fetch(withCredentials(metrics))
        refusal = response.ok ? undefined : NO_METRICS
        if (response.ok) charts.add(await response.text())
        draw()
      } catch {
        charts.miss()
      }
    },
    closed.signal,
  )
  return {
    show: draw,
    restyle: () => charts.draw(),
    close: () => {
      closed.abort()
      endStatus()
      charts.close()
    },
  }
}

/** The modes of routes that curl can read. */
const READ_BY_CURL = ['http-get', 'server-sent-events', 'auto']

const NO_METRICS =
  'There are no metrics: they are switched off, or your credentials do not allow them.'

/**
 * @param {readonly StatusRoute[]} routes
 * @param {string | undefined} refusal
 */
const page = (
  routes,
  refusal,
) => html`<section class="panel figures" aria-label="Metrics of the last five minutes">
    ${Object.entries(FIGURES).map(
      ([id, { name, unit }]) => html`<div class="figure">
        <h2>${name}</h2>
        <p class="value"><output id="${id}-value">–</output><span class="unit">${unit}</span></p>
        <div class="plot" id="${id}-plot" aria-hidden="true"></div>
      </div>`,
    )}
    <p class="empty" id="no-metrics" ?hidden=${refusal === undefined}>${refusal}</p>
  </section>
  <section class="panel" aria-labelledby="routes-title">
    <h2 id="routes-title">Routes</h2>
    <div class="wide-table" tabindex="0" role="region" aria-label="Table of routes">
    <table>
      <thead>
        <tr>
          <th scope="col">Route</th>
          <th scope="col">Topics</th>
          <th scope="col" class="number">Streams</th>
        </tr>
      </thead>
      <tbody id="routes">${routes.map(row)}</tbody>
    </table>
    </div>
    <p class="empty" ?hidden=${routes.length > 0}>No routes are served.</p>
  </section>`

/** @param {StatusRoute} route */
function row(route) {
  const path = route.paths[0]
  const where = [route.mode, ...(path === route.name ? [] : route.paths), ...route.hosts]
  const command = commandOf(route)
  return html`<tr>
    <th scope="row">
      ${route.name}
      ${
        command !== undefined
          ? html`<button
              type="button"
              class="quiet"
              title=${command}
              @click=${() => void copy(command, 'Command')}
            >curl</button>`
          : ''
      }
      <small>${where.join(' · ')}</small>
    </th>
    <td class="wrap">${route.topics.map((topic) => html`<span>${topic}</span> `)}</td>
    <td class="number">${route.streams === undefined ? '–' : count(route.streams)}</td>
  </tr>`
}

/**
 * A command that reads a route without its group, so that nobody loses a record by it.
 * @param {StatusRoute} route
 */
function commandOf({ paths: [path], hosts: [host], mode }) {
  if (path === undefined || path.startsWith('~') || !READ_BY_CURL.includes(mode)) return undefined
  const isRead = mode === 'http-get'
  const url = location.origin + path + (isRead ? '?start=earliest' : '')
  const parts = ['curl', isRead ? '' : '-N', host ? `-H ${shellWord(`Host: ${host}`)}` : '']
  return [...parts, shellWord(url)].filter(Boolean).join(' ')
}
