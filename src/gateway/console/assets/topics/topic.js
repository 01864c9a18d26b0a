// @ts-check
/** One topic: its size and rate, its partitions, and the consumer groups that read it. */
import { html, render } from 'lit-html'
import { repeat } from 'lit-html/directives/repeat.js'
import { bytes, count, rate } from '../format.js'
import { gatewayStatus, onStatus, producerOf } from '../gateway-status.js'
import { addressOf, parameters, replaceAddress, withChanges } from '../router.js'
import { groupPanel } from './group-panel.js'
import { isTiered, retentionText, sizeNote, sizeText, sizeValue } from './sizes.js'
import { headers, sorted } from './sorting.js'
import { follow } from './topic-data.js'

/** @typedef {import('./topic-data.js').DescribedTopic} DescribedTopic */
/** @typedef {import('./topic-data.js').TopicPartition} TopicPartition */
/** @typedef {import('./topic-data.js').ReadingGroup} ReadingGroup */

/** @type {import('./sorting.js').Columns<TopicPartition>} */
const COLUMNS = {
  partition: { title: 'Partition', value: ({ partition }) => partition, isText: true },
  start: { title: 'Start', value: ({ start }) => start, isWide: true },
  end: { title: 'End', value: ({ end }) => end },
  size: { title: 'Size', value: sizeValue },
  rate: { title: 'Rate', value: ({ rate }) => rate ?? -1 },
  replicas: {
    title: 'Replicas in sync',
    value: ({ replicas, inSync }) => replicas.length - inSync.length,
    isText: true,
    isWide: true,
  },
  leader: { title: 'Leader', value: ({ leader }) => leader ?? -1 },
}

/** @param {HTMLElement} place */
export function openTopic(place) {
  const closed = new AbortController()
  const name = parameters().get('topic') ?? ''
  const cluster = parameters().get('cluster')
  /** @type {DescribedTopic | undefined} */
  let topic
  /** @type {string | undefined} */
  let failure
  /** The groups whose partitions are shown. @type {Set<string>} */
  const open = new Set()
  const toggle = (/** @type {string} */ id) => {
    if (!open.delete(id)) open.add(id)
    draw()
  }
  const sort = (/** @type {string | undefined} */ wanted) => {
    replaceAddress(withChanges({ sort: wanted }))
    draw()
  }
  const draw = () => render(page(name, topic, failure, open, { toggle, sort }), place)
  const query = cluster === null ? '' : `?${new URLSearchParams({ cluster })}`
  follow(
    `/${encodeURIComponent(name)}${query}`,
    (/** @type {DescribedTopic | undefined} */ found, why) => {
      topic = found ?? topic
      failure = why
      draw()
    },
    closed.signal,
  )
  const endStatus = onStatus(draw)
  return {
    show: draw,
    close: () => {
      closed.abort()
      endStatus()
    },
  }
}

/**
 * @param {string} name
 * @param {DescribedTopic | undefined} topic
 * @param {string | undefined} failure
 * @param {ReadonlySet<string>} open
 * @param {{ toggle(id: string): void, sort(sort: string | undefined): void }} actions
 */
const page = (name, topic, failure, open, { toggle, sort }) => {
  const error = failure ?? topic?.error?.message
  const canProduce = producerOf(gatewayStatus())?.topics.includes(name)
  return html`<section class="panel topic-head" aria-labelledby="topic-title">
      <p><a href=${addressOf({ view: 'topics' })}>← All topics</a></p>
      <h2 id="topic-title">${name}</h2>
      <p class="actions">
        <a class="button" href=${addressOf({ topic: name })}>Records</a>
        ${canProduce ? html`<a class="button" href=${addressOf({ view: 'produce', topic: name })}>Produce</a>` : ''}
      </p>
      ${topic ? facts(topic) : html`<p class="empty" ?hidden=${error !== undefined}>Asking Kafka …</p>`}
    </section>
    <p class="banner topic-error" role="status" ?hidden=${error === undefined}>${error}</p>
    ${
      topic
        ? html`<div class="topic-panels">
          ${partitionPanel(topic, sort)}
          <div class="view">${groupsOfTopic(topic, open, toggle)}${configurationPanel(topic)}</div>
        </div>`
        : ''
    }`
}

/** @param {DescribedTopic} topic */
function facts({ cluster, routes, partitions, groups, configuration, ...topic }) {
  const records = partitions.reduce((sum, { start, end }) => sum + Math.max(0, end - start), 0)
  const outOfSync = partitions.filter(isOutOfSync).length
  const replicas = Math.min(...partitions.map((each) => each.replicas.length))
  const lag = Math.max(0, ...groups.map((group) => group.lag))
  const retention = retentionText(configuration)
  return html`<dl class="topic-facts">
    <div><dt>Records</dt><dd>${count(records)}</dd></div>
    <div><dt>Size</dt><dd>${sizeText(topic)}${isTiered(configuration) ? ' on brokers, and tiered storage' : ''}</dd></div>
    ${topic.replicaBytes !== null && replicas > 1 ? html`<div><dt>Size of all replicas</dt><dd>${bytes(topic.replicaBytes)}</dd></div>` : ''}
    ${retention === undefined ? '' : html`<div><dt>Retention</dt><dd>${retention}</dd></div>`}
    <div><dt>Rate</dt><dd>${topic.rate === null ? '–' : `${rate(topic.rate)}/s`}</dd></div>
    <div><dt>Partitions</dt><dd>${count(partitions.length)}</dd></div>
    <div><dt>Replicas</dt><dd>${outOfSync > 0 ? html`<span class="bad">${count(outOfSync)} out of sync</span>` : count(replicas)}</dd></div>
    <div><dt>Lag</dt><dd>${groups.length === 0 ? '–' : html`<span class=${lag > 0 ? 'behind' : ''}>${count(lag)}</span>`}</dd></div>
    <div class="long"><dt>Routes</dt><dd>${routes.join(', ')}</dd></div>
    <div class="long"><dt>Cluster</dt><dd>${cluster}</dd></div>
  </dl>`
}

/** @param {TopicPartition} partition */
function isOutOfSync({ leader, replicas, inSync }) {
  return leader === null || inSync.length < replicas.length
}

/**
 * @param {DescribedTopic} topic
 * @param {(sort: string | undefined) => void} sort
 */
const partitionPanel = (
  { name, partitions, ...topic },
  sort,
) => html`<section class="panel" aria-labelledby="partitions-title">
  <div class="panel-head"><h2 id="partitions-title">Partitions</h2><p class="count">${count(partitions.length)}</p></div>
  ${sizeNote(topic)}
  <div class="wide-table tall" tabindex="0" role="region" aria-label="Table of partitions">
    <table>
      <thead><tr>${headers(COLUMNS, sort)}</tr></thead>
      <tbody id="partitions">${repeat(
        sorted(partitions, COLUMNS),
        ({ partition }) => partition,
        (each) => html`<tr>
          <th scope="row"><a href=${addressOf({ topic: name, partition: each.partition })}>${each.partition}</a></th>
          <td class="number wide">${each.start < 0 ? '–' : count(each.start)}</td>
          <td class="number">${each.end < 0 ? '–' : count(each.end)}</td>
          <td class="number">${sizeText(each)}</td>
          <td class="number">${each.rate === null ? '–' : `${rate(each.rate)}/s`}</td>
          <td class="wide"><span class=${isOutOfSync(each) ? 'bad' : ''}>${each.inSync.join(', ') || 'none'} of ${each.replicas.join(', ')}</span></td>
          <td class="number">${each.leader ?? html`<span class="bad">none</span>`}</td>
        </tr>`,
      )}</tbody>
    </table>
  </div>
</section>`

/**
 * @param {DescribedTopic} topic
 * @param {ReadonlySet<string>} open
 * @param {(id: string) => void} toggle
 */
const groupsOfTopic = ({ groups, groupsLeftOut }, open, toggle) =>
  groupPanel({
    id: 'topic-groups-title',
    groups,
    groupsLeftOut,
    numbers: ['Members', 'Lag'],
    bodies: repeat(
      groups,
      ({ id }) => id,
      (group) => groupRows(group, open.has(group.id), toggle),
    ),
    empty: 'No group has committed offsets in this topic.',
  })

/**
 * @param {ReadingGroup} group
 * @param {boolean} isOpen
 * @param {(id: string) => void} toggle
 */
const groupRows = (group, isOpen, toggle) => html`<tbody>
  <tr>
    <th scope="row" class="wrap"><button
      type="button"
      class="open"
      aria-expanded=${String(isOpen)}
      @click=${() => toggle(group.id)}
    >${group.id}</button></th>
    <td>${group.state}</td>
    <td class="number">${count(group.members)}</td>
    <td class="number"><span class=${group.lag > 0 ? 'behind' : ''}>${count(group.lag)}</span></td>
  </tr>
  ${
    isOpen
      ? group.partitions.map(
          ({ partition, committed, lag }) => html`<tr class="partition">
        <th scope="row">partition ${partition}</th>
        <td colspan="2" class="number">committed ${count(committed)}</td>
        <td class="number">${count(lag)}</td>
      </tr>`,
        )
      : ''
  }
</tbody>`

/** @param {DescribedTopic} topic */
function configurationPanel({ configuration }) {
  if (!configuration || configuration.length === 0) return ''
  const own = configuration.filter(({ isDefault }) => !isDefault)
  const others = configuration.filter(({ isDefault }) => isDefault)
  return html`<section class="panel configuration" aria-labelledby="configuration-title">
    <div class="panel-head"><h2 id="configuration-title">Configuration</h2></div>
    ${own.length > 0 ? settings(own) : html`<p class="empty">All settings have the brokers' defaults.</p>`}
    <details>
      <summary>Defaults of the brokers (${count(others.length)})</summary>
      ${settings(others)}
    </details>
  </section>`
}

/** @param {import('./topic-data.js').TopicSetting[]} all */
const settings = (all) =>
  html`<dl class="settings">${all.map(
    ({ name, value }) => html`<dt>${name}</dt><dd>${value ?? 'secret'}</dd>`,
  )}</dl>`
