// @ts-check
/** The console page: polls the status and the metrics, and follows a route. */
import { Charts } from './charts.js'
import { withCredentials } from './credentials.js'
import { byId, every } from './dom.js'
import { Overview } from './overview.js'
import { Tail } from './tail.js'

const INTERVAL = 2_000

const { status, metrics } = /** @type {{ status: string, metrics: string }} */ (
  document.documentElement.dataset
)
const charts = new Charts()
const overview = new Overview()
const tail = new Tail()

void every(INTERVAL, async () => {
  try {
    const response = await fetch(withCredentials(status))
    if (!response.ok) throw new Error(`status ${response.status}`)
    /** @type {import('./overview.js').Status} */
    const found = await response.json()
    overview.show(found)
    tail.offer(found.routes)
    const { cluster, topics } = tail.route ?? {}
    const known = found.clusters.find(({ name }) => name === cluster)?.topics ?? []
    const partitions = known
      .filter(({ name }) => topics?.includes(name))
      .map((topic) => topic.partitions.length)
    tail.offerPartitions(Math.max(0, ...partitions))
  } catch (error) {
    away(error instanceof Error && error.message.startsWith('status') ? error.message : undefined)
  }
})

void every(INTERVAL, async () => {
  try {
    const response = await fetch(withCredentials(metrics))
    byId('no-metrics').hidden = response.ok
    if (response.ok) charts.add(await response.text())
    else
      byId('no-metrics').textContent =
        'There are no metrics: they are switched off, or your credentials do not allow them.'
  } catch {
    charts.miss()
  }
})

/** @param {string | undefined} why */
function away(why) {
  const kafka = byId('kafka')
  kafka.dataset.state = 'error'
  kafka.textContent = why ? `The gateway answers with ${why}` : 'The gateway cannot be reached'
}

const root = document.documentElement
const preference = matchMedia('(prefers-color-scheme: dark)')

function toggleTheme() {
  const isDark = root.dataset['theme'] ? root.dataset['theme'] === 'dark' : preference.matches
  root.dataset['theme'] = isDark ? 'light' : 'dark'
  localStorage.setItem('theme', root.dataset['theme'])
  charts.draw()
}

preference.addEventListener('change', () => charts.draw())
byId('theme').addEventListener('click', toggleTheme)
byId('help').addEventListener('click', () => byId('keys').showModal())

/** @param {number} step */
function move(step) {
  const rows = /** @type {HTMLElement[]} */ ([
    ...document.querySelectorAll('#records > li:not([hidden]) > .row'),
  ])
  const index = rows.indexOf(/** @type {HTMLElement} */ (document.activeElement))
  const next = index < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, index + step))
  rows[next]?.focus()
  rows[next]?.scrollIntoView({ block: 'nearest' })
}

/** @type {Record<string, () => void>} */
const keys = {
  ' ': () => tail.toggle(),
  '/': () => byId('filter').focus(),
  j: () => move(1),
  k: () => move(-1),
  c: () => tail.copyCurl(),
  t: toggleTheme,
  '?': () => byId('keys').showModal(),
}

document.addEventListener('keydown', (event) => {
  const { key, target, ctrlKey, metaKey, altKey } = event
  if (ctrlKey || metaKey || altKey || byId('keys').open) return
  const at = /** @type {HTMLElement} */ (target)
  if (key === 'Escape' && at === byId('filter')) {
    byId('filter').value = ''
    byId('filter').dispatchEvent(new Event('input'))
    byId('filter').blur()
    return
  }
  if (at.matches('input, select, textarea')) return
  // A button that has the focus takes the space bar for itself; a record opens with Enter, too.
  if (key === ' ' && at.matches('button:not(.row)')) return
  const act = keys[key]
  if (!act) return
  event.preventDefault()
  act()
})
