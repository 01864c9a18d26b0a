// @ts-check
/** JSON as a tree that opens level by level, so that values of a megabyte stay quick. */
import { copy, element } from '../dom.js'
import { count } from '../format.js'
import { textOf } from './record.js'

/** Lines that are shown at first, as far as whole levels fit. */
const FIRST_LINES = 60
/** Elements of an array or fields of an object that are shown at a time. */
const CHUNK = 100
/** Characters of a text that are shown in a line. */
const MAX_TEXT = 400

/** @typedef {{ details: HTMLDetailsElement, size: number, open: () => Branch[] }} Branch */

/**
 * @param {unknown} value
 * @param {string} path The path of the value, as expressions of CEL write it.
 * @returns {HTMLElement}
 */
export function jsonTree(value, path) {
  const tree = element('div', { class: 'tree' })
  const root = branchOf(value)
  if (!root) {
    tree.append(leaf(undefined, value, path))
    return tree
  }
  const { list, branches } = levelOf(root, path)
  tree.append(list)
  let lines = root.length
  for (let level = branches; level.length > 0; ) {
    lines += level.reduce((sum, { size }) => sum + Math.min(size, CHUNK), 0)
    if (lines > FIRST_LINES) break
    level = level.flatMap(({ open }) => open())
  }
  return tree
}

/**
 * The fields or elements of a value; undefined where it has none.
 * @param {unknown} value
 * @returns {Array<[string | number, unknown]> | undefined}
 */
function branchOf(value) {
  if (Array.isArray(value)) return value.map((each, index) => [index, each])
  if (typeof value !== 'object' || value === null || isRawNumber(value)) return undefined
  return Object.entries(value)
}

/** A number with more digits than JavaScript's, which `JSON.rawJSON` holds. @param {unknown} value */
function isRawNumber(value) {
  return /** @type {any} */ (JSON).isRawJSON?.(value) === true
}

/**
 * @param {Array<[string | number, unknown]>} entries
 * @param {string} path
 */
function levelOf(entries, path) {
  const list = element('ul')
  /** @type {Branch[]} */
  const branches = []
  const addChunk = (/** @type {number} */ from) => {
    for (const [name, value] of entries.slice(from, from + CHUNK)) {
      const branch = itemOf(list, name, value, pathOf(path, name))
      if (branch) branches.push(branch)
    }
    const left = entries.length - from - CHUNK
    if (left <= 0) return
    const more = element('button', { type: 'button', class: 'quiet' }, `${count(left)} more`)
    const item = element('li', {}, more)
    more.addEventListener('click', () => {
      item.remove()
      addChunk(from + CHUNK)
    })
    list.append(item)
  }
  addChunk(0)
  return { list, branches }
}

/**
 * @param {HTMLElement} list
 * @param {string | number} name
 * @param {unknown} value
 * @param {string} path
 * @returns {Branch | undefined}
 */
function itemOf(list, name, value, path) {
  const entries = branchOf(value)
  if (!entries || entries.length === 0) {
    list.append(element('li', {}, leaf(name, value, path)))
    return undefined
  }
  const isList = Array.isArray(value)
  const size = `${isList ? '[' : '{'}${count(entries.length)}${isList ? ']' : '}'}`
  const details = /** @type {HTMLDetailsElement} */ (
    element(
      'details',
      {},
      element('summary', {}, nameOf(name), ' ', element('span', { class: 'size' }, size)),
    )
  )
  /** @type {Branch[] | undefined} */
  let inner
  const fill = () => {
    if (inner) return inner
    const level = levelOf(entries, path)
    details.append(level.list)
    inner = level.branches
    return inner
  }
  details.addEventListener('toggle', () => {
    if (details.open) fill()
  })
  // Beside the summary, not in it: a control within another one is lost to screen readers.
  list.append(element('li', { class: 'branch' }, details, pathButton(path)))
  const open = () => {
    details.open = true
    return fill()
  }
  return { details, size: entries.length, open }
}

/**
 * @param {string | number | undefined} name
 * @param {unknown} value
 * @param {string} path
 */
function leaf(name, value, path) {
  const text = textOf(value)
  const kind = typeof value === 'string' ? 'text' : 'word'
  const shown = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
  const quoted = typeof value === 'string' ? JSON.stringify(shown) : shown
  const line = element('span', { class: 'leaf' }, element('span', { class: kind }, quoted))
  if (name !== undefined) line.prepend(nameOf(name), ' ')
  line.append(pathButton(path))
  return line
}

/** @param {string | number} name */
function nameOf(name) {
  return element('span', { class: typeof name === 'number' ? 'index' : 'name' }, `${name}:`)
}

/** @param {string} path */
function pathButton(path) {
  const button = element(
    'button',
    { type: 'button', class: 'path', title: path, 'aria-label': `Copy the path ${path}` },
    'path',
  )
  button.addEventListener('click', () => void copy(path, 'Path'))
  return button
}

/** @param {string} path @param {string | number} name */
function pathOf(path, name) {
  if (typeof name === 'number') return `${path}[${name}]`
  return /^[A-Za-z_]\w*$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`
}
