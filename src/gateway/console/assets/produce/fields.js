// @ts-check
/** The fields of the form that writes a record, each with its mistake beneath. */
import { html, nothing } from 'lit-html'
import { repeat } from 'lit-html/directives/repeat.js'
import { emptyHeader, jsonNote } from './record-form.js'

/** @typedef {import('./record-form.js').Field} Field */
/** @typedef {import('./record-form.js').Header} Header */
/** @typedef {import('./record-form.js').RecordForm} RecordForm */

/** @param {string} id @param {string | undefined} text */
const mistake = (id, text) =>
  text === undefined ? nothing : html`<p class="mistake" id="${id}-mistake">${text}</p>`

/**
 * @param {RecordForm} form
 * @param {readonly string[]} topics
 * @param {string | undefined} wrong
 * @param {(changed: Partial<RecordForm>) => void} change
 */
export const topicField = ({ topic }, topics, wrong, change) => html`<div class="field grow">
  <label for="topic">Topic</label>
  <select
    id="topic"
    .value=${topic}
    aria-invalid=${String(wrong !== undefined)}
    aria-describedby=${wrong === undefined ? nothing : 'topic-mistake'}
    @change=${(/** @type {Event} */ { target }) => change({ topic: textIn(target), partition: '' })}
  >
    ${topics.includes(topic) ? nothing : html`<option value=${topic} selected>choose one …</option>`}
    ${topics.map((name) => html`<option value=${name} ?selected=${name === topic}>${name}</option>`)}
  </select>
  ${mistake('topic', wrong)}
</div>`

/**
 * @param {RecordForm} form
 * @param {number} partitions
 * @param {string | undefined} wrong
 * @param {(changed: Partial<RecordForm>) => void} change
 */
export const partitionField = ({ partition }, partitions, wrong, change) => html`<div class="field">
  <label for="partition">Partition</label>
  <input
    id="partition"
    inputmode="numeric"
    pattern="[0-9]*"
    placeholder="by the key"
    autocomplete="off"
    .value=${partition}
    aria-invalid=${String(wrong !== undefined)}
    aria-describedby=${wrong === undefined ? nothing : 'partition-mistake'}
    title=${partitions > 0 ? `0 to ${partitions - 1}; empty: Kafka's client chooses` : nothing}
    @input=${(/** @type {Event} */ { target }) => change({ partition: textIn(target).trim() })}
  >
  ${mistake('partition', wrong)}
</div>`

/**
 * @param {'key' | 'value'} id
 * @param {string} name
 * @param {Field} field
 * @param {string | undefined} wrong
 * @param {(field: Field) => void} change
 */
export const bytesField = (id, name, field, wrong, change) => {
  const note = id === 'value' ? jsonNote(field) : undefined
  const described = [wrong !== undefined && `${id}-mistake`, note !== undefined && `${id}-note`]
  return html`<div class="field">
    <div class="field-head">
      <label for=${id}>${name}</label>
      ${formSelect(`${name} as`, field, id === 'key' ? 'no key' : 'null (tombstone)', change)}
    </div>
    <textarea
      id=${id}
      rows=${id === 'key' ? 1 : 10}
      spellcheck="false"
      autocapitalize="none"
      .value=${field.text}
      ?disabled=${field.form === 'none'}
      aria-invalid=${String(wrong !== undefined)}
      aria-describedby=${described.filter(Boolean).join(' ') || nothing}
      @input=${(/** @type {Event} */ { target }) => change({ ...field, text: textIn(target) })}
    ></textarea>
    ${mistake(id, wrong)}
    ${note === undefined ? nothing : html`<p class="hint" id="${id}-note">${note}</p>`}
  </div>`
}

/**
 * @param {string} label
 * @param {Field} field
 * @param {string} none
 * @param {(field: Field) => void} change
 */
const formSelect = (label, field, none, change) => html`<select
  aria-label=${label}
  @change=${(/** @type {Event} */ { target }) =>
    change({ ...field, form: /** @type {Field['form']} */ (textIn(target)) })}
>
  ${[
    ['text', 'text'],
    ['base64', 'base64'],
    ['none', none],
  ].map(
    ([form, text]) =>
      html`<option value=${form} ?selected=${form === field.form} .selected=${form === field.form}>${text}</option>`,
  )}
</select>`

/**
 * @param {readonly Header[]} headers
 * @param {import('./record-form.js').Mistakes} mistakes
 * @param {(headers: Header[]) => void} change
 */
export const headersField = (headers, mistakes, change) => {
  const replace = (/** @type {Header} */ header) =>
    change(headers.map((each) => (each.id === header.id ? header : each)))
  const add = () => {
    const header = emptyHeader()
    change([...headers, header])
    document.getElementById(`header-${header.id}`)?.focus()
  }
  const remove = (/** @type {number} */ id) => {
    change(headers.filter((each) => each.id !== id))
    document.getElementById('add-header')?.focus()
  }
  return html`<fieldset class="field">
    <legend>Headers</legend>
    ${repeat(
      headers,
      ({ id }) => id,
      (header, index) => {
        const id = `header-${header.id}`
        const { field } = header
        const wrong = mistakes[id]
        return html`<div class="header-line">
          <input
            id=${id}
            aria-label="Name of header ${index + 1}"
            placeholder="name"
            autocomplete="off"
            autocapitalize="none"
            spellcheck="false"
            .value=${header.name}
            aria-invalid=${String(wrong !== undefined)}
            aria-describedby=${wrong === undefined ? nothing : `${id}-mistake`}
            @input=${(/** @type {Event} */ { target }) => replace({ ...header, name: textIn(target) })}
          >
          <input
            class="header-value"
            aria-label="Value of header ${index + 1}"
            placeholder=${field.form === 'none' ? '' : 'value'}
            autocomplete="off"
            autocapitalize="none"
            spellcheck="false"
            .value=${field.text}
            ?disabled=${field.form === 'none'}
            @input=${(/** @type {Event} */ { target }) =>
              replace({ ...header, field: { ...field, text: textIn(target) } })}
          >
          ${formSelect(`Header ${index + 1} as`, field, 'null', (changed) => replace({ ...header, field: changed }))}
          <button type="button" aria-label="Remove header ${index + 1}" @click=${() => remove(header.id)}>✕</button>
          ${mistake(id, wrong)}
        </div>`
      },
    )}
    <button type="button" id="add-header" @click=${add}>Add a header</button>
  </fieldset>`
}

/** @param {EventTarget | null} target */
function textIn(target) {
  return /** @type {HTMLInputElement} */ (target).value
}
