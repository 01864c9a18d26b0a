// @ts-check
/** All topics with their sizes, rates and lag, and the consumer groups that are behind. */
import { html, render } from 'lit-html'
import { repeat } from 'lit-html/directives/repeat.js'
import { count, rate } from '../format.js'
import { addressOf, parameters, replaceAddress, withChanges } from '../router.js'
import { groupPanel } from './group-panel.js'
import { sizeNote, sizeText, sizeValue } from './sizes.js'
import { headers, sorted } from './sorting.js'
import { follow } from './topic-data.js'

/** @typedef {import('./topic-data.js').TopicList} TopicList */
/** @typedef {import('./topic-data.js').ListedTopic & { cluster: string }} Topic */
/** @typedef {{ id: string, cluster: string, state: string, lag: number, topics: Array<{ name: string, lag: number }> }} Group */

/** Rows that are drawn at first: more of them take a moment. */
const MAX_ROWS = 500

/** @type {import('./sorting.js').Columns<Topic>} */
const COLUMNS = {
  name: { title: 'Topic', value: ({ name }) => name, isText: true },
  records: { title: 'Records', value: ({ records }) => records },
  size: { title: 'Size', value: sizeValue },
  rate: { title: 'Rate', value: ({ rate }) => rate ?? -1 },
  partitions: { title: 'Partitions', value: ({ partitions }) => partitions, isWide: true },
  replicas: { title: 'Replicas', value: ({ underReplicated }) => underReplicated, isWide: true },
  lag: { title: 'Lag', value: lagOf },
}

/** @param {HTMLElement} place */
export function openList(place) {
  const closed = new AbortController()
  /** @type {TopicList | undefined} */
  let list
  /** @type {string | undefined} */
  let failure
  let shownRows = MAX_ROWS
  const draw = () =>
    render(
      page(list, failure, shownRows, {
        search: (text) => {
          replaceAddress(withChanges({ search: text }))
          draw()
        },
        sort: (sort) => {
          replaceAddress(withChanges({ sort }))
          draw()
        },
        showAll: () => {
          shownRows = Number.POSITIVE_INFINITY
          draw()
        },
      }),
      place,
    )
  follow(
    '',
    (/** @type {TopicList | undefined} */ found, why) => {
      list = found ?? list
      failure = why
      draw()
    },
    closed.signal,
  )
  return { show: draw, close: () => closed.abort() }
}

/** @param {Topic} topic */
function lagOf({ groups }) {
  return groups.length === 0 ? -1 : Math.max(...groups.map(({ lag }) => lag))
}

/** @param {TopicList} list @returns {Topic[]} */
function topicsOf({ clusters }) {
  const wanted = (parameters().get('search') ?? '').toLowerCase()
  const found = clusters
    .flatMap(({ name, topics }) => topics.map((topic) => ({ ...topic, cluster: name })))
    .filter(({ name }) => name.toLowerCase().includes(wanted))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  return sorted(found, COLUMNS)
}

/** The groups of all topics, those that are furthest behind first. @param {TopicList} list @returns {Group[]} */
function groupsOf({ clusters }) {
  /** @type {Map<string, Group>} */
  const found = new Map()
  for (const { name: cluster, topics } of clusters) {
    for (const { name, groups } of topics) {
      for (const { id, state, lag } of groups) {
        const key = JSON.stringify([cluster, id])
        const group = found.get(key) ?? { id, cluster, state, lag: 0, topics: [] }
        group.lag += lag
        group.topics.push({ name, lag })
        found.set(key, group)
      }
    }
  }
  return [...found.values()].sort((a, b) => b.lag - a.lag || (a.id < b.id ? -1 : 1))
}

/**
 * @param {TopicList | undefined} list
 * @param {string | undefined} failure
 * @param {number} shownRows
 * @param {{ search(text: string): void, sort(sort: string | undefined): void, showAll(): void }} actions
 */
const page = (list, failure, shownRows, actions) => {
  const topics = list ? topicsOf(list) : []
  const total = list?.clusters.reduce((sum, cluster) => sum + cluster.topics.length, 0) ?? 0
  const hasClusters = (list?.clusters.length ?? 0) > 1
  const error = failure ?? list?.clusters.find((cluster) => cluster.error)?.error?.message
  return html`<p class="banner topic-error" role="status" ?hidden=${error === undefined}>${error}</p>
    <div class="topic-panels">
      <section class="panel" aria-labelledby="topics-title">
        <div class="panel-head">
          <h2 id="topics-title">Topics</h2>
          <p class="count" role="status">${total === topics.length ? count(total) : `${count(topics.length)} of ${count(total)}`}</p>
          <label class="search">Search <input
            type="search"
            id="topic-search"
            .value=${parameters().get('search') ?? ''}
            @input=${(/** @type {InputEvent} */ event) => actions.search(/** @type {HTMLInputElement} */ (event.target).value)}
            autocomplete="off"
            autocapitalize="none"
            spellcheck="false"
          ></label>
        </div>
        ${list?.clusters.map(sizeNote)}
        <div class="wide-table tall" tabindex="0" role="region" aria-label="Table of topics">
          <table>
            <thead><tr>${headers(COLUMNS, actions.sort)}</tr></thead>
            <tbody id="topics">${repeat(topics.slice(0, shownRows), keyOf, (topic) => row(topic, hasClusters))}</tbody>
          </table>
        </div>
        ${topics.length > shownRows ? html`<p class="more"><button type="button" @click=${actions.showAll}>Show all ${count(topics.length)}</button></p>` : ''}
        <p class="empty" ?hidden=${topics.length > 0}>${emptyText(list, total)}</p>
      </section>
      ${list ? groupsOfList(groupsOf(list), list) : ''}
    </div>`
}

/** @param {TopicList | undefined} list @param {number} total */
function emptyText(list, total) {
  if (list === undefined) return 'Asking Kafka …'
  return total > 0 ? 'No topic has this in its name.' : 'No route reads a topic yet.'
}

/** @param {Topic} topic */
const keyOf = ({ cluster, name }) => JSON.stringify([cluster, name])

/** @param {Topic} topic @param {boolean} hasClusters */
function row(topic, hasClusters) {
  const { name, cluster, records, partitions, replicas, underReplicated, groups } = topic
  const lag = lagOf(topic)
  const [worst] = groups
  return html`<tr>
    <th scope="row">
      <a class="topic-name" href=${topicAddress(topic, hasClusters)} title=${name}>${name}</a>
      ${hasClusters ? html`<small>${cluster}</small>` : ''}
    </th>
    <td class="number">${count(records)}</td>
    <td class="number">${sizeText(topic)}</td>
    <td class="number">${topic.rate === null ? '–' : `${rate(topic.rate)}/s`}</td>
    <td class="number wide">${count(partitions)}</td>
    <td class="number wide">
      ${underReplicated > 0 ? html`<span class="bad">${count(underReplicated)} out of sync</span>` : replicas}
    </td>
    <td class="number" title=${lag >= 0 ? `${worst?.id} is furthest behind` : 'No group reads it'}>
      ${lag < 0 ? '–' : html`<span class=${lag > 0 ? 'behind' : ''}>${count(lag)}</span>`}
    </td>
  </tr>`
}

/** @param {{ name: string, cluster: string }} topic @param {boolean} hasClusters */
function topicAddress({ name, cluster }, hasClusters) {
  return addressOf({ view: 'topics', topic: name, cluster: hasClusters ? cluster : undefined })
}

/**
 * @param {Group[]} groups
 * @param {TopicList} list
 */
function groupsOfList(groups, { clusters }) {
  const hasClusters = clusters.length > 1
  return groupPanel({
    id: 'groups-title',
    groups,
    groupsLeftOut: clusters.reduce((sum, cluster) => sum + cluster.groupsLeftOut, 0),
    numbers: ['Lag'],
    bodies: html`<tbody id="groups">${repeat(
      groups,
      ({ cluster, id }) => JSON.stringify([cluster, id]),
      (group) => groupRow(group, hasClusters),
    )}</tbody>`,
    empty: 'No group has committed offsets in these topics.',
  })
}

/** @param {Group} group @param {boolean} hasClusters */
function groupRow({ id, cluster, state, lag, topics }, hasClusters) {
  const behind = topics.filter((topic) => topic.lag > 0).sort((a, b) => b.lag - a.lag)
  const shown = (behind.length > 0 ? behind : topics).slice(0, 2)
  const others = topics.length - shown.length
  return html`<tr>
    <th scope="row" class="wrap">
      ${id}
      <small>${shown.map(
        (topic) =>
          html`<a href=${topicAddress({ name: topic.name, cluster }, hasClusters)}>${topic.name}</a> `,
      )}${others > 0 ? `and ${count(others)} more` : ''}</small>
    </th>
    <td>${state}</td>
    <td class="number"><span class=${lag > 0 ? 'behind' : ''}>${count(lag)}</span></td>
  </tr>`
}
