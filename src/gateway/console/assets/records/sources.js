// @ts-check
/**
 * The sources of records: sets of topics, each with the routes by which this page can read them. The
 * gateway serves one set by several routes, such as `/messages` for pages and `/stream` for what comes.
 */

/** @typedef {import('../gateway-status.js').Status} Status */
/** @typedef {import('../gateway-status.js').StatusRoute} StatusRoute */
/**
 * @typedef {{
 *   name: string,
 *   cluster: string | undefined,
 *   topics: readonly string[],
 *   page: string | undefined,
 *   stream: string | undefined,
 *   filters: Readonly<Record<string, string>>,
 *   hasOwnFormat: boolean,
 * }} Source `name` is the name of its first route. `page` is the path of a route that answers single
 *   reads, `stream` that of one that streams; it has at least one of them.
 *   `filters` are the expressions that its routes have by name. Where `hasOwnFormat`, its routes answer
 *   with what a function of the app makes of records.
 */

const PAGES = ['http-get', 'auto']
const STREAMS = ['server-sent-events', 'auto']

/**
 * The sources of a gateway, and why other routes cannot be read here.
 * @param {Status} status
 * @returns {{ sources: Source[], unreachable: Array<{ name: string, reason: string }> }}
 */
export function sourcesOf({ routes }) {
  const readable = routes.filter(({ mode }) => PAGES.includes(mode) || STREAMS.includes(mode))
  const obstacles = readable.map((route) => ({ name: route.name, reason: obstacleOf(route) ?? '' }))
  /** @type {Source[]} */
  const sources = []
  for (const route of readable) if (obstacleOf(route) === undefined) addRoute(sources, route)
  return { sources, unreachable: obstacles.filter(({ reason }) => reason !== '') }
}

/** Adds a route, as a source or to the one that lacks it. @param {Source[]} sources @param {StatusRoute} route */
function addRoute(sources, route) {
  const { name, cluster, topics, mode, filters = {}, hasOwnFormat = false } = route
  const [path] = route.paths
  const sorted = [...topics].sort()
  const page = PAGES.includes(mode) ? path : undefined
  const stream = STREAMS.includes(mode) ? path : undefined
  const isOne = (/** @type {Source} */ source) =>
    source.cluster === cluster &&
    source.topics.join() === sorted.join() &&
    source.hasOwnFormat === hasOwnFormat
  const incomplete = sources.find(
    (source) =>
      isOne(source) &&
      (page === undefined ? source.stream === undefined : source.page === undefined) &&
      (page === undefined) !== (stream === undefined),
  )
  if (incomplete) Object.assign(incomplete, page === undefined ? { stream } : { page })
  else sources.push({ name, cluster, topics: sorted, page, stream, filters, hasOwnFormat })
}

/**
 * Why this page cannot read a route.
 * @param {StatusRoute} route
 */
function obstacleOf({ paths, hosts }) {
  if (paths[0] === undefined) return 'it has no path'
  if (paths[0].startsWith('~')) return 'its path is a pattern'
  const here =
    hosts.length === 0 || hosts.some((host) => host === location.host || host === location.hostname)
  return here ? undefined : `it is on ${hosts[0]}`
}

/**
 * The source that a query names, by its route or by a topic. Default: the first.
 * @param {import('./query.js').Query} query
 * @param {readonly Source[]} sources
 */
export function sourceOf({ route, topic }, sources) {
  return (
    sources.find((source) => route !== undefined && source.name === route) ??
    sources.find((source) => topic !== undefined && source.topics.includes(topic)) ??
    sources[0]
  )
}

/**
 * The ranges of the partitions that a read of some topics has, by `topic:partition`.
 * @param {Status} status
 * @param {Source} source
 * @param {string | undefined} topic Default: all topics of the source.
 * @returns {Map<string, { topic: string, partition: number, start: number, end: number }>}
 */
export function rangesOf(status, source, topic) {
  const topics = status.clusters.find(({ name }) => name === source.cluster)?.topics ?? []
  return new Map(
    topics
      .filter(({ name }) => (topic === undefined ? source.topics.includes(name) : name === topic))
      .flatMap(({ name, partitions }) =>
        partitions.map((each) => [`${name}:${each.partition}`, { topic: name, ...each }]),
      ),
  )
}
