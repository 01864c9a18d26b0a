// @ts-check
/** The views of the console. Each is a folder, whose `view.js` is loaded when the view is first shown. */

import { producerOf } from './gateway-status.js'

/** @typedef {{ key: string, text: string, act?: () => void }} Key A key of the keyboard; without `act` it is only listed. */
/**
 * @typedef {{
 *   show(parameters: URLSearchParams): void,
 *   restyle?(): void,
 *   close(): void,
 *   keys?: readonly Key[],
 * }} OpenView A view in the page. `show` is called with the parameters of the address, at first and
 *   whenever they change; `restyle` after a change of colours; `close` before another view is shown.
 */
/** @typedef {import('./gateway-status.js').Status} Status */
/** @typedef {{ name: string, title: string, isThere?: (status: Status | undefined) => boolean, load: () => Promise<{ openView(place: HTMLElement): OpenView }> }} View */

/** `isThere` tells whether the navigation has a view; by default it has. By the parameter `view` of the address. The first is shown without one. @type {readonly View[]} */
export const VIEWS = [
  { name: 'records', title: 'Records', load: () => import('./records/view.js') },
  { name: 'topics', title: 'Topics', load: () => import('./topics/view.js') },
  {
    name: 'produce',
    title: 'Produce',
    isThere: (status) => producerOf(status) !== undefined,
    load: () => import('./produce/view.js'),
  },
  {
    name: 'gateway',
    title: 'Gateway',
    // Its metrics are not for clients with a scope.
    isThere: () => document.documentElement.dataset['scoped'] === undefined,
    load: () => import('./gateway/view.js'),
  },
]

/** @param {URLSearchParams} parameters */
export function viewOf(parameters) {
  const name = parameters.get('view')
  return /** @type {View} */ (VIEWS.find((view) => view.name === name) ?? VIEWS[0])
}
