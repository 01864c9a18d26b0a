// @ts-check
/** The parts of the view of records around the list: its head, its pages, and the opened record. */
import { html, nothing } from 'lit-html'
import { count, isoTime, localTime } from '../format.js'
import { addressOf, loginAddress } from '../router.js'
import { NOT_LOGGED_IN } from './pages.js'
import { parametersOf } from './query.js'
import { toolbar } from './toolbar.js'

/** @typedef {import('./query.js').Query} Query */
/** @typedef {import('./pages.js').Page} Page */
/**
 * @typedef {{ kind: 'live' | 'wait' | 'paused' | 'error' | 'off', text: string, why?: string | undefined }} State
 *   `why` is a message for where there are no records.
 */
/**
 * @typedef {{
 *   query: Query,
 *   state: State,
 *   page: Page | undefined,
 *   progress: { examined: number, total: number } | undefined,
 *   live: { received: number, kept: number, unseen: number } | undefined,
 *   isByPartition: boolean,
 *   isEmpty: boolean,
 *   isAway: boolean,
 *   bar: import('./toolbar.js').Toolbar,
 *   actions: Record<'copyLink' | 'copyCurl' | 'stop' | 'toggle' | 'release', () => void>,
 * }} Layout `live` is there while records are live, and `page` is then the one before them.
 *   `isByPartition` says that the page has one partition after another.
 *   While Kafka is away, `isAway`, the frame of the page says so.
 */

export const SEARCHING = 'searching …'

/** @param {Layout} layout */
export function recordsLayout(layout) {
  const { query, live, bar, actions } = layout
  const unseen = live?.unseen ?? 0
  return html`<section class="panel records" aria-label="Records" data-detail=${query.record ? 'open' : 'closed'}>
    ${head(layout)}
    ${toolbar(bar)}
    <div class="split">
      <div class="frame">
        <button type="button" class="newest" id="newest" ?hidden=${unseen === 0} @click=${actions.release}>↑ ${count(unseen)} newer</button>
        <div class="list" id="records" tabindex="0" role="region" aria-label="List of records"></div>
        <p class="empty" id="no-records" ?hidden=${!layout.isEmpty}>${emptyText(layout)}</p>
        ${pager(layout)}
      </div>
      <aside class="detail" id="detail" aria-label="Record" ?hidden=${query.record === undefined}></aside>
    </div>
  </section>`
}

/** @param {Layout} layout */
function head({ state, progress, page, isByPartition, live, bar, actions }) {
  const { kind, text, why } = state
  const isSearching = kind === 'wait' && text === SEARCHING
  return html`<div class="head">
    <h2>Records</h2>
    <p class="state" id="state" role="status" data-state=${kind} title=${why ?? ''}>${text}</p>
    <p class="count" id="count">${live ? liveText(live) : pageText(page, progress, isByPartition)}</p>
    ${
      progress && isSearching
        ? html`<progress max=${progress.total} value=${progress.examined} aria-label="Search"></progress>`
        : nothing
    }
    <span class="buttons">
      <button type="button" id="link" @click=${actions.copyLink}>Copy link</button>
      <button type="button" id="curl" ?disabled=${!bar.source} @click=${actions.copyCurl}>Copy as curl</button>
      ${isSearching ? html`<button type="button" id="stop" class="main" @click=${actions.stop}>Stop</button>` : nothing}
      ${
        live
          ? html`<button type="button" id="pause" class="main" @click=${actions.toggle}>${kind === 'paused' ? 'Go on' : 'Pause'}</button>`
          : nothing
      }
    </span>
  </div>`
}

/** @param {{ received: number, kept: number }} live */
function liveText({ received, kept }) {
  const parts = []
  if (received > 0) parts.push(`${count(received)} received`)
  if (kept < received) parts.push(`the newest ${count(kept)} are kept`)
  return parts.join(' · ')
}

/** @param {Page | undefined} page @param {Layout['progress']} progress @param {boolean} isByPartition */
function pageText(page, progress, isByPartition) {
  const records = page?.records ?? []
  const parts = []
  if (progress) {
    const { examined, total } = progress
    parts.push(`${count(records.length)} found`, `${count(examined)} of ${count(total)} searched`)
  } else if (records.length > 0) parts.push(`${count(records.length)} records`)
  const times = records.map(({ timestamp }) => timestamp).filter((time) => isoTime(time))
  if (times.length > 1) {
    const [first, last] = [Math.min(...times), Math.max(...times)]
    parts.push(`${localTime(first).slice(0, 19)} to ${localTime(last).slice(0, 19)}`)
  }
  if (isByPartition && records.length > 1) {
    parts.push('one partition after another, since this route only streams')
  }
  return parts.join(' · ')
}

/** @param {Layout} layout */
function emptyText({ state: { kind, text, why }, query, live, bar, isAway }) {
  if (bar.filterError !== undefined || isAway) return ''
  const login = loginAddress()
  if (text === NOT_LOGGED_IN && login) return html`${why}. <a href=${login}>Log in</a>`
  if (why !== undefined && kind !== 'live') return why
  if (kind === 'wait') return query.text === '' ? '' : 'Searching …'
  if (query.text !== '') return 'No record found here.'
  return live ? 'No records yet.' : 'No records here.'
}

/** @param {Layout} layout */
function pager({ page, query, live }) {
  if (!page) return nothing
  const others = { ...query, cursor: undefined, end: undefined, record: undefined }
  const address = (/** @type {Partial<Query>} */ changes) =>
    addressOf(parametersOf({ ...others, ...changes }))
  const name = (/** @type {string} */ text) =>
    query.text === '' ? text : `Search ${text.toLowerCase()}`
  const start = live ? 'newest' : query.start
  const newer = page.newer
    ? html`<a id="newer" rel="next" href=${address({ cursor: page.cursor })}>${name('Newer')} →</a>`
    : html`<a id="newer" href=${address({ start: 'live' })}>Live →</a>`
  return html`<nav class="pager" aria-label="Pages">
    ${
      page.begin === undefined
        ? html`<span class="none">← The oldest</span>`
        : html`<a id="older" rel="prev" href=${address({ start, end: page.begin })}>← ${name('Older')}</a>`
    }
    ${live ? nothing : newer}
  </nav>`
}
