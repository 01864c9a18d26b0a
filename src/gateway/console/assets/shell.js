// @ts-check
/** The frame around every view: the navigation, the state of Kafka, keys and colours. */
import { html, render } from 'lit-html'
import { byId, element } from './dom.js'
import { gatewayStatus, onStatus, statusFailure } from './gateway-status.js'
import { addressOf, loginAddress, onNavigate, parameters } from './router.js'
import { VIEWS, viewOf } from './views.js'

/** @typedef {import('./views.js').View} View */
/** @typedef {import('./views.js').OpenView} OpenView */
/** @typedef {import('./views.js').Key} Key */

/** @type {View | undefined} */
let shown
/** @type {OpenView | undefined} */
let open

/** Shows the view of the address, and follows the address from now on. */
export function startShell() {
  onNavigate(() => void follow())
  onStatus(() => {
    showNavigation()
    showKafka()
  })
  byId('logout')?.addEventListener('click', () => void logOut())
  byId('login')?.addEventListener('click', logIn)
  byId('theme').addEventListener('click', toggleTheme)
  byId('help').addEventListener('click', listKeys)
  preference.addEventListener('change', () => open?.restyle?.())
  document.addEventListener('keydown', onKey)
  void follow()
}

/** The failure of a request whose credentials are not good any more. */
const NO_SESSION = 'status 401'

async function follow() {
  const wanted = parameters()
  const view = viewOf(wanted)
  if (view === shown) return open?.show(wanted)
  open?.close()
  open = undefined
  shown = view
  showNavigation()
  document.title = `${view.title} · Kafka over HTTP`
  // lit-html keeps its state on the element into which it renders: each view gets a new one.
  const place = element('div', { class: 'view' })
  byId('main').replaceChildren(place)
  const { openView } = await view.load()
  // Another view may have been chosen meanwhile.
  if (shown !== view) return
  open = openView(place)
  open.show(parameters())
}

function showNavigation() {
  const status = gatewayStatus()
  const links = VIEWS.filter((view) => view === shown || (view.isThere?.(status) ?? true)).map(
    (view) =>
      html`<a
        href=${addressOf(view === VIEWS[0] ? {} : { view: view.name })}
        aria-current=${view === shown ? 'page' : 'false'}
      >${view.title}</a>`,
  )
  render(links, byId('views'))
}

function showKafka() {
  const failure = statusFailure()
  const clusters = gatewayStatus()?.clusters ?? []
  const outage = clusters.find((cluster) => cluster.outage)?.outage
  const place = byId('kafka')
  const banner = byId('banner')
  banner.hidden = (outage === undefined || failure !== undefined) && failure !== NO_SESSION
  if (failure === NO_SESSION) {
    place.dataset.state = 'error'
    place.textContent = 'Not logged in'
    const logIn = () => location.reload()
    const again = html`<button type="button" @click=${logIn}>Log in again</button>`
    render(html`Your session has ended. ${again}`, banner)
  } else if (failure !== undefined) {
    place.dataset.state = 'error'
    place.textContent = failure
      ? `The gateway answers with ${failure}`
      : 'The gateway cannot be reached'
  } else if (outage) {
    place.dataset.state = 'error'
    place.textContent = 'Kafka is away'
    const since = new Date(outage.since).toLocaleTimeString('en-GB')
    render(`${outage.message}, since ${since}. Open streams go on when it is back.`, banner)
  } else if (clusters.length === 0) {
    place.dataset.state = 'wait'
    place.textContent = 'Kafka was not asked for anything yet'
  } else {
    place.dataset.state = 'live'
    place.textContent = clusters.map(({ name }) => name).join(', ')
  }
}

/**
 * The page to log in comes back to what this page shows now.
 * @param {Event} event
 */
function logIn(event) {
  event.preventDefault()
  location.assign(loginAddress() ?? '/')
}

/** The page's own address then has the page to log in. */
async function logOut() {
  await fetch(byId('logout').dataset.address, { method: 'POST' }).catch(() => undefined)
  location.reload()
}

const root = document.documentElement
const preference = matchMedia('(prefers-color-scheme: dark)')

function toggleTheme() {
  const isDark = root.dataset['theme'] ? root.dataset['theme'] === 'dark' : preference.matches
  root.dataset['theme'] = isDark ? 'light' : 'dark'
  localStorage.setItem('theme', root.dataset['theme'])
  open?.restyle?.()
}

/** @type {readonly Key[]} */
const KEYS = [
  { key: 't', text: 'light or dark', act: toggleTheme },
  { key: '?', text: 'this list', act: listKeys },
]

function listKeys() {
  const keys = [...(open?.keys ?? []), ...KEYS]
  const name = (/** @type {string} */ key) => (key === ' ' ? 'Space' : key)
  render(
    html`<h2 id="keys-title">Keys</h2>
      <dl>${keys.map(({ key, text }) => html`<dt><kbd>${name(key)}</kbd></dt><dd>${text}</dd>`)}</dl>
      <form method="dialog"><button type="submit">Close</button></form>`,
    byId('keys'),
  )
  byId('keys').showModal()
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  const { key, target, ctrlKey, metaKey, altKey } = event
  if (ctrlKey || metaKey || altKey || event.defaultPrevented) return
  const at = /** @type {HTMLElement} */ (target)
  if (at.matches('input, select, textarea') || document.querySelector('dialog[open]')) return
  // A button or a link that has the focus takes the space bar for itself.
  if (key === ' ' && at.matches('button, a, summary')) return
  const found = [...(open?.keys ?? []), ...KEYS].find((each) => each.key === key && each.act)
  if (!found) return
  event.preventDefault()
  found.act?.()
}
