// @ts-check
/** Routes and topics, by `/status`. */
import { byId, copy, element } from './dom.js'
import { count, rate, shellWord } from './format.js'

/** @typedef {{ name: string, paths: string[], hosts: string[], mode: string, topics: string[], cluster?: string, streams: number, groups: string[] }} StatusRoute */
/** @typedef {{ partition: number, start: number, end: number }} Partition */
/** @typedef {{ name: string, partitions: Partition[] }} Topic */
/** @typedef {{ name: string, outage?: { code: string, message: string, since: string }, brokers: Array<{ name: string, up: boolean }>, topics: Topic[] }} Cluster */
/** @typedef {{ version: string, routes: StatusRoute[], clusters: Cluster[], groups: Array<{ id: string, cluster: string, partitions: Array<{ topic: string, partition: number, lag?: number }> }> }} Status */

/** The window of a rate, in milliseconds. */
const WINDOW = 10_000

export class Overview {
  /** Ends of partitions over the last seconds. @type {Array<{ at: number, ends: Map<string, number> }>} */
  #before = []
  /** Topics whose partitions are shown. @type {Set<string>} */
  #open = new Set()
  /** @type {Status | undefined} */
  #last

  /** @param {Status} status */
  show(status) {
    this.#last = status
    this.#remember(status)
    this.#kafka(status)
    this.#topics(status)
    this.#routes(status)
  }

  /** @param {Status} status */
  #remember({ clusters }) {
    const ends = new Map()
    for (const { name, topics } of clusters) {
      for (const topic of topics) {
        for (const { partition, end } of topic.partitions)
          ends.set(keyOf(name, topic.name, partition), end)
      }
    }
    const now = performance.now()
    this.#before.push({ at: now, ends })
    while ((this.#before[1]?.at ?? now) < now - WINDOW) this.#before.shift()
  }

  /**
   * Records per second.
   * @param {string} key
   * @param {number} end
   */
  #rate(key, end) {
    const [first] = this.#before
    const begin = first?.ends.get(key)
    const seconds = (performance.now() - (first?.at ?? 0)) / 1_000
    if (begin === undefined || seconds < 1) return undefined
    return Math.max(0, end - begin) / seconds
  }

  /** @param {Status} status */
  #kafka({ clusters }) {
    const place = byId('kafka')
    const outage = clusters.find((cluster) => cluster.outage)?.outage
    const banner = byId('banner')
    banner.hidden = outage === undefined
    if (outage) {
      place.dataset.state = 'error'
      place.textContent = 'Kafka is away'
      const since = new Date(outage.since).toLocaleTimeString('en-GB')
      banner.textContent = `${outage.message}, since ${since}. Open streams go on when it is back.`
    } else if (clusters.length === 0) {
      place.dataset.state = 'wait'
      place.textContent = 'Kafka was not asked for anything yet'
    } else {
      place.dataset.state = 'live'
      place.textContent = clusters.map(({ name }) => name).join(', ')
    }
  }

  /** @param {Status} status */
  #topics({ clusters, groups }) {
    /** @type {Map<string, number>} */
    const lags = new Map()
    for (const { cluster, partitions } of groups) {
      for (const { topic, partition, lag } of partitions) {
        const key = keyOf(cluster, topic, partition)
        if (lag !== undefined) lags.set(key, (lags.get(key) ?? 0) + lag)
      }
    }
    const rows = clusters.flatMap(({ name: cluster, topics }) =>
      topics.flatMap((topic) => this.#topic(cluster, topic, lags)),
    )
    byId('topics').replaceChildren(...rows)
    byId('no-topics').hidden = rows.length > 0
  }

  /**
   * @param {string} cluster
   * @param {Topic} topic
   * @param {Map<string, number>} lags
   */
  #topic(cluster, { name, partitions }, lags) {
    const key = keyOf(cluster, name, 0)
    const isOpen = this.#open.has(key)
    const toggle = element(
      'button',
      { type: 'button', class: 'open', 'aria-expanded': String(isOpen) },
      name,
    )
    toggle.addEventListener('click', () => {
      if (!this.#open.delete(key)) this.#open.add(key)
      if (this.#last) this.#topics(this.#last)
    })
    const each = partitions.map(({ partition, start, end }) => {
      const id = keyOf(cluster, name, partition)
      return { partition, start, end, rate: this.#rate(id, end), lag: lags.get(id) }
    })
    const all = [
      element(
        'tr',
        {},
        element('th', { scope: 'row' }, toggle),
        number(count(each.length), 'wide'),
        number(count(sum(each.map(({ start, end }) => end - start)) ?? 0)),
        number(count(sum(each.map(({ end }) => end)) ?? 0)),
        number(perSecond(sum(each.map(({ rate }) => rate)))),
        number(orNone(sum(each.map(({ lag }) => lag)))),
      ),
    ]
    if (!isOpen) return all
    return [
      ...all,
      ...each.map((it) =>
        element(
          'tr',
          { class: 'partition' },
          element('th', { scope: 'row' }, `partition ${it.partition}`),
          number('', 'wide'),
          number(count(it.end - it.start)),
          number(count(it.end)),
          number(perSecond(it.rate)),
          number(orNone(it.lag)),
        ),
      ),
    ]
  }

  /** @param {Status} status */
  #routes({ routes }) {
    byId('routes').replaceChildren(
      ...routes.map((route) => {
        const name = element('th', { scope: 'row' }, route.name)
        const path = route.paths[0]
        if (path !== undefined && !path.startsWith('~')) {
          const host = route.hosts[0]
          const parts = [
            'curl',
            route.mode === 'http-get' ? '' : '-N',
            host ? `-H ${shellWord(`Host: ${host}`)}` : '',
          ]
          const command = [...parts, shellWord(location.origin + path)].filter(Boolean).join(' ')
          const button = element(
            'button',
            { type: 'button', class: 'quiet', title: command },
            'curl',
          )
          button.addEventListener('click', () => void copy(command, 'Command'))
          name.append(button)
        }
        const where = [route.mode, ...(path === route.name ? [] : route.paths), ...route.hosts]
        name.append(element('small', {}, where.join(' · ')))
        return element(
          'tr',
          {},
          name,
          element(
            'td',
            { class: 'wrap' },
            ...route.topics.map((topic) => element('span', {}, topic)),
          ),
          number(count(route.streams)),
        )
      }),
    )
    byId('no-routes').hidden = routes.length > 0
  }
}

/**
 * @param {string} text
 * @param {string} [more] A class.
 */
function number(text, more = '') {
  return element('td', { class: `number ${more}` }, text)
}

/** @param {number | undefined} value */
function perSecond(value) {
  return value === undefined ? '–' : `${rate(value)}/s`
}

/** @param {number | undefined} value */
function orNone(value) {
  return value === undefined ? '–' : count(value)
}

/** The sum of the known values. @param {Array<number | undefined>} values */
function sum(values) {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : known.reduce((all, value) => all + value, 0)
}

/** @param {string} cluster @param {string} topic @param {number} partition */
function keyOf(cluster, topic, partition) {
  return JSON.stringify([cluster, topic, partition])
}
