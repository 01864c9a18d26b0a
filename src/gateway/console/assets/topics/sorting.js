// @ts-check
/** Tables that are sorted by a column, which the address names: `sort=-size` is from the largest down. */
import { html } from 'lit-html'
import { parameters } from '../router.js'

/**
 * A column: its title, and the value of a row by which rows are sorted.
 * @template Row
 * @typedef {{ title: string, value: (row: Row) => number | string, isText?: boolean, isWide?: boolean }} Column
 */
/**
 * The columns of a table by their names in the address. The first one sorts rows by default.
 * @template Row
 * @typedef {Readonly<Record<string, Column<Row>>>} Columns
 */

/** The column by which a table is sorted, and whether from the largest value down. @param {Columns<any>} columns */
function sortingOf(columns) {
  const [first = ''] = Object.keys(columns)
  const text = parameters().get('sort') ?? first
  const column = text.replace(/^-/, '')
  return Object.hasOwn(columns, column)
    ? { column, isDown: text.startsWith('-') }
    : { column: first, isDown: false }
}

/**
 * The text for the address after a click on the header of a column. Numbers are sorted from the largest down
 * at first, names from A.
 * @param {Columns<any>} columns
 * @param {string} column
 */
function nextSort(columns, column) {
  const now = sortingOf(columns)
  const [first] = Object.keys(columns)
  const beginsDown = column !== first
  const isDown = now.column === column ? !now.isDown : beginsDown
  const text = `${isDown ? '-' : ''}${column}`
  return text === first ? undefined : text
}

/**
 * @template Row
 * @param {readonly Row[]} rows In the order of those whose values are equal.
 * @param {Columns<Row>} columns
 * @returns {Row[]}
 */
export function sorted(rows, columns) {
  const { column, isDown } = sortingOf(columns)
  const value = columns[column]?.value
  if (!value) return [...rows]
  const sign = isDown ? -1 : 1
  return [...rows].sort((a, b) => {
    const [first, second] = [value(a), value(b)]
    return first === second ? 0 : first < second ? -sign : sign
  })
}

/**
 * The headers of a table. A click on one calls `sort` with what the address is to say.
 * @param {Columns<any>} columns
 * @param {(sort: string | undefined) => void} sort
 */
export function headers(columns, sort) {
  const { column, isDown } = sortingOf(columns)
  return Object.entries(columns).map(([name, { title, isText, isWide }]) => {
    const order = column !== name ? 'none' : isDown ? 'descending' : 'ascending'
    return html`<th
      scope="col"
      class="${isText ? '' : 'number'} ${isWide ? 'wide' : ''}"
      aria-sort=${order}
    ><button type="button" class="sort" @click=${() => sort(nextSort(columns, name))}>${title}</button></th>`
  })
}
