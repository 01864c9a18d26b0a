// @ts-check
/** A record as the fields of a form, and back: what is checked before anything is sent. */

/** @typedef {'text' | 'base64' | 'none'} Form How a field's text stands for bytes; `none` is null. */
/** @typedef {{ form: Form, text: string }} Field */
/** @typedef {{ id: number, name: string, field: Field }} Header */
/** @typedef {{ topic: string, partition: string, key: Field, value: Field, headers: Header[] }} RecordForm `partition` is empty where Kafka's client chooses it. */
/** @typedef {{ [field: string]: string }} Mistakes Messages by the field's id. */
/**
 * @typedef {{
 *   topic: string, partition: number, offset: number, key: unknown, value: unknown,
 *   headers: Record<string, string | null | Array<string | null>>,
 *   encoding?: { key?: string, value?: string, headers?: Record<string, string> },
 * }} ReadRecord
 */

let headers = 0

/** @param {string} topic @returns {RecordForm} */
export function emptyForm(topic) {
  return {
    topic,
    partition: '',
    key: { form: 'none', text: '' },
    value: { form: 'text', text: '' },
    headers: [],
  }
}

/** @returns {Header} */
export function emptyHeader() {
  return { id: headers++, name: '', field: { form: 'text', text: '' } }
}

/**
 * The form of a record that was read. The partition is left to its key, as it was at first.
 * @param {ReadRecord} record
 * @returns {RecordForm}
 */
export function formOf({ topic, partition, key, value, headers: given, encoding = {} }) {
  return {
    topic,
    partition: key === null ? '' : String(partition),
    key: fieldOf(key, encoding.key),
    value: fieldOf(value, encoding.value),
    headers: Object.entries(given).flatMap(([name, values]) =>
      [values].flat().map((text) => ({
        ...emptyHeader(),
        name,
        field: fieldOf(text, encoding.headers?.[name]),
      })),
    ),
  }
}

/** Whether a field of a record was decoded by a schema, so that its bytes are not known here. @param {unknown} value */
export function isDecoded(value) {
  return value !== null && typeof value !== 'string'
}

/** @param {unknown} value @param {string | undefined} encoding @returns {Field} */
function fieldOf(value, encoding) {
  if (value === null) return { form: 'none', text: '' }
  if (typeof value !== 'string') return { form: 'text', text: JSON.stringify(value, null, 2) }
  return { form: encoding === 'base64' ? 'base64' : 'text', text: value }
}

/**
 * @param {RecordForm} form
 * @param {readonly string[]} topics
 * @param {number} partitions The partitions of the topic.
 * @returns {Mistakes}
 */
export function mistakesOf({ topic, partition, key, value, headers: all }, topics, partitions) {
  /** @type {Mistakes} */
  const found = {}
  if (!topics.includes(topic)) found['topic'] = 'Choose a topic.'
  if (partition !== '' && !(Number(partition) < partitions)) {
    found['partition'] = `The topic has the partitions 0 to ${partitions - 1}.`
  }
  if (!isEncoded(key)) found['key'] = NOT_BASE64
  if (!isEncoded(value)) found['value'] = NOT_BASE64
  for (const { id, name, field } of all) {
    if (name === '') found[`header-${id}`] = 'A header needs a name.'
    else if (!isEncoded(field)) found[`header-${id}`] = NOT_BASE64
  }
  return found
}

const NOT_BASE64 = 'This is not base64.'

/** @param {Field} field */
function isEncoded({ form, text }) {
  if (form !== 'base64') return true
  try {
    atob(text)
    return !/\s/.test(text)
  } catch {
    return false
  }
}

/** A note about a value that looks like JSON and is not; it can be sent all the same. @param {Field} field */
export function jsonNote({ form, text }) {
  if (form !== 'text' || !/^\s*[[{]/.test(text)) return undefined
  try {
    JSON.parse(text)
    return undefined
  } catch (error) {
    return `This is not valid JSON: ${error instanceof Error ? error.message : error}.`
  }
}

/** The body of a request that writes the record. @param {RecordForm} form */
export function bodyOf({ topic, partition, key, value, headers: all }) {
  const headers = headersOf(all)
  const encoding = {
    ...(key.form === 'base64' && { key: 'base64' }),
    ...(value.form === 'base64' && { value: 'base64' }),
    headers: headers.encodings,
  }
  const record = {
    topic,
    ...(partition !== '' && { partition: Number(partition) }),
    key: textOf(key),
    value: textOf(value),
    headers: headers.values,
    encoding,
  }
  return JSON.stringify({ records: [record] })
}

/** Headers by name. All values of a name have one encoding: text becomes base64 beside base64. @param {readonly Header[]} all */
function headersOf(all) {
  /** @type {Record<string, Array<string | null>>} */
  const values = Object.create(null)
  /** @type {Record<string, 'base64'>} */
  const encodings = Object.create(null)
  for (const { name, field } of all) if (field.form === 'base64') encodings[name] = 'base64'
  for (const { name, field } of all) {
    const text = textOf(field)
    const isTextHere = field.form === 'text' && encodings[name] === 'base64'
    values[name] = [...(values[name] ?? []), isTextHere ? base64Of(field.text) : text]
  }
  return { values, encodings }
}

/** @param {Field} field */
function textOf({ form, text }) {
  return form === 'none' ? null : text
}

/** @param {string} text */
function base64Of(text) {
  const bytes = new TextEncoder().encode(text)
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}
