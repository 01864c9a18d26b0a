// @ts-check
/**
 * The address says what the page shows: every view, position, filter and opened record is a link, the
 * browser's back and forward buttons work, and a reload keeps all of it.
 */
import { credentialNames, withCredentials } from './credentials.js'

/** @typedef {Record<string, string | number | null | undefined>} Changes Values by the names of parameters; null and undefined remove one. */

/** @type {Set<() => void>} */
const listeners = new Set()

/** The parameters of what is shown, without credentials. */
export function parameters() {
  const found = new URLSearchParams(location.search)
  for (const name of credentialNames) found.delete(name)
  return found
}

/**
 * The address of a view, for links within the page. It has the credentials of the page's own address.
 * @param {URLSearchParams | Changes} wanted
 */
export function addressOf(wanted) {
  return withCredentials(linkTo(wanted)).href
}

/**
 * The address of a view without credentials, to share with others.
 * @param {URLSearchParams | Changes} wanted
 */
export function linkTo(wanted) {
  const url = new URL(location.pathname, location.origin)
  const query = wanted instanceof URLSearchParams ? wanted : withChanges(wanted, '')
  // These characters may stand in a query as they are, and make links readable.
  url.search = String(query).replaceAll(/%2F|%3A|%2C|%3B/g, decodeURIComponent)
  return url.href
}

/** The address of the page to log in, which comes back to this one; undefined where there is none. */
export function loginAddress() {
  const page = document.documentElement.dataset['login']
  const { pathname, search, hash } = location
  return page && `${page}?next=${encodeURIComponent(pathname + search + hash)}`
}

/**
 * Shows what the parameters say, as a new entry of the browser's history.
 * @param {URLSearchParams | Changes} wanted
 */
export function go(wanted) {
  const address = addressOf(wanted)
  if (address !== location.href) history.pushState(null, '', address)
  for (const listener of [...listeners]) listener()
}

/**
 * Changes the address without a new entry of the history, such as while somebody types.
 * @param {URLSearchParams | Changes} wanted
 */
export function replaceAddress(wanted) {
  history.replaceState(null, '', addressOf(wanted))
}

/**
 * The present parameters with some changes.
 * @param {Changes} changes
 * @param {string | URLSearchParams} [base] Default: the present parameters.
 */
export function withChanges(changes, base = parameters()) {
  const changed = new URLSearchParams(base)
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === '') changed.delete(name)
    else changed.set(name, String(value))
  }
  return changed
}

/**
 * Calls a function whenever the address changes, by a link of the page or by the browser's buttons.
 * @param {() => void} listener
 */
export function onNavigate(listener) {
  listeners.add(listener)
}

addEventListener('popstate', () => {
  for (const listener of [...listeners]) listener()
})

// Links of the page to itself change the view without loading the page again.
document.addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button !== 0) return
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
  const target = /** @type {Element | null} */ (event.target)
  const link = target?.closest('a:not([target], [download])')
  if (!(link instanceof HTMLAnchorElement)) return
  if (link.origin !== location.origin || link.pathname !== location.pathname) return
  event.preventDefault()
  const found = new URLSearchParams(link.search)
  for (const name of credentialNames) found.delete(name)
  go(found)
})
