// @ts-check
/** The panel of consumer groups, of all topics or of one. */
import { html } from 'lit-html'
import { count } from '../format.js'

/**
 * @param {{
 *   id: string,
 *   groups: readonly unknown[],
 *   groupsLeftOut: number,
 *   numbers: readonly string[],
 *   bodies: unknown,
 *   empty: string,
 * }} parts `numbers` are the titles of the columns with numbers, behind those of group and state; `bodies` is the
 *   `tbody` elements of the table.
 */
export const groupPanel = ({
  id,
  groups,
  groupsLeftOut,
  numbers,
  bodies,
  empty,
}) => html`<section class="panel" aria-labelledby=${id}>
  <div class="panel-head">
    <h2 id=${id}>Consumer groups</h2>
    <p class="count">${groupCount(groups.length, groupsLeftOut)}</p>
  </div>
  <div class="wide-table tall" tabindex="0" role="region" aria-label="Table of consumer groups">
    <table>
      <thead><tr>
        <th scope="col">Group</th>
        <th scope="col">State</th>
        ${numbers.map((title) => html`<th scope="col" class="number">${title}</th>`)}
      </tr></thead>
      ${bodies}
    </table>
  </div>
  <p class="empty" ?hidden=${groups.length > 0}>${empty}</p>
</section>`

/**
 * The number of groups that are listed, and of those that Kafka was not asked about yet.
 * @param {number} listed
 * @param {number} leftOut
 */
function groupCount(listed, leftOut) {
  return leftOut > 0 ? `${count(listed)}, and ${count(leftOut)} to ask about` : count(listed)
}
