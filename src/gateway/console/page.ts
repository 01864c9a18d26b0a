import { html, raw } from 'hono/html'
import packageJson from '../../../package.json' with { type: 'json' }

/** The addresses that the page asks for data, and those that it links to. */
export interface ConsoleLinks {
  readonly status: string
  readonly metrics: string
  /** The API docs; without it the page has no link to them. */
  readonly docs: string | undefined
}

const FIGURES = [
  { id: 'records', name: 'Records sent', unit: '/s' },
  { id: 'bytes', name: 'Bytes sent', unit: '/s' },
  { id: 'subscribers', name: 'Open streams', unit: '' },
  { id: 'latency', name: 'Latency, p99', unit: '' },
]

const STARTS = [
  ['latest', 'now'],
  ['-1m', '1 minute ago'],
  ['-10m', '10 minutes ago'],
  ['-1h', '1 hour ago'],
  ['-1d', '1 day ago'],
  ['earliest', 'the oldest record'],
  ['time', 'a time …'],
]

const KEYS = [
  ['Space', 'pause, or go on'],
  ['/', 'filter'],
  ['j k', 'next, previous record'],
  ['Enter', 'open or close a record'],
  ['c', 'copy what is shown as curl'],
  ['t', 'light or dark'],
  ['?', 'this list'],
]

/** The parts of the page that depend on its request. */
interface PageParts {
  /** Where its files are. */
  readonly files: string
  /** The query with the credentials that it was opened with, or empty. */
  readonly credentials: string
  /** An import map with that query, or empty. */
  readonly imports: string
  /** The nonce by which the page's content security policy allows the import map. */
  readonly nonce: string
}

/**
 * The page's frame. All that changes is put in by its script, which gets its addresses from here.
 */
export const page = (links: ConsoleLinks, parts: PageParts) => html`<!doctype html>
<html
  lang="en"
  data-status="${links.status}"
  data-metrics="${links.metrics}"
  data-credentials="${parts.credentials}"
>
  ${head(parts)}
  <body>
    ${top(links, parts)}
    <p class="banner" id="banner" role="alert" hidden></p>
    <main>
      ${figures()}
      ${tail()}
      <div class="overview">
        ${topics()}
        ${routes()}
      </div>
    </main>
    <footer>hono-kafka-consume ${packageJson.version}</footer>
    ${keys()}
    <p class="toast" id="toast" role="status" aria-live="polite"></p>
  </body>
</html>`

const head = ({ files, credentials, imports, nonce }: PageParts) => html`<head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Kafka over HTTP</title>
    ${imports !== '' && html`<script type="importmap" nonce="${nonce}">${raw(imports)}</script>`}
    <link rel="icon" href="${files}/icon.svg${credentials}" type="image/svg+xml">
    <link rel="stylesheet" href="${files}/uplot.css${credentials}">
    <link rel="stylesheet" href="${files}/console.css${credentials}">
    <script src="${files}/theme.js${credentials}"></script>
    <script src="${files}/uplot.js${credentials}" defer></script>
    <script src="${files}/console.js${credentials}" type="module"></script>
  </head>`

const top = (
  { docs, metrics }: ConsoleLinks,
  { credentials }: PageParts,
) => html`<header class="top">
      <h1>Kafka over HTTP</h1>
      <p class="kafka" id="kafka" role="status" data-state="wait">Connecting …</p>
      <nav>
        ${docs !== undefined && html`<a href="${docs}${credentials}">API</a>`}
        <a href="${metrics}${credentials}">Metrics</a>
        <button type="button" id="theme" title="Light or dark (t)" aria-label="Light or dark">◐</button>
        <button type="button" id="help" title="Keys (?)" aria-label="Keys">?</button>
      </nav>
    </header>`

const figures = () => html`<section class="figures" aria-label="Metrics of the last five minutes">
        ${FIGURES.map(
          ({ id, name, unit }) => html`<div class="figure">
          <h2>${name}</h2>
          <p class="value"><output id="${id}-value">–</output><span class="unit">${unit}</span></p>
          <div class="plot" id="${id}-plot" aria-hidden="true"></div>
        </div>`,
        )}
        <p class="empty" id="no-metrics" hidden></p>
      </section>`

const tail = () => html`<section class="tail" aria-label="Live view of records">
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
            ([value, text]) => html`<option value="${value}">${text}</option>`,
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

const topics = () => html`<section aria-labelledby="topics-title">
          <h2 id="topics-title">Topics</h2>
          <table class="topics">
            <thead>
              <tr>
                <th scope="col">Topic</th>
                <th scope="col" class="number wide">Partitions</th>
                ${['Records', 'End', 'Rate', 'Lag'].map(
                  (name) => html`<th scope="col" class="number">${name}</th>`,
                )}
              </tr>
            </thead>
            <tbody id="topics"></tbody>
          </table>
          <p class="empty" id="no-topics">Nothing is known of topics yet.</p>
        </section>`

const routes = () => html`<section aria-labelledby="routes-title">
          <h2 id="routes-title">Routes</h2>
          <table class="routes">
            <thead>
              <tr>
                <th scope="col">Route</th>
                <th scope="col">Topics</th>
                <th scope="col" class="number">Streams</th>
              </tr>
            </thead>
            <tbody id="routes"></tbody>
          </table>
          <p class="empty" id="no-routes">No routes are served.</p>
        </section>`

const keys = () => html`<dialog id="keys" aria-label="Keys">
      <h2>Keys</h2>
      <dl>
        ${KEYS.map(([key, text]) => html`<dt><kbd>${key}</kbd></dt><dd>${text}</dd>`)}
      </dl>
      <form method="dialog"><button type="submit">Close</button></form>
    </dialog>`
