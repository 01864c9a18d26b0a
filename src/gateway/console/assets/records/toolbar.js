// @ts-check
/** The choice of records: topic, partition, position and search. */
import { html, nothing } from 'lit-html'
import { isoTime } from '../format.js'

/** @typedef {import('./query.js').Query} Query */
/** @typedef {import('./query.js').Find} Find */
/** @typedef {import('./sources.js').Source} Source */
/**
 * @typedef {{
 *   query: Query,
 *   sources: readonly Source[],
 *   source: Source | undefined,
 *   partitions: readonly number[],
 *   startKind: string,
 *   find: Find,
 *   filterError: string | undefined,
 *   onChange(changes: Partial<Query>): void,
 *   onStartKind(kind: string): void,
 *   onFind(find: Find): void,
 * }} Toolbar `startKind` is the chosen entry of the list of positions, `find` that of the list of
 *   searches: both may be chosen before there is a value.
 */

const STARTS = [
  ['live', 'live'],
  ['newest', 'the newest'],
  ['earliest', 'the oldest'],
  ['-5m', '5 minutes ago'],
  ['-1h', '1 hour ago'],
  ['-1d', '1 day ago'],
  ['time', 'a time …'],
  ['offset', 'an offset …'],
]

/** @type {Record<Find, { name: string, placeholder: string }>} */
const FINDS = {
  text: { name: 'text', placeholder: 'in key, value or headers' },
  key: { name: 'key', placeholder: 'the whole key' },
  header: { name: 'header', placeholder: 'name, or name=value' },
  cel: { name: 'expression', placeholder: 'value.total > 100 && has(value.items)' },
}

const EXAMPLES = [
  ['value.type == "order.placed" && value.total > 100', 'fields of a JSON value'],
  ['value.items.exists(i, i.sku == "TEA-201")', 'an element of a list'],
  ['key.startsWith("cust-1")', 'the beginning of a key'],
  ['value.matches("(?i)refund|chargeback")', 'a regular expression'],
  ['headers["content-type"] == "application/json"', 'a header'],
  ['timestamp(timestamp / 1000) > timestamp("2026-01-31T09:30:00Z")', 'a time'],
  ['value == null', 'tombstones'],
]

/** The entry of the list of positions that a start belongs to. @param {string} start */
export function startKindOf(start) {
  if (STARTS.some(([value]) => value === start)) return start
  if (start.startsWith('offset:')) return 'offset'
  return start.startsWith('-') ? start : 'time'
}

/** @param {Toolbar} bar */
export function toolbar(bar) {
  const { query, source, partitions, onChange } = bar
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault()
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target))
    onChange({ text: String(form.get('search') ?? '').trim(), find: bar.find })
  }
  const isPartition = (/** @type {number} */ partition) => partition === query.partition
  return html`<form class="tools" @submit=${submit} role="search">
    ${topicChoice(bar)}
    <label>Partition
      <select id="partition" @change=${(/** @type {Event} */ event) => {
        const { value } = /** @type {HTMLSelectElement} */ (event.target)
        onChange({ partition: value === '' ? undefined : Number(value) })
      }}>
        <option value="" .selected=${query.partition === undefined}>all</option>
        ${partitions.map(
          (each) => html`<option value=${each} .selected=${isPartition(each)}>${each}</option>`,
        )}
        ${
          query.partition !== undefined && !partitions.some(isPartition)
            ? html`<option value=${query.partition} .selected=${true}>${query.partition}</option>`
            : nothing
        }
      </select>
    </label>
    ${startChoice(bar)}
    <label class="find-choice">Find by
      <select id="find" @change=${(/** @type {Event} */ event) => {
        bar.onFind(/** @type {Find} */ (/** @type {HTMLSelectElement} */ (event.target).value))
      }}>
        ${Object.entries(FINDS).map(
          ([find, { name }]) =>
            html`<option value=${find} .selected=${find === bar.find}>${name}</option>`,
        )}
      </select>
    </label>
    <label class="grow">Search
      <input
        type="search"
        id="search"
        name="search"
        class=${bar.find === 'cel' ? 'code' : ''}
        .value=${query.text}
        placeholder=${FINDS[bar.find].placeholder}
        autocomplete="off"
        spellcheck="false"
        aria-invalid=${bar.filterError ? 'true' : 'false'}
        aria-describedby="filter-error"
      >
    </label>
    <button type="submit" id="find-button" ?disabled=${source === undefined}>Search</button>
  </form>
  <p class="error" id="filter-error" ?hidden=${bar.filterError === undefined}>${bar.filterError}</p>
  ${bar.find === 'cel' ? examples(bar) : nothing}`
}

/** @param {Toolbar} bar */
function topicChoice({ query, sources, source, onChange }) {
  const isChosen = (/** @type {Source} */ each, /** @type {string | undefined} */ topic) =>
    each === source && (query.topic ?? only(each)) === topic
  const options = (/** @type {Source} */ each) => {
    const index = sources.indexOf(each)
    return html`${
      each.topics.length > 1
        ? html`<option value="${index}:" .selected=${isChosen(each, undefined)}>all ${each.topics.length} topics</option>`
        : nothing
    }${each.topics.map(
      (topic) =>
        html`<option value="${index}:${topic}" .selected=${isChosen(each, topic)}>${topic}</option>`,
    )}`
  }
  const change = (/** @type {Event} */ event) => {
    const { value } = /** @type {HTMLSelectElement} */ (event.target)
    const colon = value.indexOf(':')
    const chosen = /** @type {Source} */ (sources[Number(value.slice(0, colon))])
    const topic = value.slice(colon + 1)
    onChange({
      route: chosen === sources[0] ? undefined : chosen.name,
      topic: topic === '' || topic === only(chosen) ? undefined : topic,
      partition: undefined,
    })
  }
  return html`<label class="topic-choice">Topic
    <select id="topic" @change=${change}>${
      sources.length > 1
        ? sources.map((each) => html`<optgroup label=${each.name}>${options(each)}</optgroup>`)
        : sources.map(options)
    }</select>
  </label>`
}

/** The topic of a source that has one. @param {Source} source */
function only({ topics }) {
  return topics.length === 1 ? topics[0] : undefined
}

/** @param {Toolbar} bar */
function startChoice({ query, startKind, onChange, onStartKind }) {
  const others = STARTS.some(([value]) => value === startKind) ? [] : [[startKind, startKind]]
  const changeKind = (/** @type {Event} */ event) => {
    const { value } = /** @type {HTMLSelectElement} */ (event.target)
    if (value === 'time' || value === 'offset') onStartKind(value)
    else onChange({ start: value })
  }
  const changeTime = (/** @type {Event} */ event) => {
    const time = isoTime(Date.parse(/** @type {HTMLInputElement} */ (event.target).value))
    if (time !== undefined) onChange({ start: time })
  }
  const changeOffset = (/** @type {Event} */ event) => {
    const { value } = /** @type {HTMLInputElement} */ (event.target)
    if (/^\d{1,15}$/.test(value)) onChange({ start: `offset:${value}` })
  }
  return html`<label>From
    <select id="start" @change=${changeKind}>${[...STARTS, ...others].map(
      ([value, text]) =>
        html`<option value=${value} .selected=${value === startKind}>${text}</option>`,
    )}</select>
  </label>
  ${
    startKind === 'time'
      ? html`<label>Time
        <input type="datetime-local" id="time" step="1" .value=${localInput(query.start)} @change=${changeTime}>
      </label>`
      : nothing
  }
  ${
    startKind === 'offset'
      ? html`<label>Offset
        <input type="number" id="offset" min="0" .value=${query.start.slice('offset:'.length)} @change=${changeOffset}>
      </label>`
      : nothing
  }`
}

/** A time as an input of the browser has it, in the time of this place. @param {string} start */
function localInput(start) {
  const time = Date.parse(start)
  if (Number.isNaN(time)) return ''
  const offset = new Date(time).getTimezoneOffset() * 60_000
  return new Date(time - offset).toISOString().slice(0, 19)
}

/** @param {Toolbar} bar */
function examples({ source, onChange }) {
  const named = Object.entries(source?.filters ?? {}).map(([name, expression]) => [
    `@${name}`,
    expression,
  ])
  return html`<details class="examples">
    <summary>Examples</summary>
    <ul>${[...named, ...EXAMPLES].map(
      ([expression = '', text]) => html`<li>
        <button type="button" class="code" @click=${() => onChange({ text: expression, find: 'cel' })}>${expression}</button>
        <span>${text}</span>
      </li>`,
    )}</ul>
    <p>Expressions of <a href="https://github.com/google/cel-spec" target="_blank" rel="noopener noreferrer">CEL</a> over topic, partition, offset, timestamp, key, value and headers.</p>
  </details>`
}
