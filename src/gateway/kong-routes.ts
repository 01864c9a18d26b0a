/** Serves a snapshot of Kong's entities: finds a request's route, its access plugins and its handler. */
import type { Context } from 'hono'
import { logOf } from '../core/log.ts'
import { requestStatisticsOf } from '../core/request-statistics.ts'
import type { SlicedWork } from '../core/sliced-work.ts'
import { sizeOf } from '../http/log/answer-size.ts'
import { type RequestLog, startRequest } from '../http/log/request-log.ts'
import { clientOf, type KafkaClient } from '../http/request/client.ts'
import { type LogFields, logFieldsOf } from '../http/request/log-fields.ts'
import type { KongAccess } from '../kong/access/access-plugin.ts'
import { pluginGroupId } from '../kong/config/kafka-plugins.ts'
import { ACCESS_PLUGINS, ANSWERING_PLUGINS, LOG_PLUGIN } from '../kong/config/plugins.ts'
import type { KongConsumer, KongPlugin, KongRoute, KongSnapshot } from '../kong/model/entities.ts'
import { WORKSPACE } from '../kong/model/workspace.ts'
import { answerError } from './answer-error.ts'
import type { Sessions } from './auth/sessions.ts'
import { CredentialStreams } from './credential-streams.ts'
import { httpsUrl } from './https.ts'
import { KongLogins } from './kong-logins.ts'
import type { PagePaths } from './pages.ts'
import {
  ANY_ROUTE,
  buildTable,
  EMPTY_TABLE,
  type PluginTarget,
  type RoutingTable,
  type ServedRoute,
  scopeKey,
  type TableOptions,
} from './routing-table.ts'
import type { Supervisor } from './supervisor.ts'

const log = logOf('gateway')

export interface KongRoutesOptions extends TableOptions {
  /** Starts and closes handlers. */
  readonly supervisor: Supervisor
  /** The port of HTTPS. */
  readonly httpsPort: () => number
  /** Finds the address of a request's client. */
  readonly addressOf: (c: Context) => string
  /** Sessions of browsers whose users log in as consumers. Default: they cannot log in. */
  readonly sessions?: Sessions | undefined
  /** The paths of the gateway's pages. */
  readonly pagePaths: PagePaths
}

export class KongRoutes {
  /** Whether the snapshot has neither routes nor plugins: then no request need be matched or guarded. */
  isEmpty = true
  /** Logging in as a consumer. */
  readonly logins: KongLogins
  readonly #options: KongRoutesOptions
  readonly #streams = new CredentialStreams(() => this.#table.credentials)
  #table = EMPTY_TABLE
  /** Logs that no plugin has any more, and that are not closed yet. */
  readonly #ending = new Set<Promise<void>>()

  constructor(options: KongRoutesOptions) {
    this.#options = options
    this.logins = new KongLogins(
      options.sessions,
      () => this.#table,
      (c) => this.isPage(c),
    )
  }

  /**
   * Serves another snapshot from now on. Handlers whose route and plugin are unchanged continue,
   * with their streams. The others are closed once the new ones have started, so that a group
   * membership which both share continues without a break.
   *
   * @returns The work of it. The snapshot before is served until the whole table of the new one is
   *   built; no other snapshot may be applied meanwhile.
   * @throws SchemaViolation, and nothing changes.
   */
  *apply(snapshot: KongSnapshot): SlicedWork<void> {
    const { supervisor } = this.#options
    const previous = this.#table
    const next = yield* buildTable(snapshot, previous, this.#options, () => this.#table.credentials)
    this.#table = next
    this.#streams.endRevoked(previous.credentials, next.credentials)
    this.isEmpty = snapshot.routes.length + snapshot.plugins.length === 0
    const starting: Array<Promise<void>> = []
    for (const [key, { handler, brokers }] of next.handlers) {
      if (!previous.handlers.has(key)) starting.push(supervisor.add(handler, brokers))
      yield
    }
    const started = Promise.all(starting)
    for (const [key, { handler }] of previous.handlers) {
      if (!next.handlers.has(key)) supervisor.remove(handler, started)
      yield
    }
    for (const [key, ended] of previous.logs) {
      if (!next.logs.has(key)) this.#end(ended)
    }
  }

  /** The logs of requests by the id of their plugin. */
  logs(): ReadonlyMap<string, RequestLog> {
    return this.#table.logsByPlugin
  }

  /** Writes the entries of all requests that have ended. Called when the handlers are closed. */
  async close(): Promise<void> {
    for (const each of this.#table.logs.values()) this.#end(each)
    await Promise.all(this.#ending)
  }

  #end(requestLog: RequestLog): void {
    const ended = requestLog
      .close()
      .catch((error: unknown) => log.error('Cannot close a log: {error}', { error }))
      .finally(() => this.#ending.delete(ended))
    this.#ending.add(ended)
  }

  /** The routes that read Kafka. */
  served(): ServedRoute[] {
    return [...this.#table.byName.values()]
  }

  /** Whether a request is for a page of the gateway: a route of its path takes precedence. */
  isPage(c: Context): boolean {
    return this.#options.pagePaths.has(c) && !this.matches(c)
  }

  /**
   * Whether a route matches a request.
   *
   * @param other A method and path in place of those of the request.
   */
  matches(c: Context, other: Partial<Pick<Request, 'method'> & { path: string }> = {}): boolean {
    return this.#match(c, other) !== undefined
  }

  #match(c: Context, other: { method?: string; path?: string } = {}): KongRoute | undefined {
    const { url, method, headers } = c.req.raw
    const { host, path, scheme } = splitUrl(url)
    return this.#table.router.match({
      method,
      host: headers.get('host') ?? host,
      path,
      scheme,
      headers,
      ...other,
    })
  }

  /** Answers a request; undefined where no route matches. */
  handle(c: Context): Promise<Response> | Response | undefined {
    const route = this.#match(c)
    if (!route) return undefined
    const isHttp = !c.req.raw.url.startsWith('https:')
    const statistics = requestStatisticsOf(c)
    if (statistics) statistics.route = this.#table.names.get(route.id)
    const table = this.#table
    const isInsecure = isHttp && route.protocols.every((each) => SECURE.has(each))
    const answer = isInsecure ? this.#requireHttps(c, route) : this.#answer(c, route, table)
    return table.logs.size === 0 ? answer : this.#logged(c, route, answer)
  }

  /**
   * Logs a request when it has ended.
   *
   * @param target The route, or none for the gateway's own routes.
   */
  async #logged(
    c: Context,
    target: PluginTarget,
    answering: Promise<Response> | Response,
  ): Promise<Response> {
    const start = startRequest()
    const response = await Promise.resolve(answering).catch((thrown) => answerError(thrown, c))
    // The logs of now, since those of the request's arrival may be closed.
    const { scopes, logsByPlugin } = this.#table
    const consumer = logFieldsOf(c)['consumer'] as KongConsumer | undefined
    const plugin = scopes.find(LOG_PLUGIN, target, consumer?.id)
    if (plugin) logsByPlugin.get(plugin.id)?.record(c, response, start, sizeOf(c, response, true))
    return response
  }

  /** Keeps the cookie of a consumer's session out of records about a request, whoever its client is. */
  hideSession(c: Context): void {
    if (!this.logins.isIn(c)) return
    const client = clientOf(c)
    const credentialHeaders = [...(client.credentialHeaders ?? []), 'cookie']
    c.set('kafkaClient', { ...client, credentialHeaders })
  }

  /** Lets a global plugin log a request to one of the gateway's own routes, if there is such a plugin. */
  logOwn(c: Context, answering: Promise<Response>): Promise<Response> {
    if (this.#table.logs.size === 0) return answering
    if (c.get('kafkaLogFields') === undefined) {
      c.set('kafkaLogFields', {
        client_ip: this.#options.addressOf(c),
        workspace: WORKSPACE.id,
        workspace_name: WORKSPACE.name,
      })
    }
    return this.#logged(c, ANY_ROUTE, answering)
  }

  #requireHttps(c: Context, { https_redirect_status_code: status }: KongRoute): Response {
    if (status !== 426) return c.redirect(httpsUrl(c.req.url, this.#options.httpsPort()), status)
    c.header('Connection', 'Upgrade')
    c.header('Upgrade', 'TLS/1.2, HTTP/1.1')
    return c.json({ message: 'Please use HTTPS protocol' }, 426)
  }

  /** @param table The table at the arrival of the request, which is used until its answer. */
  async #answer(c: Context, route: KongRoute, table: RoutingTable): Promise<Response> {
    const access = this.#access(c, route)
    const refusal = await refusalOf(access, route, table)
    c.set('kafkaLogFields', logFields(access, route, table))
    c.set('kafkaClient', this.#kafkaClient(access))
    if (refusal) return refusal
    const plugin = answeringPlugin(route, access.consumer?.id, table)
    const handler = plugin && table.byScope.get(scopeKey(route, plugin))
    if (!handler) {
      const message =
        'no kafka-consume plugin, nor another one for Kafka, is enabled on this Route, and Kafka is the only upstream'
      return c.json({ message }, 503)
    }
    c.set('kafkaClient', groupClient(clientOf(c), plugin))
    return handler(c, async () => undefined) as Promise<Response>
  }

  /**
   * Runs the global access plugins before one of the gateway's own pages and routes, which are for
   * the clients of Kong's routes only.
   *
   * @returns The answer of a plugin that refuses the request. Undefined where the request may pass;
   *   its context then has the client that the plugins found.
   */
  guard(c: Context): Promise<Response | undefined> | undefined {
    return this.#table.hasGuard ? this.#refusal(c, this.#table) : undefined
  }

  async #refusal(c: Context, table: RoutingTable): Promise<Response | undefined> {
    const access = this.#access(c, ANY_ROUTE)
    const refusal = await refusalOf(access, ANY_ROUTE, table)
    c.set('kafkaLogFields', logFields(access, undefined, table))
    if (!refusal) c.set('kafkaClient', this.#kafkaClient(access))
    return refusal
  }

  #kafkaClient(access: KongAccess): KafkaClient {
    const client = kafkaClient(access)
    const { credential } = access
    if (credential === undefined) return client
    return { ...client, openStream: this.#streams.opener(credential, client.openStream) }
  }

  #access(c: Context, { service }: PluginTarget): KongAccess {
    const { logins } = this
    return {
      c,
      address: this.#options.addressOf(c),
      serviceId: service?.id,
      session: () => logins.find(c),
      consumer: undefined,
      credential: undefined,
      credentialIdentifier: undefined,
      until: undefined,
      credentialOrigin: undefined,
      credentialParameters: [],
      // A browser sends its session along with whatever else it sends.
      credentialHeaders: logins.isIn(c) ? ['cookie'] : [],
      forwardedCredentials: [],
    }
  }
}

/** The first plugin, in Kong's order, that answers a consumer's requests to a route. */
function answeringPlugin(route: KongRoute, consumer: string | undefined, table: RoutingTable) {
  for (const { name } of ANSWERING_PLUGINS) {
    const plugin = table.scopes.find(name, route, consumer)
    if (plugin) return plugin
  }
  return undefined
}

/** The plugins whose fallback to the group of the mode `random` was logged. */
const warned = new WeakSet<KongPlugin>()

/**
 * A client with the name of its consumer group. With `kong_consumer` a client that nobody has
 * identified reads as the group of the mode `random`, as in Kong.
 */
function groupClient(client: KafkaClient, plugin: KongPlugin): KafkaClient {
  if (client.name !== undefined) return client
  const group = plugin.config['consumer_group'] as { readonly mode: string } | undefined
  if (group?.mode !== 'kong_consumer') return client
  if (!warned.has(plugin)) {
    warned.add(plugin)
    log.warn(
      'The plugin {plugin} has consumer_group.mode kong_consumer, and no consumer is authenticated: its clients read as the group of the mode random',
      { plugin: plugin.id },
    )
  }
  return { ...client, name: pluginGroupId(plugin.id) }
}

/** The protocols of routes that need TLS. */
const SECURE = new Set(['https', 'wss'])

/** The answer of the first access plugin that does not let a request pass. */
async function refusalOf(access: KongAccess, target: PluginTarget, table: RoutingTable) {
  for (const { name } of ACCESS_PLUGINS) {
    const plugin = table.scopes.find(name, target, access.consumer?.id)
    const answer = plugin && (await table.stepsByPlugin.get(plugin.id)?.(access))
    if (answer) return answer
  }
  return undefined
}

/** The consumer as `kafkaConsume` knows it, in addition to what the gateway's guard found out. */
function kafkaClient(access: KongAccess): KafkaClient {
  const { c, consumer, until, credentialParameters, credentialHeaders } = access
  const before = clientOf(c)
  const name = consumer?.username ?? consumer?.custom_id ?? undefined
  return {
    ...before,
    ...(name === undefined ? {} : { name }),
    ...(until === undefined ? {} : { until: Math.min(until, before.until ?? Infinity) }),
    credentialParameters: [...(before.credentialParameters ?? []), ...credentialParameters],
    credentialHeaders: [...(before.credentialHeaders ?? []), ...credentialHeaders],
    forwardedCredentials: access.forwardedCredentials,
    identityHeaders: identityHeaders(access),
  }
}

/** The headers by which Kong's authentication tells upstreams of a consumer. */
function identityHeaders({ consumer, credentialIdentifier }: KongAccess) {
  if (!consumer) return {}
  return {
    'x-consumer-id': consumer.id,
    'x-consumer-username': consumer.username,
    'x-consumer-custom-id': consumer.custom_id,
    'x-credential-identifier': credentialIdentifier ?? null,
    'x-anonymous-consumer': credentialIdentifier === undefined ? 'true' : null,
  }
}

/** The fields of a log's entry that the request itself does not have. */
function logFields(
  { address, consumer, credential }: KongAccess,
  route: KongRoute | undefined,
  { services }: RoutingTable,
): LogFields {
  const service = route?.service ? services.get(route.service.id) : undefined
  return {
    client_ip: address,
    workspace: WORKSPACE.id,
    workspace_name: WORKSPACE.name,
    ...(service && { service }),
    ...(route && { route }),
    ...(consumer && { consumer }),
    ...(credential !== undefined && { authenticated_entity: { id: credential } }),
  }
}

/** The parts of a request's URL, with the path as the client wrote it. */
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
