// @ts-check
/** The view that writes a record: an empty one, or one that was read before. */
import { html, nothing, render } from 'lit-html'
import { withCredentials } from '../credentials.js'
import { count } from '../format.js'
import { gatewayStatus, onStatus, producerOf } from '../gateway-status.js'
import { addressOf } from '../router.js'
import { bytesField, headersField, partitionField, topicField } from './fields.js'
import { bodyOf, emptyForm, formOf, isDecoded, mistakesOf } from './record-form.js'

/** @typedef {import('../views.js').OpenView} OpenView */
/** @typedef {import('./record-form.js').RecordForm} RecordForm */
/** @typedef {import('./record-form.js').ReadRecord} ReadRecord */
/** @typedef {{ topic: string, partition: number, offset: number | null }} Written */

/**
 * @param {HTMLElement} place
 * @returns {OpenView}
 */
export function openView(place) {
  const view = new ProduceView(place)
  const endStatus = onStatus(() => view.draw())
  return {
    show: (parameters) => view.show(parameters),
    close: () => {
      view.close()
      endStatus()
    },
    keys: [{ key: 'Ctrl Enter', text: 'send the record' }],
  }
}

class ProduceView {
  #place
  #closed = new AbortController()
  /** The parameters for which the form was filled. */
  #shown = ''
  /** @type {RecordForm} */
  #form = emptyForm('')
  /** Whether mistakes are shown: not before somebody wants to send. */
  #wasSent = false
  #isSending = false
  /** @type {string | undefined} */
  #error
  /** @type {string | undefined} */
  #note
  /** @type {Written | undefined} */
  #written

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place
  }

  close() {
    this.#closed.abort()
  }

  /** @param {URLSearchParams} parameters */
  show(parameters) {
    const shown = JSON.stringify([parameters.get('topic'), parameters.get('record')])
    if (shown !== this.#shown) {
      this.#shown = shown
      this.#reset(parameters.get('topic') ?? '')
      const record = parameters.get('record')
      if (record) void this.#fill(record)
    }
    this.draw()
  }

  /** @param {string} topic */
  #reset(topic) {
    this.#form = emptyForm(topic)
    this.#wasSent = false
    this.#error = undefined
    this.#note = undefined
    this.#written = undefined
  }

  /** Takes over the fields of a record. @param {string} place As `topic:partition:offset`. */
  async #fill(place) {
    const shown = this.#shown
    this.#note = `Reading ${place} …`
    const found = await readRecord(place, this.#closed.signal)
    if (this.#closed.signal.aborted || shown !== this.#shown) return
    this.#note = undefined
    if (typeof found === 'string') this.#error = found
    else {
      this.#form = formOf(found)
      const decoded = ['key', 'value'].filter((field) =>
        isDecoded(field === 'key' ? found.key : found.value),
      )
      if (decoded.length > 0) {
        this.#note = `This route decodes the ${decoded.join(' and the ')}. The record would be written as JSON text, and not as the bytes that it has.`
      }
    }
    this.draw()
  }

  draw() {
    if (this.#closed.signal.aborted) return
    const route = producerOf(gatewayStatus())
    const topics = route?.topics ?? []
    const [only, ...others] = topics
    if (this.#form.topic === '' && only !== undefined && others.length === 0)
      this.#form.topic = only
    render(this.#page(route !== undefined, topics), this.#place)
  }

  /** @param {string} topic */
  #partitionsOf(topic) {
    const clusters = gatewayStatus()?.clusters ?? []
    const found = clusters.flatMap(({ topics }) => topics).find(({ name }) => name === topic)
    return found?.partitions.length ?? 0
  }

  /** @param {readonly string[]} topics */
  #mistakes(topics) {
    const partitions = this.#partitionsOf(this.#form.topic)
    return mistakesOf(this.#form, topics, partitions || Number.POSITIVE_INFINITY)
  }

  /** @param {boolean} isThere @param {readonly string[]} topics */
  #page(isThere, topics) {
    if (!isThere) {
      const text = gatewayStatus()
        ? 'This gateway writes no records: its setting --produce is off.'
        : 'Asking the gateway …'
      return html`<section class="panel"><p class="empty">${text}</p></section>`
    }
    const form = this.#form
    const mistakes = this.#wasSent ? this.#mistakes(topics) : {}
    const change = (/** @type {Partial<RecordForm>} */ changed) => {
      this.#form = { ...this.#form, ...changed }
      this.draw()
    }
    const onKey = (/** @type {KeyboardEvent} */ event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void this.#send(topics)
    }
    return html`<section class="panel produce" aria-labelledby="produce-title" @keydown=${onKey}>
      <h2 id="produce-title">Produce a record</h2>
      <form
        novalidate
        @submit=${(/** @type {Event} */ event) => {
          event.preventDefault()
          void this.#send(topics)
        }}
      >
        ${this.#note === undefined ? nothing : html`<p class="hint-note" role="status">${this.#note}</p>`}
        <div class="line">
          ${topicField(form, topics, mistakes['topic'], change)}
          ${partitionField(form, this.#partitionsOf(form.topic), mistakes['partition'], change)}
        </div>
        ${bytesField('key', 'Key', form.key, mistakes['key'], (key) => change({ key }))}
        ${bytesField('value', 'Value', form.value, mistakes['value'], (value) => change({ value }))}
        ${headersField(form.headers, mistakes, (headers) => change({ headers }))}
        <div class="send">
          <button type="submit" class="main" ?disabled=${this.#isSending}>${this.#isSending ? 'Sending …' : 'Send'}</button>
          <p role="alert" class="bad">${this.#error ?? ''}</p>
          <p role="status" id="written">${this.#written ? written(this.#written) : ''}</p>
        </div>
      </form>
    </section>`
  }

  /** @param {readonly string[]} topics */
  async #send(topics) {
    if (this.#isSending) return
    this.#wasSent = true
    this.#error = undefined
    this.#written = undefined
    const [first] = Object.keys(this.#mistakes(topics))
    if (first !== undefined) {
      this.draw()
      document.getElementById(first)?.focus()
      return
    }
    this.#isSending = true
    this.draw()
    const result = await write(bodyOf(this.#form))
    this.#isSending = false
    if (typeof result === 'string') this.#error = result
    else {
      this.#written = result
      this.#wasSent = false
    }
    this.draw()
  }
}

/** @param {Written} written */
function written({ topic, partition, offset }) {
  if (offset === null) return `Written to partition ${partition}.`
  const record = `${topic}:${partition}:${offset}`
  return html`Written: <a href=${addressOf({ topic, record })}>partition ${partition}, offset ${count(offset)}</a>`
}

/** Writes a record. @param {string} body @returns {Promise<Written | string>} Where it is, or why it is not there. */
async function write(body) {
  const path = producerOf(gatewayStatus())?.paths[0] ?? '/produce'
  try {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(withCredentials(path), { method: 'POST', headers, body })
    const { records, message } = await response.json()
    if (response.ok) return records[0]
    return records?.[0]?.failure?.message ?? message ?? `The answer has status ${response.status}.`
  } catch {
    return 'No answer came: the record may have been written all the same.'
  }
}

/** @param {string} place @param {AbortSignal} signal @returns {Promise<ReadRecord | string>} The record, or why there is none. */
async function readRecord(place, signal) {
  const [, topic, partition, offset] = /^([\w.-]{1,249}):(\d{1,9}):(\d{1,15})$/.exec(place) ?? []
  const routes = gatewayStatus()?.routes ?? (await firstStatus(signal))?.routes ?? []
  const route = routes.find(
    ({ mode, topics, paths, hosts }) =>
      ['http-get', 'auto'].includes(mode) &&
      topics.includes(topic ?? '') &&
      hosts.length === 0 &&
      paths[0] !== undefined &&
      !paths[0].startsWith('~'),
  )
  if (!route?.paths[0]) return `Cannot read ${place}: no route here has single reads of this topic.`
  const url = withCredentials(route.paths[0])
  const wanted = {
    topic: topic ?? '',
    partition: partition ?? '',
    cursor: `${topic}:${partition}=${offset}`,
    max_records: '1',
    format: 'records',
  }
  for (const [name, value] of Object.entries(wanted)) url.searchParams.set(name, value)
  try {
    const response = await fetch(url, { signal, headers: { accept: 'application/json' } })
    const { records, message } = await response.json()
    if (!response.ok) return message
    const [record] = records
    return record?.offset === Number(offset)
      ? record
      : `Cannot read ${place}: Kafka does not have it any more.`
  } catch {
    return `Cannot read ${place}: the gateway cannot be reached.`
  }
}

/** @param {AbortSignal} signal @returns {Promise<import('../gateway-status.js').Status | undefined>} */
function firstStatus(signal) {
  return new Promise((resolve) => {
    const end = onStatus(() => {
      end()
      resolve(gatewayStatus())
    })
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}
