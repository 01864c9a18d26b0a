// @ts-check
/** Records as routes send them, and their short forms in a list. */

/**
 * @typedef {{
 *   topic: string, partition: number, offset: number, timestamp: number, key: unknown,
 *   value: unknown, headers: Record<string, string | null | Array<string | null>>,
 *   encoding?: { key?: 'base64', value?: 'base64', headers?: Record<string, 'base64'> },
 *   schema?: { key?: RecordSchema, value?: RecordSchema },
 *   error?: { code: string, message: string },
 *   isFormatted?: boolean,
 * }} KafkaRecord Where `isFormatted`, a function of the app has made the value of all of the record, and
 *   `offset` is only its number in the list.
 */
/** @typedef {{ id: number, type: string, name?: string }} RecordSchema */
/** @typedef {import('./pages.js').Gap} Gap */

/** Numbers with more digits than a double of JavaScript has. */
const LONG_NUMBER = /\d{16}/

/**
 * Parses JSON without a loss of digits: a number that JavaScript cannot hold stays the text that it is,
 * where the browser gives access to it.
 * @param {string} text
 */
export function parseJson(text) {
  if (!LONG_NUMBER.test(text)) return JSON.parse(text)
  const { rawJSON } = /** @type {any} */ (JSON)
  if (!rawJSON) return JSON.parse(text)
  /** @param {string} _ @param {unknown} value @param {{ source?: string }} [context] */
  const exact = (_, value, context) => {
    const source = context?.source
    if (typeof value !== 'number' || source === undefined || String(value) === source) return value
    return rawJSON(source)
  }
  try {
    return JSON.parse(text, /** @type {any} */ (exact))
  } catch {
    // A reviver goes through all levels, of which there may be more than the stack holds.
    return JSON.parse(text)
  }
}

/**
 * The records of an answer.
 * @param {string} text
 * @returns {{ records: KafkaRecord[], gaps: Gap[], cursor: string }}
 */
export function recordsIn(text) {
  const { records = [], gaps = [], cursor = '' } = parseJson(text)
  return { records, gaps, cursor }
}

/**
 * Values that a function of the app has made of records, which do not say where the records are.
 * @param {string} text A list of them as JSON.
 * @param {number} [first] The number of the first one.
 * @returns {KafkaRecord[]}
 */
export function formattedIn(text, first = 0) {
  return parseJson(text).map((/** @type {unknown} */ value, /** @type {number} */ index) => ({
    ...{ topic: '', partition: -1, offset: first + index, timestamp: -1, key: null, headers: {} },
    value,
    isFormatted: true,
  }))
}

/**
 * A key or value as text.
 * @param {unknown} value
 */
export function textOf(value) {
  if (typeof value === 'string') return value
  try {
    return JSON.stringify(value)
  } catch {
    // Browsers parse JSON of any depth, but write only some thousand levels.
    return '(JSON that is nested too deep to be shown)'
  }
}

/** Characters of a text in a row. */
const PREVIEW = 300

/**
 * The beginning of a text on one line.
 * @param {string} text
 */
export function preview(text) {
  const line = text.length > PREVIEW ? `${text.slice(0, PREVIEW)}…` : text
  return line.replaceAll(/[\n\r\t]+/g, ' ')
}
