// @ts-check
/** One record as a row of the list, and all of it beneath when it is opened. */
import { copy, element } from '../dom.js'
import { clock, count, isoTime, shellWord } from '../format.js'

/**
 * @typedef {{
 *   topic: string, partition: number, offset: number, timestamp: number, key: string | null,
 *   value: unknown, headers: Record<string, string | null | Array<string | null>>,
 *   encoding?: Record<string, unknown>, error?: { code: string, message: string },
 * }} KafkaRecord
 */

/** Characters of a value in a row, and of a value that is shown as a tree. */
const PREVIEW = 400
const PRETTY = 200_000
/** The most levels of a tree that are indented: the spaces of deeper levels would fill the memory. */
const MAX_INDENT = 50

/**
 * @param {KafkaRecord} record
 * @param {string} curl A command that reads on from this record.
 * @returns {HTMLLIElement}
 */
export function rowOf(record, curl) {
  const { topic, partition, offset, timestamp, key } = record
  const summary = element(
    'button',
    { type: 'button', class: 'row', 'aria-expanded': 'false' },
    element('time', { title: isoTime(timestamp) }, clock(timestamp)),
    element(
      'span',
      { class: 'place', title: `${topic}, partition ${partition}, offset ${offset}` },
      `${partition}`,
      element('i', {}, '/'),
      String(offset),
    ),
    element('span', { class: key === null ? 'key none' : 'key' }, key ?? 'no key'),
    preview(record),
  )
  const item = /** @type {HTMLLIElement} */ (element('li', {}, summary))
  summary.addEventListener('click', () => {
    const detail = item.querySelector('.detail')
    if (detail) detail.remove()
    else item.append(detailOf(record, curl))
    summary.setAttribute('aria-expanded', String(!detail))
  })
  return item
}

/**
 * The text of a record that a filter searches.
 * @param {KafkaRecord} record
 */
export function textOf({ topic, partition, offset, key, value, headers }) {
  const all = [
    `${topic}:${partition}:${offset}`,
    key ?? '',
    textValue(value),
    JSON.stringify(headers),
  ]
  return all.join('\n').toLowerCase()
}

/** @param {unknown} value */
function textValue(value) {
  try {
    return typeof value === 'string' ? value : JSON.stringify(value)
  } catch {
    // Browsers parse JSON of any depth, but write only some thousand levels.
    return '(JSON that is nested too deep to be shown)'
  }
}

/** @param {KafkaRecord} record */
function preview({ value, error }) {
  if (value === null) return element('span', { class: 'value none' }, 'tombstone')
  const text = textValue(value)
  const it = element(
    'span',
    { class: 'value' },
    text.length > PREVIEW ? `${text.slice(0, PREVIEW)}…` : text,
  )
  if (error) it.prepend(element('em', { class: 'flag' }, error.code))
  return it
}

/**
 * @param {KafkaRecord} record
 * @param {string} curl
 */
function detailOf(record, curl) {
  const { topic, partition, offset, timestamp, key, value, headers, encoding, error } = record
  const facts = element('dl', { class: 'facts' })
  /** @param {string} name @param {string | Node} fact */
  const add = (name, fact) => facts.append(element('dt', {}, name), element('dd', {}, fact))
  add('Topic', topic)
  add('Partition', String(partition))
  add('Offset', count(offset))
  add('Time', timeText(timestamp))
  add('Key', key === null ? element('span', { class: 'none' }, 'none') : element('code', {}, key))
  if (encoding) add('Encoding', element('code', {}, JSON.stringify(encoding)))
  if (error) add('Error', `${error.code}: ${error.message}`)
  const names = Object.keys(headers)
  const detail = element('div', { class: 'detail' }, facts)
  if (names.length > 0) {
    const rows = names.flatMap((name) =>
      [headers[name] ?? null].flat().map((text) => {
        const shown =
          text === null ? element('span', { class: 'none' }, 'none') : element('code', {}, text)
        return element('tr', {}, element('th', { scope: 'row' }, name), element('td', {}, shown))
      }),
    )
    detail.append(
      element('h3', {}, 'Headers'),
      element('table', { class: 'headers' }, element('tbody', {}, ...rows)),
    )
  }
  detail.append(element('h3', {}, 'Value'), pretty(value))
  const copyValue = element('button', { type: 'button' }, 'Copy value')
  copyValue.addEventListener(
    'click',
    () => void copy(value === null ? '' : textValue(value), 'Value'),
  )
  const copyCurl = element('button', { type: 'button' }, 'Copy as curl')
  copyCurl.addEventListener('click', () => void copy(curl, 'Command'))
  detail.append(element('p', { class: 'actions' }, copyValue, copyCurl))
  return detail
}

/** @param {number} timestamp */
function timeText(timestamp) {
  if (timestamp === -1) return 'none'
  const time = isoTime(timestamp)
  return time === undefined ? `${timestamp}, which is not a time` : `${time} (${ago(timestamp)})`
}

/** @param {number} timestamp */
function ago(timestamp) {
  const seconds = Math.round((Date.now() - timestamp) / 1_000)
  if (seconds < 90) return `${seconds} s ago`
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min ago`
  return seconds < 129_600
    ? `${Math.round(seconds / 3_600)} h ago`
    : `${Math.round(seconds / 86_400)} d ago`
}

/**
 * A value as indented JSON, or as it is if it is not JSON.
 * @param {unknown} value
 */
function pretty(value) {
  if (value === null)
    return element(
      'p',
      { class: 'none' },
      'None: a tombstone, which says that what had this key is gone.',
    )
  if (value === '') return element('p', { class: 'none' }, 'Empty.')
  const text = textValue(value)
  const json = indented(text)
  const place = element('pre', { tabindex: '0' })
  if (json === undefined || json.length > PRETTY)
    place.append(text.length > PRETTY ? `${text.slice(0, PRETTY)}…` : text)
  else place.append(...coloured(json))
  return place
}

/**
 * Indents JSON without reading its numbers, which may have more digits than ours.
 * @param {string} text
 */
function indented(text) {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    JSON.parse(text)
  } catch {
    return undefined
  }
  let depth = 0
  const line = () => `\n${'  '.repeat(Math.min(depth, MAX_INDENT))}`
  return text.replaceAll(TOKENS, (token) => {
    if (/^\s+$/.test(token)) return ''
    if (/^[[{]\s*[\]}]$/.test(token)) return token.replaceAll(/\s/g, '')
    if (token === '{' || token === '[') {
      depth++
      return token + line()
    }
    if (token === '}' || token === ']') {
      depth--
      return line() + token
    }
    if (token === ',') return token + line()
    return token === ':' ? ': ' : token
  })
}

const TOKENS = /"(?:[^"\\]|\\.)*"|[[{]\s*[\]}]|[[\]{},:]|\s+|[^\s[\]{},:"]+/g

/**
 * @param {string} json
 * @returns {Array<string | Node>}
 */
function coloured(json) {
  /** @type {Array<string | Node>} */
  const parts = []
  for (const [token, text, colon, word] of json.matchAll(
    /("(?:[^"\\]|\\.)*")(:)?|(true|false|null|-?\d[\d.eE+-]*)|[^"\dtfn-]+|./g,
  )) {
    if (text !== undefined)
      parts.push(element('span', { class: colon ? 'name' : 'text' }, text), colon ?? '')
    else if (word !== undefined) parts.push(element('span', { class: 'word' }, word))
    else parts.push(token)
  }
  return parts
}

/**
 * A command that reads a stream.
 * @param {URL} url
 */
export function curlOf(url) {
  return `curl -N ${shellWord(url.href)}`
}
