/** Serves a snapshot: finds the route of a request, and the plugin that reads Kafka for it. */
import type { Context } from 'hono'
import type { KafkaConsumeOptions } from '../config/options.ts'
import { exchangeOf } from '../ops/exchange.ts'
import type { KafkaRoute, Lives } from '../ops/lives.ts'
import type { Plugin, Route, Snapshot } from './entities.ts'
import { type PluginParts, partsOf, pluginOptions } from './plugin-options.ts'
import type { Environment } from './references.ts'
import { Router } from './router.ts'
import { PLUGIN_NAME } from './schemas.ts'

/** Makes a handler; a test has its own. */
export type MakeRoute = (options: KafkaConsumeOptions) => KafkaRoute

/** What a proxy is made of. */
export interface ProxyOptions {
  readonly make: MakeRoute
  /** Starts and ends handlers. */
  readonly lives: Lives
  /** What a route's `group.instance.id` begins with; its own id follows. */
  readonly groupInstanceId?: string | undefined
  /** Where vault references lead. */
  readonly environment: Environment
  /** The file of the authorities that brokers are verified by. Default: the system's. */
  readonly ca?: string | undefined
}

/** A plugin's handler on a route. */
interface Served {
  readonly handler: KafkaRoute
  readonly brokers: string
}

/** What is served at one moment. */
interface Table {
  readonly router: Router
  /** By what it is made of: the same key is the same handler. */
  readonly handlers: ReadonlyMap<string, Served>
  /** By the route's id; none for a route without the plugin. */
  readonly byRoute: ReadonlyMap<string, KafkaRoute>
  /** What routes are called in metrics and logs, by their ids. */
  readonly names: ReadonlyMap<string, string>
}

const EMPTY: Table = {
  router: new Router([]),
  handlers: new Map(),
  byRoute: new Map(),
  names: new Map(),
}

export class KongProxy {
  readonly #options: ProxyOptions
  #table = EMPTY

  constructor(options: ProxyOptions) {
    this.#options = options
  }

  /**
   * Serves another snapshot from now on. Handlers whose plugin and route it has unchanged go on,
   * with their streams; the others are ended once the new ones serve.
   *
   * @throws SchemaViolation, and nothing changes.
   */
  apply(snapshot: Snapshot): void {
    const before = this.#table.handlers
    const next = this.#build(snapshot)
    this.#table = next
    const { lives } = this.#options
    for (const [key, { handler, brokers }] of next.handlers) {
      if (!before.has(key)) lives.add(handler, brokers)
    }
    for (const [key, { handler }] of before) if (!next.handlers.has(key)) lives.remove(handler)
  }

  /** The answer to a request, or undefined where no route is meant. */
  handle(c: Context): Promise<Response> | Response | undefined {
    const { url, method, headers } = c.req.raw
    const { host, path, scheme } = splitUrl(url)
    const route = this.#table.router.match({
      method,
      host: headers.get('host') ?? host,
      path,
      scheme,
      headers,
    })
    if (!route) return undefined
    const exchange = exchangeOf(c)
    if (exchange) exchange.route = this.#table.names.get(route.id)
    if (scheme === 'http' && !route.protocols.includes('http')) {
      c.header('Connection', 'Upgrade')
      c.header('Upgrade', 'TLS/1.2, HTTP/1.1')
      return c.json({ message: 'Please use HTTPS protocol' }, 426)
    }
    const handler = this.#table.byRoute.get(route.id)
    if (!handler) {
      const message = `no ${PLUGIN_NAME} plugin is enabled on this Route, and Kafka is the only upstream`
      return c.json({ message }, 503)
    }
    return handler(c, async () => undefined) as Promise<Response>
  }

  /** The handlers that serve, by their routes' names. */
  handlers(): Record<string, KafkaRoute> {
    const { byRoute, names } = this.#table
    return Object.fromEntries([...byRoute].map(([id, handler]) => [names.get(id) ?? id, handler]))
  }

  #build({ routes, services, plugins, certificates }: Snapshot): Table {
    const disabled = new Set(services.filter(({ enabled }) => !enabled).map(({ id }) => id))
    const served = routes.filter(({ service }) => !service || !disabled.has(service.id))
    const router = new Router(served)
    const places = placesOf(plugins)
    const handlers = new Map<string, Served>()
    const byRoute = new Map<string, KafkaRoute>()
    for (const route of served) {
      const plugin = pluginOf(route, places)
      if (!plugin) continue
      const parts = partsOf(plugin, certificates, this.#options.environment)
      // Holds secrets: it goes nowhere but into the map.
      const key = JSON.stringify([route.id, plugin.id, parts.config, parts.certificate])
      const found = handlers.get(key) ?? this.#table.handlers.get(key) ?? this.#make(route, parts)
      handlers.set(key, found)
      byRoute.set(route.id, found.handler)
    }
    return { router, handlers, byRoute, names: namesOf(served) }
  }

  #make(route: Route, parts: PluginParts): Served {
    const { groupInstanceId, ca } = this.#options
    const options = pluginOptions(parts, ca)
    if (groupInstanceId !== undefined) {
      // Several routes may have one plugin, and are several members of its group.
      const own = { groupInstanceId: `${groupInstanceId}.${route.id}` }
      options.consumerGroup = { ...options.consumerGroup, ...own }
    }
    const brokers = [options.bootstrapServers].flat().join(', ')
    return { handler: this.#options.make(options), brokers }
  }
}

/** A route's own name, else its first path, else its id: each once. */
function namesOf(routes: readonly Route[]): Map<string, string> {
  const taken = new Set(routes.flatMap(({ name }) => name ?? []))
  return new Map(
    routes.map((route) => {
      const path = route.paths?.[0]
      const name = route.name ?? (path === undefined || taken.has(path) ? route.id : path)
      taken.add(name)
      return [route.id, name]
    }),
  )
}

type Places = ReadonlyMap<string, Plugin>

/** The plugins that can apply, by where. No request is a consumer's while none is authenticated. */
function placesOf(plugins: readonly Plugin[]): Places {
  const applying = plugins.filter(
    ({ name, enabled, consumer, protocols }) =>
      name === PLUGIN_NAME &&
      enabled &&
      !consumer &&
      (protocols.includes('http') || protocols.includes('https')),
  )
  return new Map(applying.map((plugin) => [place(plugin.route?.id, plugin.service?.id), plugin]))
}

/** Kong's precedence: the most specific. */
function pluginOf({ id, service }: Route, places: Places): Plugin | undefined {
  return (
    (service && places.get(place(id, service.id))) ??
    places.get(place(id, undefined)) ??
    (service && places.get(place(undefined, service.id))) ??
    places.get(place(undefined, undefined))
  )
}

function place(route: string | undefined, service: string | undefined): string {
  return `${route ?? ''}/${service ?? ''}`
}

/** The parts of a request's address, its path as the client wrote it. */
function splitUrl(url: string): { host: string; path: string; scheme: 'http' | 'https' } {
  const begin = url.indexOf('://') + 3
  const slash = url.indexOf('/', begin)
  const end = url.slice(slash).search(/[?#]/)
  return {
    host: url.slice(begin, slash),
    path: end < 0 ? url.slice(slash) : url.slice(slash, slash + end),
    scheme: url.startsWith('https:') ? 'https' : 'http',
  }
}
