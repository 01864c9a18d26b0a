/** Serves a snapshot: finds the route of a request, the plugins in front of it and the one that reads Kafka. */
import type { Context } from 'hono'
import { requestStatisticsOf } from '../core/request-statistics.ts'
import { clientOf, type KafkaClient } from '../http/request/client.ts'
import { Credentials } from '../kong/access/credentials.ts'
import type { AccessStep, KongAccess } from '../kong/access/plugin.ts'
import { type PluginParts, partsOf, pluginOptions } from '../kong/config/plugin-options.ts'
import { ACCESS_PLUGINS, PLUGIN_NAME } from '../kong/config/plugins.ts'
import { EMPTY as NOTHING } from '../kong/config/store.ts'
import type { KongPlugin, KongRoute, KongSnapshot } from '../kong/model/entities.ts'
import type { Environment, MayShow } from '../kong/model/references.ts'
import { PluginScopes } from '../kong/routing/plugin-scopes.ts'
import { Router } from '../kong/routing/router.ts'
import type { KafkaConsumeOptions } from '../options/option-types.ts'
import type { KafkaRoute, Supervisor } from './supervisor.ts'

/** Makes a handler; a test has its own. */
export type MakeRoute = (options: KafkaConsumeOptions) => KafkaRoute

/** What a proxy is made of. */
export interface ProxyOptions {
  readonly make: MakeRoute
  /** Starts and ends handlers. */
  readonly lives: Supervisor
  /** What `group.instance.id`s begin with; what tells members of one group apart follows. */
  readonly groupInstanceId?: string | undefined
  /** Where vault references lead. */
  readonly environment: Environment
  /** Which variables may be read where they are shown. */
  readonly mayShow: MayShow
  /** The file of the authorities that brokers are verified by. Default: the system's. */
  readonly ca?: string | undefined
  /** The address of a request's client. */
  readonly addressOf: (c: Context) => string
}

/** A plugin's handler on a route. */
interface Served {
  readonly handler: KafkaRoute
  readonly brokers: string
}

/** A route and its handler, for those who show what is served. */
export interface ServedRoute {
  readonly name: string
  readonly paths: readonly string[]
  /** Whether it is also served below its paths. Default: false. */
  readonly isPrefix?: boolean
  /** The only methods that it is served for. Default: all. */
  readonly methods?: readonly string[] | undefined
  readonly hosts: readonly string[]
  readonly handler: KafkaRoute
}

/** What is served at one moment. */
interface Table {
  readonly router: Router
  readonly places: PluginScopes
  readonly credentials: Credentials
  /** By what it is made of: the same key is the same handler. */
  readonly handlers: ReadonlyMap<string, Served>
  /** By the ids of route and plugin. */
  readonly byPlace: ReadonlyMap<string, KafkaRoute>
  /** By what metrics call their routes. */
  readonly byName: ReadonlyMap<string, ServedRoute>
  /** What routes are called in metrics and logs, by their ids. */
  readonly names: ReadonlyMap<string, string>
  /** By what it is made of: the same key is the same step, with what it has counted. */
  readonly steps: ReadonlyMap<string, AccessStep>
  /** By the plugin's id. */
  readonly byPlugin: ReadonlyMap<string, AccessStep>
  /** Whether a plugin for all routes stands in front of what the gateway has beside them. */
  readonly hasGuard: boolean
}

const EMPTY: Table = {
  router: new Router([]),
  places: new PluginScopes([]),
  credentials: new Credentials(NOTHING, {}),
  handlers: new Map(),
  byPlace: new Map(),
  byName: new Map(),
  names: new Map(),
  steps: new Map(),
  byPlugin: new Map(),
  hasGuard: false,
}

/** What plugins are found by. */
type Placed = Pick<KongRoute, 'id' | 'service'>

/** No route has this id: only plugins for all of them apply to it. */
const ANY_ROUTE: Placed = { id: '', service: null }

export class KongRoutes {
  readonly #options: ProxyOptions
  #table = EMPTY

  constructor(options: ProxyOptions) {
    this.#options = options
  }

  /**
   * Serves another snapshot from now on. Handlers whose plugin and route it has unchanged go on,
   * with their streams; the others are ended once the new ones serve, so that what both share, as
   * a membership of a group, goes on without a break.
   *
   * @throws SchemaViolation, and nothing changes.
   */
  apply(snapshot: KongSnapshot): void {
    const before = this.#table.handlers
    const next = this.#build(snapshot)
    this.#table = next
    const { lives } = this.#options
    const fresh = [...next.handlers].filter(([key]) => !before.has(key))
    const started = Promise.all(
      fresh.map(([, { handler, brokers }]) => lives.add(handler, brokers)),
    )
    for (const [key, { handler }] of before) {
      if (!next.handlers.has(key)) lives.remove(handler, started)
    }
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
    const exchange = requestStatisticsOf(c)
    if (exchange) exchange.route = this.#table.names.get(route.id)
    if (scheme === 'http' && !route.protocols.includes('http')) {
      c.header('Connection', 'Upgrade')
      c.header('Upgrade', 'TLS/1.2, HTTP/1.1')
      return c.json({ message: 'Please use HTTPS protocol' }, 426)
    }
    return this.#answer(c, route, this.#table)
  }

  /** @param table That of the moment when the request came, for all of its way. */
  async #answer(c: Context, route: KongRoute, table: Table): Promise<Response> {
    const { places, byPlace } = table
    const access = this.#access(c, route)
    const refusal = await refusalOf(access, route, table)
    if (refusal) return refusal
    const plugin = places.find(PLUGIN_NAME, route, access.consumer?.id)
    const handler = plugin && byPlace.get(placeKey(route, plugin))
    if (!handler) {
      const message = `no ${PLUGIN_NAME} plugin is enabled on this Route, and Kafka is the only upstream`
      return c.json({ message }, 503)
    }
    c.set('kafkaClient', kafkaClient(access))
    return handler(c, async () => undefined) as Promise<Response>
  }

  /**
   * The answer of a plugin that is for all routes and refuses a request: what the gateway has
   * beside its routes is for the same clients as they are. Undefined where the request may pass;
   * its context then has the client that the plugins found.
   */
  guard(c: Context): Promise<Response | undefined> | undefined {
    return this.#table.hasGuard ? this.#refusal(c, this.#table) : undefined
  }

  async #refusal(c: Context, table: Table): Promise<Response | undefined> {
    const access = this.#access(c, ANY_ROUTE)
    const refusal = await refusalOf(access, ANY_ROUTE, table)
    if (!refusal) c.set('kafkaClient', kafkaClient(access))
    return refusal
  }

  #access(c: Context, { service }: Placed): KongAccess {
    return {
      c,
      address: this.#options.addressOf(c),
      serviceId: service?.id,
      consumer: undefined,
      credential: undefined,
      until: undefined,
      credentialOrigin: undefined,
      credentialParameters: [],
    }
  }

  /** The routes that read Kafka. */
  served(): ServedRoute[] {
    return [...this.#table.byName.values()]
  }

  #build(snapshot: KongSnapshot): Table {
    const { environment, mayShow } = this.#options
    const { routes, services, plugins, certificates } = snapshot
    const disabled = new Set(services.filter(({ enabled }) => !enabled).map(({ id }) => id))
    const served = routes.filter(({ service }) => !service || !disabled.has(service.id))
    const router = new Router(served)
    const places = new PluginScopes(plugins)
    const credentials = new Credentials(snapshot, environment)
    const handlers = new Map<string, Served>()
    const byPlace = new Map<string, KafkaRoute>()
    const byName = new Map<string, ServedRoute>()
    const names = namesOf(served)
    for (const route of served) {
      for (const plugin of places.on(PLUGIN_NAME, route)) {
        const parts = partsOf(plugin, certificates, environment, mayShow)
        // Holds secrets: it goes nowhere but into the map.
        const key = JSON.stringify([route.id, plugin.id, parts.config, parts.certificate])
        const found = handlers.get(key) ?? this.#table.handlers.get(key) ?? this.#make(parts)
        handlers.set(key, found)
        byPlace.set(placeKey(route, plugin), found.handler)
        const own = names.get(route.id) ?? route.id
        const name = plugin.consumer ? `${own} of ${plugin.consumer.id}` : own
        const { paths, methods, hosts } = route
        byName.set(name, {
          name,
          paths: paths ?? ['/'],
          isPrefix: true,
          methods: methods ?? undefined,
          hosts: hosts ?? [],
          handler: found.handler,
        })
      }
    }
    const steps = new Map<string, AccessStep>()
    const byPlugin = new Map<string, AccessStep>()
    for (const access of ACCESS_PLUGINS) {
      for (const plugin of places.all(access.name)) {
        const key = JSON.stringify([plugin.id, plugin.config])
        const step =
          this.#table.steps.get(key) ?? access.make(plugin.config, () => this.#table.credentials)
        steps.set(key, step)
        byPlugin.set(plugin.id, step)
      }
    }
    const hasGuard = ACCESS_PLUGINS.some(({ name }) => places.find(name, ANY_ROUTE, undefined))
    return {
      router,
      places,
      credentials,
      handlers,
      byPlace,
      byName,
      names,
      steps,
      byPlugin,
      hasGuard,
    }
  }

  #make(parts: PluginParts): Served {
    const { groupInstanceId, ca } = this.#options
    const given = pluginOptions(parts, ca)
    const own = groupInstanceId && {
      groupInstanceId: `${groupInstanceId}.${memberName(given)}`,
    }
    const options = own ? { ...given, consumerGroup: { ...given.consumerGroup, ...own } } : given
    const brokers = [options.bootstrapServers].flat().join(', ')
    return { handler: this.#options.make(options), brokers }
  }
}

/**
 * What routes that share one member of a group have in common, as 8 hexadecimal digits: the name is
 * the same after a restart, whichever of them comes first. FNV-1a, since names need no secrecy.
 */
function memberName(options: KafkaConsumeOptions): string {
  const { bootstrapServers, clusterName, topics, autoOffsetReset, commitStrategy } = options
  const names = [topics]
    .flat()
    .map((topic) => (typeof topic === 'string' ? topic : topic.name))
    .sort()
  const settings = [bootstrapServers, clusterName, names, autoOffsetReset, commitStrategy]
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(JSON.stringify(settings))) {
    hash = Math.imul(hash ^ byte, 0x01000193)
  }
  return (hash >>> 0).toString(16).padStart(8, '0')
}

/** The answer of the first plugin that does not let a request pass. */
async function refusalOf(access: KongAccess, route: Placed, { places, byPlugin }: Table) {
  for (const { name } of ACCESS_PLUGINS) {
    const plugin = places.find(name, route, access.consumer?.id)
    const answer = plugin && (await byPlugin.get(plugin.id)?.(access))
    if (answer) return answer
  }
  return undefined
}

/** A route's own name, else its first path, else its id: each once. */
function namesOf(routes: readonly KongRoute[]): Map<string, string> {
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

/** The consumer as `kafkaConsume` knows it, beside what the gateway itself knows of the client. */
function kafkaClient({ c, consumer, until, credentialParameters }: KongAccess): KafkaClient {
  const before = clientOf(c)
  const name = consumer?.username ?? consumer?.custom_id ?? undefined
  return {
    ...before,
    ...(name === undefined ? {} : { name }),
    ...(until === undefined ? {} : { until: Math.min(until, before.until ?? Infinity) }),
    credentialParameters: [...(before.credentialParameters ?? []), ...credentialParameters],
  }
}

function placeKey(route: KongRoute, plugin: KongPlugin): string {
  return `${route.id}/${plugin.id}`
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
