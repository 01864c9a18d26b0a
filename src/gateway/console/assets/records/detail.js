// @ts-check
/** All of one record, beside the list. */
import { html, nothing, render } from 'lit-html'
import { copy, element } from '../dom.js'
import { ago, byteCount, count, isoTime, localTime } from '../format.js'
import { gatewayStatus, producerOf } from '../gateway-status.js'
import { addressOf } from '../router.js'
import { base64Of, bytesOf, hexDump, schemaIdIn, textOfBytes } from './bytes.js'
import { jsonTree } from './json-tree.js'
import { placeOf } from './query.js'
import { parseJson, textOf } from './record.js'

/** @typedef {import('./record.js').KafkaRecord} KafkaRecord */
/** @typedef {'tree' | 'text' | 'hex' | 'base64'} Form */
/**
 * @typedef {{
 *   record: KafkaRecord,
 *   curl: string | undefined,
 *   link: string,
 *   close(): void,
 *   move(step: number): void,
 * }} Opened
 */

/** @type {Record<Form, string>} */
const FORMS = { tree: 'Tree', text: 'Text', hex: 'Hex', base64: 'Base64' }
/** Characters that are shown at first, and each time that more is asked for. */
const CHUNK = 100_000
/** Bytes of a dump that are shown at a time: it has four characters for each. */
const DUMP = 16_384
/** Characters of a value up to which its tree is made without being asked for. */
const TREE = 2_000_000
/** Headers that are shown at a time. */
const HEADERS = 50

/** The form that was chosen last, where a record has it. @type {Form | undefined} */
let chosen

export class RecordDetail {
  #place
  /** @type {Opened | undefined} */
  #opened
  /** Parts that are shown of a long text or of many headers. */
  #shownChunks = 1
  #shownHeaders = HEADERS
  /** The tree, which keeps what was opened in it. @type {{ of: KafkaRecord, tree: HTMLElement } | undefined} */
  #tree

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place
  }

  /** @param {Opened} opened */
  show(opened) {
    if (this.#opened?.record !== opened.record) {
      this.#shownChunks = 1
      this.#shownHeaders = HEADERS
      this.#place.scrollTop = 0
    }
    this.#opened = opened
    this.#draw()
  }

  /**
   * Shows a message in place of the record, because the record cannot be shown.
   * @param {string} message
   * @param {() => void} close Called when the user closes the view.
   */
  showMessage(message, close) {
    this.#opened = undefined
    render(
      html`<header><h2>Record</h2>${closeButton(close)}</header>
        <p class="empty">${message}</p>`,
      this.#place,
    )
  }

  #draw() {
    const opened = this.#opened
    if (!opened) return
    const { record, link, curl, close, move } = opened
    const { topic, partition, offset, error, isFormatted } = record
    const title = isFormatted
      ? html`Record <small>in the format of its route</small>`
      : html`${partition}/${count(offset)} <small>${topic}</small>`
    render(
      html`<header>
          <h2>${title}</h2>
          <button type="button" title="Previous (k)" aria-label="Previous record" @click=${() => move(-1)}>↑</button>
          <button type="button" title="Next (j)" aria-label="Next record" @click=${() => move(1)}>↓</button>
          ${closeButton(close)}
        </header>
        ${error ? html`<p class="error"><strong>${error.code}</strong> ${error.message}</p>` : nothing}
        ${isFormatted ? nothing : this.#facts(record)}
        ${this.#value(record)}
        ${this.#headers(record)}
        <p class="actions">
          <button type="button" @click=${() => void copy(link, 'Link')}>Copy link</button>
          ${
            curl === undefined
              ? nothing
              : html`<button type="button" @click=${() => void copy(curl, 'Command')}>Copy as curl</button>`
          }
          ${
            producerOf(gatewayStatus())?.topics.includes(topic)
              ? html`<a class="button" href=${addressOf({ view: 'produce', record: placeOf(record) })}>Send again</a>`
              : nothing
          }
        </p>`,
      this.#place,
    )
  }

  /** @param {KafkaRecord} record */
  #facts(record) {
    const { topic, partition, offset, timestamp, key } = record
    return html`<dl class="facts">
      <dt>Topic</dt><dd>${topic}</dd>
      <dt>Partition</dt><dd>${partition}</dd>
      <dt>Offset</dt><dd>${count(offset)}</dd>
      <dt>Time</dt><dd>${timeText(timestamp)}</dd>
      <dt>Key</dt><dd>${key === null ? html`<span class="none">none</span>` : html`<code>${clipped(keyText(record))}</code>`} ${this.#sizeOf('key')}</dd>
    </dl>`
  }

  /** @param {'key' | 'value'} field */
  #sizeOf(field) {
    const record = /** @type {Opened} */ (this.#opened).record
    const schema = record.schema?.[field]
    const bytes = bytesOf(record[field], record.encoding?.[field])
    return html`<span class="size">${[
      bytes ? byteCount(bytes.length) : `${count(textOf(record[field]).length)} characters of JSON`,
      ...(schema ? [`${schemaType(schema.type)} ${schema.name ?? ''}`, `schema ${schema.id}`] : []),
    ].join(' · ')}</span>`
  }

  /** @param {KafkaRecord} record */
  #value(record) {
    const { value, encoding } = record
    if (value === null) {
      return html`<h3>Value</h3>
        <p class="none">None: a tombstone, which says that what had this key is gone.</p>`
    }
    const bytes = bytesOf(value, encoding?.value)
    const forms = formsOf(record, bytes)
    const form = chosen && forms.includes(chosen) ? chosen : /** @type {Form} */ (forms[0])
    const choose = (/** @type {Form} */ wanted) => {
      chosen = wanted
      this.#shownChunks = 1
      this.#draw()
    }
    return html`<div class="value-head">
        <h3>Value</h3>
        ${this.#sizeOf('value')}
        <div role="group" aria-label="Form of the value" class="forms">
          ${forms.map(
            (each) => html`<button
              type="button"
              aria-pressed=${String(each === form)}
              @click=${() => choose(each)}
            >${FORMS[each]}</button>`,
          )}
        </div>
      </div>
      ${hintOf(record, bytes)}
      ${form === 'tree' ? this.#treeOf(record) : this.#textIn(form, record, bytes)}
      <p class="actions">
        <button type="button" @click=${() => void copy(textIn(form, record, bytes), 'Value')}>Copy value</button>
        <button type="button" @click=${() => download(record, bytes)}>Download</button>
      </p>`
  }

  /** @param {KafkaRecord} record */
  #treeOf(record) {
    if (this.#tree?.of !== record) {
      this.#tree = { of: record, tree: jsonTree(jsonOf(record.value), 'value') }
    }
    return this.#tree.tree
  }

  /**
   * @param {Form} form
   * @param {KafkaRecord} record
   * @param {Uint8Array | undefined} bytes
   */
  #textIn(form, record, bytes) {
    const shown = this.#shownChunks * (form === 'hex' ? DUMP : CHUNK)
    const length = form === 'hex' && bytes ? bytes.length : textIn(form, record, bytes).length
    const part =
      form === 'hex' && bytes
        ? hexDump(bytes.subarray(0, shown))
        : textIn(form, record, bytes).slice(0, shown)
    const more = () => {
      this.#shownChunks *= 2
      this.#draw()
    }
    return html`<pre tabindex="0" class=${form} aria-label="Value">${part}</pre>
      ${
        shown < length
          ? html`<button type="button" class="quiet" @click=${more}>${count(length - shown)} more</button>`
          : nothing
      }`
  }

  /** @param {KafkaRecord} record */
  #headers({ headers, encoding }) {
    const all = Object.entries(headers).flatMap(([name, values]) =>
      [values]
        .flat()
        .map((value) => ({ name, value, isBase64: Boolean(encoding?.headers?.[name]) })),
    )
    if (all.length === 0) return nothing
    const more = () => {
      this.#shownHeaders = Infinity
      this.#draw()
    }
    return html`<h3>Headers <span class="size">${count(all.length)}</span></h3>
      <table class="headers"><tbody>${all.slice(0, this.#shownHeaders).map(
        ({ name, value, isBase64 }) => html`<tr>
          <th scope="row">${name}</th>
          <td>${value === null ? html`<span class="none">none</span>` : html`<code>${clipped(value)}</code>`} ${
            isBase64 ? html`<span class="size">base64</span>` : nothing
          }</td>
        </tr>`,
      )}</tbody></table>
      ${
        all.length > this.#shownHeaders
          ? html`<button type="button" class="quiet" @click=${more}>${count(all.length - this.#shownHeaders)} more</button>`
          : nothing
      }`
  }
}

/** @param {() => void} close */
function closeButton(close) {
  return html`<button type="button" class="close" title="Close (Esc)" aria-label="Close the record" @click=${close}>×</button>`
}

/**
 * The forms in which a value can be shown, the best one first.
 * @param {KafkaRecord} record
 * @param {Uint8Array | undefined} bytes
 * @returns {Form[]}
 */
function formsOf({ value, encoding }, bytes) {
  if (!bytes) return ['tree', 'text']
  const isText = encoding?.value !== 'base64'
  /** @type {Form[]} */
  const plain = isText ? ['text', 'hex', 'base64'] : ['hex', 'text', 'base64']
  return isText && isTree(/** @type {string} */ (value)) ? ['tree', ...plain] : plain
}

/** @param {string} text */
function isTree(text) {
  return text.length <= TREE && /^\s*[[{]/.test(text) && jsonOf(text) !== undefined
}

/** The JSON of a value, by what a route sent; undefined where it is not JSON. @param {unknown} value */
function jsonOf(value) {
  if (typeof value !== 'string') return value
  try {
    return parseJson(value)
  } catch {
    return undefined
  }
}

/**
 * @param {Form} form
 * @param {KafkaRecord} record
 * @param {Uint8Array | undefined} bytes
 */
function textIn(form, { value, encoding }, bytes) {
  if (!bytes) return textOf(value)
  if (form === 'hex') return hexDump(bytes)
  if (form === 'base64') return base64Of(bytes)
  return encoding?.value === 'base64' ? textOfBytes(bytes) : textOf(value)
}

/**
 * Why a value is shown as bytes, where the reader may expect something better.
 * @param {KafkaRecord} record
 * @param {Uint8Array | undefined} bytes
 */
function hintOf({ error }, bytes) {
  const id = bytes && schemaIdIn(bytes)
  if (id === undefined || error) return nothing
  return html`<p class="hint">The value begins as serializers of a schema registry write it, with schema ${id}. This route has no registry configured for the topic, so its bytes are shown.</p>`
}

/** @param {string} type */
function schemaType(type) {
  return { AVRO: 'Avro', PROTOBUF: 'Protobuf', JSON: 'JSON Schema' }[type] ?? type
}

/** @param {KafkaRecord} record */
function keyText({ key, encoding }) {
  return encoding?.key === 'base64' ? `${textOf(key)} (base64)` : textOf(key)
}

/** @param {string} text */
function clipped(text) {
  return text.length > CHUNK ? `${text.slice(0, CHUNK)}…` : text
}

/** @param {number} timestamp */
function timeText(timestamp) {
  if (timestamp === -1) return 'none'
  const iso = isoTime(timestamp)
  if (iso === undefined) return `${timestamp}, which is not a time`
  return html`${localTime(timestamp)} <span class="size">${ago(timestamp)} · ${iso}</span>`
}

/**
 * Saves the value as a file: the bytes that Kafka has, or the JSON that a route made of them.
 * @param {KafkaRecord} record
 * @param {Uint8Array | undefined} bytes
 */
function download(record, bytes) {
  const { topic, partition, offset, value, encoding, isFormatted } = record
  const content = /** @type {Uint8Array<ArrayBuffer>} */ (bytes) ?? textOf(value)
  const isJson = !bytes || (typeof value === 'string' && isTree(value))
  const type = encoding?.value === 'base64' ? 'bin' : isJson ? 'json' : 'txt'
  const name = isFormatted ? 'record' : `${topic}-${partition}-${offset}`
  const url = URL.createObjectURL(new Blob([content]))
  element('a', { href: url, download: `${name}.${type}` }).click()
  URL.revokeObjectURL(url)
}
