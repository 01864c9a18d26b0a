/** Builds what the gateway serves of one snapshot of Kong's entities, reusing what has not changed. */

import type { MakeLimiter } from '../core/fixed-window-limiter.ts'
import type { MakeLoginCounter } from '../core/login-counter.ts'
import type { SlicedWork } from '../core/sliced-work.ts'
import { RequestLog } from '../http/log/request-log.ts'
import type { KafkaProduceHandler } from '../http/produce/kafka-produce.ts'
import { type KafkaUpstreamHandler, kafkaUpstream } from '../http/upstream/kafka-upstream.ts'
import type { AccessStep, PluginCounters } from '../kong/access/access-plugin.ts'
import { Credentials } from '../kong/access/credentials.ts'
import {
  hasReferences,
  type PluginParts,
  partsOf,
  pluginOptions,
} from '../kong/config/plugin-options.ts'
import { ACCESS_PLUGINS, ANSWERING_PLUGINS, LOG_PLUGIN } from '../kong/config/plugins.ts'
import { EMPTY as EMPTY_SNAPSHOT } from '../kong/config/store.ts'
import type { KongPlugin, KongRoute, KongService, KongSnapshot } from '../kong/model/entities.ts'
import type { Environment, MayShow } from '../kong/model/references.ts'
import { PluginScopes } from '../kong/routing/plugin-scopes.ts'
import { Router } from '../kong/routing/router.ts'
import { resolveLogOptions } from '../options/log-options.ts'
import type { KafkaConsumeOptions } from '../options/option-types.ts'
import type { KafkaRoute } from './supervisor.ts'

/**
 * Makes a handler; a test has its own. Handlers of one name count together in all threads of a
 * process. The name may hold secrets.
 */
export type MakeRoute = (options: KafkaConsumeOptions, name: string) => KafkaRoute

/** The settings of all handlers, besides their plugins. */
export interface TableOptions {
  readonly make: MakeRoute
  /** Makes the counters of plugins that limit requests. */
  readonly makeLimiter: MakeLimiter
  /** Makes the counters of plugins that limit failed logins. */
  readonly makeLoginCounter: MakeLoginCounter
  /** Prefix of `group.instance.id`s; a suffix tells members of one group apart. */
  readonly groupInstanceId?: string | undefined
  /** Kafka's `group.protocol` of all routes. */
  readonly groupProtocol?: 'classic' | 'consumer' | undefined
  /** The variables that vault references read. */
  readonly environment: Environment
  /** Which variables may be read into fields that are shown. */
  readonly mayShow: MayShow
  /** The file of the authorities that brokers are verified by. Default: the system's. */
  readonly ca?: string | undefined
  /** The brokers of plugins that name none, as `host:port`. Default: such plugins reach no broker. */
  readonly brokers?: readonly string[] | undefined
}

/** A handler that answers requests: by reading Kafka, or by writing. */
export type AnsweringHandler = KafkaRoute | KafkaUpstreamHandler | KafkaProduceHandler

/** The handler of a plugin on a route. */
interface PluginHandler {
  readonly handler: AnsweringHandler
  readonly brokers: string
}

/** A route and its handler, for `/status`, metrics and the API docs. */
export interface ServedRoute {
  readonly name: string
  readonly paths: readonly string[]
  /** Whether it also serves the paths below its own. Default: false. */
  readonly isPrefix?: boolean
  /** Whether it also serves its paths with `/offsets` appended. Default: where it is a prefix. */
  readonly hasOffsets?: boolean
  /** The methods that it serves. Default: all. */
  readonly methods?: readonly string[] | undefined
  readonly hosts: readonly string[]
  readonly handler: AnsweringHandler
}

/** The routes, handlers and access plugins of one snapshot. */
export interface RoutingTable {
  readonly router: Router
  readonly scopes: PluginScopes
  readonly credentials: Credentials
  /** Handlers by a key of all that they are made of, so that an equal plugin keeps its handler. */
  readonly handlers: ReadonlyMap<string, PluginHandler>
  /** Handlers by {@link scopeKey}. */
  readonly byScope: ReadonlyMap<string, AnsweringHandler>
  /** Served routes by the name that metrics give them. */
  readonly byName: ReadonlyMap<string, ServedRoute>
  /** The names of routes in metrics and logs, by route id. */
  readonly names: ReadonlyMap<string, string>
  /** Access steps by a key of all that they are made of: an equal plugin keeps what it has counted. */
  readonly steps: ReadonlyMap<string, AccessStep>
  /** Access steps by plugin id. */
  readonly stepsByPlugin: ReadonlyMap<string, AccessStep>
  /** Logs by a key of all that they are made of, so that an equal plugin keeps its log. */
  readonly logs: ReadonlyMap<string, RequestLog>
  /** Logs by plugin id. */
  readonly logsByPlugin: ReadonlyMap<string, RequestLog>
  readonly services: ReadonlyMap<string, KongService>
  /** Whether a global plugin guards `/metrics`, `/status` and the gateway's other own pages. */
  readonly hasGuard: boolean
}

export const EMPTY_TABLE: RoutingTable = {
  router: new Router([]),
  scopes: new PluginScopes([]),
  credentials: new Credentials(EMPTY_SNAPSHOT, {}),
  handlers: new Map(),
  byScope: new Map(),
  byName: new Map(),
  names: new Map(),
  steps: new Map(),
  stepsByPlugin: new Map(),
  logs: new Map(),
  logsByPlugin: new Map(),
  services: new Map(),
  hasGuard: false,
}

/** The fields of a route by which its plugins are found. */
export type PluginTarget = Pick<KongRoute, 'id' | 'service'>

/** Finds global plugins only, since no route has this id. */
export const ANY_ROUTE: PluginTarget = { id: '', service: null }

/** The key of a plugin on a route in {@link RoutingTable.byScope}. */
export function scopeKey(route: KongRoute, plugin: KongPlugin): string {
  return `${route.id}/${plugin.id}`
}

/**
 * @param previous The table whose handlers and access steps are reused where nothing has changed.
 * @param credentials The credentials of the moment at which an access step asks for them.
 * @throws SchemaViolation
 */
export function* buildTable(
  snapshot: KongSnapshot,
  previous: RoutingTable,
  options: TableOptions,
  credentials: () => Credentials,
): SlicedWork<RoutingTable> {
  const { routes, services, plugins } = snapshot
  const disabled = new Set(services.filter(({ enabled }) => !enabled).map(({ id }) => id))
  const enabled = routes.filter(({ service }) => !service || !disabled.has(service.id))
  const router = yield* Router.of(enabled)
  const scopes = new PluginScopes(plugins)
  yield
  const handlers = yield* handlersOf(enabled, scopes, snapshot, previous, options)
  return {
    router,
    scopes,
    credentials: new Credentials(snapshot, options.environment),
    ...handlers,
    ...stepsOf(scopes, previous, credentials, options),
    ...logsOf(scopes, snapshot, previous, options),
    services: new Map(services.map((service) => [service.id, service])),
    hasGuard: ACCESS_PLUGINS.some(({ name }) => scopes.find(name, ANY_ROUTE, undefined)),
  }
}

function* handlersOf(
  routes: readonly KongRoute[],
  scopes: PluginScopes,
  { certificates }: KongSnapshot,
  previous: RoutingTable,
  options: TableOptions,
): SlicedWork<Pick<RoutingTable, 'handlers' | 'byScope' | 'byName' | 'names'>> {
  const handlers = new Map<string, PluginHandler>()
  const byScope = new Map<string, AnsweringHandler>()
  const byName = new Map<string, ServedRoute>()
  const names = namesOf(routes)
  for (const route of routes) {
    for (const plugin of ANSWERING_PLUGINS.flatMap(({ name }) => [...scopes.on(name, route)])) {
      const { parts, text } = keyedParts(plugin, certificates, options)
      // The key holds secrets: it must not leave this map.
      const key = route.id + text
      const found =
        handlers.get(key) ?? previous.handlers.get(key) ?? makeHandler(key, parts, options)
      handlers.set(key, found)
      byScope.set(scopeKey(route, plugin), found.handler)
      const served = servedRoute(route, plugin, names.get(route.id) ?? route.id, found.handler)
      // The first of several plugins on a route answers.
      if (!byName.has(served.name)) byName.set(served.name, served)
    }
    yield
  }
  return { handlers, byScope, byName, names }
}

/** The parts of a plugin, and a text of all that they are. */
interface KeyedParts {
  readonly parts: PluginParts
  readonly text: string
}

/** The parts of plugins that depend on nothing else. Plugins never change: a change makes another object. */
const keptParts = new WeakMap<KongPlugin, KeyedParts>()

/** @throws SchemaViolation */
function keyedParts(
  plugin: KongPlugin,
  certificates: KongSnapshot['certificates'],
  { environment, mayShow }: TableOptions,
): KeyedParts {
  const kept = keptParts.get(plugin)
  if (kept) return kept
  const parts = partsOf(plugin, certificates, environment, mayShow)
  const text = JSON.stringify([plugin.id, parts.config, parts.certificate])
  const isOwn = parts.certificate === undefined && !hasReferences(plugin.config)
  if (isOwn) keptParts.set(plugin, { parts, text })
  return { parts, text }
}

function servedRoute(
  { paths, methods, hosts }: KongRoute,
  { consumer }: KongPlugin,
  name: string,
  handler: AnsweringHandler,
): ServedRoute {
  return {
    name: consumer ? `${name} of ${consumer.id}` : name,
    paths: paths ?? ['/'],
    isPrefix: true,
    methods: methods ?? undefined,
    hosts: hosts ?? [],
    handler,
  }
}

function stepsOf(
  scopes: PluginScopes,
  previous: RoutingTable,
  credentials: () => Credentials,
  { makeLimiter, makeLoginCounter }: TableOptions,
): Pick<RoutingTable, 'steps' | 'stepsByPlugin'> {
  const steps = new Map<string, AccessStep>()
  const stepsByPlugin = new Map<string, AccessStep>()
  for (const access of ACCESS_PLUGINS) {
    for (const plugin of scopes.all(access.name)) {
      const key = JSON.stringify([plugin.id, plugin.config])
      const counters: PluginCounters = {
        requests: (limits) => makeLimiter(key, limits),
        logins: () => makeLoginCounter(key, 'kong'),
      }
      const step = previous.steps.get(key) ?? access.make(plugin.config, credentials, counters)
      steps.set(key, step)
      stepsByPlugin.set(plugin.id, step)
    }
  }
  return { steps, stepsByPlugin }
}

function logsOf(
  scopes: PluginScopes,
  { certificates }: KongSnapshot,
  previous: RoutingTable,
  options: TableOptions,
): Pick<RoutingTable, 'logs' | 'logsByPlugin'> {
  const logs = new Map<string, RequestLog>()
  const logsByPlugin = new Map<string, RequestLog>()
  for (const plugin of scopes.all(LOG_PLUGIN)) {
    // The key holds secrets: it must not leave this map.
    const { parts, text: key } = keyedParts(plugin, certificates, options)
    const log = previous.logs.get(key) ?? makeLog(parts, options)
    logs.set(key, log)
    logsByPlugin.set(plugin.id, log)
  }
  return { logs, logsByPlugin }
}

function makeLog(parts: PluginParts, { ca, brokers }: TableOptions): RequestLog {
  const { middleware, options } = pluginOptions(parts, { ca, brokers })
  if (middleware !== 'kafkaLog') throw new Error(`Cannot log by ${middleware}`)
  return new RequestLog(resolveLogOptions(options))
}

function makeHandler(key: string, parts: PluginParts, options: TableOptions): PluginHandler {
  const { groupInstanceId, groupProtocol, ca, brokers, make } = options
  const { middleware, options: given } = pluginOptions(parts, { ca, brokers })
  const addresses = [given.bootstrapServers].flat().join(', ')
  if (middleware === 'kafkaLog') throw new Error(`Cannot answer by ${middleware}`)
  if (middleware === 'kafkaUpstream') return { handler: kafkaUpstream(given), brokers: addresses }
  const ownId = groupInstanceId && {
    groupInstanceId: `${groupInstanceId}.${memberSuffix(given)}`,
  }
  const ofNode = { ...ownId, ...(groupProtocol && { groupProtocol }) }
  const complete = { ...given, consumerGroup: { ...given.consumerGroup, ...ofNode } }
  return { handler: make(complete, key), brokers: addresses }
}

/**
 * A hash of all that routes which share one member of a group have in common, as 8 hexadecimal
 * digits: it is equal after a restart, in whatever order the routes come. It is FNV-1a, since names
 * need no secrecy.
 */
function memberSuffix(options: KafkaConsumeOptions): string {
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

/** Unique names of routes by id: a route's own name, else its first path, else its id. */
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
