/** Finds the route of a request, as Kong's traditional router does. */
import { doAtOnce, type SlicedWork } from '../../core/sliced-work.ts'
import type { KongRoute } from '../model/entities.ts'
import { normalizePath } from '../model/normalize-path.ts'
import { compilePathPattern } from '../model/path-pattern.ts'
import { type CheckedPattern, checkPattern, MAX_TEXT, type Pattern } from '../model/pattern.ts'
import { type FieldErrors, SchemaViolation } from '../model/schema-violation.ts'

/** The parts of a request that decide its route. */
export interface RoutedRequest {
  readonly method: string
  /** The `Host` header, with its port if it has one. */
  readonly host: string
  /** The path without the query, percent-encoded as the client sent it. */
  readonly path: string
  readonly scheme: 'http' | 'https'
  readonly headers: Headers
}

const WEB_PROTOCOLS = ['http', 'https', 'ws', 'wss']
/** Kong's weights of criteria, which rank routes that have equally many. */
const HOST = 16
const HEADER = 8
const URI = 4
const METHOD = 2
const SNI = 1

type Rank = readonly number[]

/** A route with its criteria compiled. */
interface CompiledRoute {
  readonly route: KongRoute
  readonly rank: Rank
  readonly hosts: readonly HostRule[]
  readonly prefixes: readonly string[]
  readonly patterns: ReadonlyArray<(path: string) => boolean>
  /**
   * The prefixes that a matching path begins with, those of patterns included. Empty: any path may
   * match.
   */
  readonly pathPrefixes: readonly string[]
  readonly methods: ReadonlySet<string> | undefined
  readonly headers: readonly HeaderRule[]
  /**
   * The hosts of requests by HTTPS. Runtimes do not expose the host name of TLS (SNI); clients send an
   * equal `Host` (RFC 9110, 4.2.2).
   */
  readonly snis: readonly HostRule[]
  /** Whether only WebSocket handshakes match. */
  readonly isForWebSockets: boolean
}

/** A route in one router. */
interface Compiled extends CompiledRoute {
  /** The route's position among all routes by rank; the lowest that matches wins. */
  readonly position: number
}

/** Routes never change: a changed route is another object. */
const compiledRoutes = new WeakMap<KongRoute, CompiledRoute>()

/** @throws SchemaViolation */
function compiledOf(route: KongRoute): CompiledRoute {
  const compiled = compiledRoutes.get(route) ?? compile(route)
  compiledRoutes.set(route, compiled)
  return compiled
}

interface HostRule {
  /** The host; for a wildcard, the part without the `*`. */
  readonly text: string
  readonly wildcard: 'leading' | 'trailing' | undefined
  /** The port with its colon; empty where the rule has none. */
  readonly port: string
}

interface HeaderRule {
  readonly name: string
  readonly values: ReadonlySet<string>
  readonly pattern: Pattern | undefined
}

/** A request with its host and path in the forms that are compared. */
interface RequestFacts {
  readonly request: RoutedRequest
  readonly host: string
  readonly hostWithPort: string
  readonly path: string
}

/**
 * Finds the route of a request among any number of routes. An index by host and by path prefix leaves
 * a few candidates, of which Kong's first by rank is chosen.
 */
export class Router {
  readonly #plain = new Map<string, Bucket>()
  readonly #leading = new Map<string, Bucket>()
  readonly #trailing = new Map<string, Bucket>()
  readonly #anyHost = new Bucket()

  /**
   * @throws SchemaViolation for a route without criteria, and for expressions that do not compile.
   */
  constructor(routes: readonly KongRoute[]) {
    doAtOnce(this.#add(routes))
  }

  /**
   * A router of many routes.
   *
   * @throws SchemaViolation as the constructor does.
   */
  static *of(routes: readonly KongRoute[]): SlicedWork<Router> {
    const router = new Router([])
    yield* router.#add(routes)
    return router
  }

  *#add(routes: readonly KongRoute[]): SlicedWork<void> {
    const compiled: CompiledRoute[] = []
    for (const route of routes) {
      if (isWeb(route)) compiled.push(compiledOf(route))
      yield
    }
    compiled.sort((a, b) => compareRanks(a.rank, b.rank))
    for (const [position, each] of compiled.entries()) {
      const ranked = { ...each, position }
      if (ranked.hosts.length === 0) this.#anyHost.add(ranked)
      for (const rule of ranked.hosts) this.#bucketOf(rule).add(ranked)
      yield
    }
  }

  #bucketOf({ text, wildcard }: HostRule): Bucket {
    const index = { none: this.#plain, leading: this.#leading, trailing: this.#trailing }[
      wildcard ?? 'none'
    ]
    const bucket = index.get(text) ?? new Bucket()
    index.set(text, bucket)
    return bucket
  }

  /** The route that serves a request, or undefined. */
  match(request: RoutedRequest): KongRoute | undefined {
    const { host, hostWithPort } = splitHost(request)
    const facts = { request, host, hostWithPort, path: normalizePath(request.path) }
    let best: Compiled | undefined
    for (const bucket of this.#buckets(facts)) best = bucket.first(facts, best)
    return best?.route
  }

  *#buckets({ host, hostWithPort }: RequestFacts): Generator<Bucket> {
    const hasWildcards = this.#leading.size > 0 || this.#trailing.size > 0
    yield this.#anyHost
    for (const name of host === hostWithPort ? [host] : [host, hostWithPort]) {
      const plain = this.#plain.get(name)
      if (plain) yield plain
      if (hasWildcards) yield* this.#wildcardBuckets(name)
    }
  }

  *#wildcardBuckets(host: string): Generator<Bucket> {
    for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      const leading = this.#leading.get(host.slice(dot))
      if (leading) yield leading
      const trailing = this.#trailing.get(host.slice(0, dot + 1))
      if (trailing) yield trailing
    }
  }
}

/** Routes of one host, by the prefixes of their paths. */
class Bucket {
  readonly #byPrefix = new Map<string, Compiled[]>()
  readonly #lengths: number[] = []
  /** Routes that may match any path. */
  readonly #others: Compiled[] = []

  /** Adds a route. Routes come in the order of their ranks. */
  add(route: Compiled): void {
    const { pathPrefixes } = route
    if (pathPrefixes.length === 0 || pathPrefixes.includes('')) {
      this.#others.push(route)
      return
    }
    for (const prefix of new Set(pathPrefixes)) {
      const found = this.#byPrefix.get(prefix)
      if (found) found.push(route)
      else this.#byPrefix.set(prefix, [route])
      if (!this.#lengths.includes(prefix.length)) this.#lengths.push(prefix.length)
    }
  }

  /** The first route that matches, if it ranks before the best so far; else the best so far. */
  first(facts: RequestFacts, best: Compiled | undefined): Compiled | undefined {
    let found = firstOf(this.#others, facts, best)
    for (const length of this.#lengths) {
      if (length > facts.path.length) continue
      const routes = this.#byPrefix.get(facts.path.slice(0, length))
      if (routes) found = firstOf(routes, facts, found)
    }
    return found
  }
}

function firstOf(
  routes: readonly Compiled[],
  facts: RequestFacts,
  best: Compiled | undefined,
): Compiled | undefined {
  for (const route of routes) {
    if (best && route.position >= best.position) return best
    if (matches(route, facts)) return route
  }
  return best
}

/** Whether a route matches: compares the cheap criteria first. */
function matches(
  { hosts, methods, prefixes, patterns, headers, snis, isForWebSockets }: Compiled,
  { request, host, hostWithPort, path }: RequestFacts,
): boolean {
  const isHost = (rule: HostRule) => hostMatches(rule, host, hostWithPort)
  if (isForWebSockets && request.headers.get('upgrade')?.toLowerCase() !== 'websocket') return false
  if (methods && !methods.has(request.method)) return false
  if (snis.length > 0 && request.scheme === 'https' && !snis.some(isHost)) return false
  if (hosts.length > 0 && !hosts.some(isHost)) return false
  if (!headers.every((rule) => headerMatches(rule, request.headers))) return false
  if (prefixes.length === 0 && patterns.length === 0) return true
  return (
    prefixes.some((prefix) => path.startsWith(prefix)) || patterns.some((pattern) => pattern(path))
  )
}

function hostMatches({ text, wildcard, port }: HostRule, host: string, withPort: string): boolean {
  const name = port === '' ? host : withPort
  if (wildcard === undefined) return name === text
  if (name.length <= text.length) return false
  return wildcard === 'leading'
    ? name.endsWith(text)
    : name.startsWith(text) && name.endsWith(port) && name.length > text.length + port.length
}

function headerMatches({ name, values, pattern }: HeaderRule, headers: Headers): boolean {
  const found = headers.get(name)?.toLowerCase()
  if (found === undefined) return false
  if (values.has(found) || pattern?.test(found)) return true
  // Fetch joins the values of a repeated header: each is compared on its own here. A joined header
  // that is too long for an expression is not tested in parts: together they would cost as much.
  if (!found.includes(',')) return false
  const each = found.split(',').map((value) => value.trim())
  const tested = found.length <= MAX_TEXT ? pattern : undefined
  return each.some((value) => values.has(value) || tested?.test(value))
}

/**
 * The host, and the host with its port, which is the scheme's default where the client names none.
 */
function splitHost({ host, scheme }: RoutedRequest): { host: string; hostWithPort: string } {
  const [, name = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(host.toLowerCase()) ?? []
  return {
    host: name,
    hostWithPort: `${name}:${port || (scheme === 'https' ? '443' : '80')}`,
  }
}

function isWeb({ protocols }: KongRoute): boolean {
  return protocols.some((protocol) => WEB_PROTOCOLS.includes(protocol))
}

/**
 * @throws SchemaViolation for criteria that cannot be served; elements are counted from one, as in
 * Kong.
 */
function check({ hosts, paths, methods, headers, snis }: KongRoute): void {
  const criteria = [hosts, paths, methods, snis, headers && Object.keys(headers)]
  if (!criteria.some((values) => values && values.length > 0)) {
    throw new SchemaViolation({
      '@entity': "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis'",
    })
  }
  const wrongPaths = (paths ?? []).flatMap((path, index) => {
    const error = path.startsWith('~') ? compilePathPattern(path.slice(1)).error : undefined
    return error ? [[String(index + 1), error] as const] : []
  })
  const wrongHeaders = Object.entries(headers ?? {}).flatMap(([name, values]) => {
    const error = headerPattern(values)?.error
    return error ? [[name, error] as const] : []
  })
  const fields: Record<string, FieldErrors> = {}
  if (wrongPaths.length > 0) fields['paths'] = Object.fromEntries(wrongPaths)
  if (wrongHeaders.length > 0) fields['headers'] = Object.fromEntries(wrongHeaders)
  if (Object.keys(fields).length > 0) throw new SchemaViolation(fields)
}

/** The expression in a header's values (`~*…`); undefined where the values are plain. */
function headerPattern([first, ...others]: readonly string[]): CheckedPattern | undefined {
  if (first === undefined || others.length > 0 || !first.startsWith('~*')) return undefined
  return checkPattern(first.slice(2), undefined, true)
}

function compile(route: KongRoute): CompiledRoute {
  check(route)
  const hosts = (route.hosts ?? []).map(hostRule)
  const paths = route.paths ?? []
  const plainPaths = paths.filter((path) => !path.startsWith('~'))
  const patterns = paths.flatMap((path) => {
    const pattern = path.startsWith('~') ? compilePathPattern(path.slice(1)) : undefined
    return pattern?.matches ? [pattern] : []
  })
  const headers = Object.entries(route.headers ?? {})
    .filter(([name]) => name.toLowerCase() !== 'host')
    .map(([name, values]) => {
      const pattern = headerPattern(values)
      return {
        name: name.toLowerCase(),
        values: new Set(values.map((value) => value.toLowerCase())),
        pattern: pattern?.test && pattern,
      }
    })
  const methods = route.methods?.length
    ? new Set(route.methods.map((method) => method.toUpperCase()))
    : undefined
  const snis = (route.snis ?? []).map((name) => hostRule(name.replace(/\.$/, '')))
  const given = [
    ...[hosts.length > 0, headers.length > 0, paths.length > 0],
    ...[methods !== undefined, snis.length > 0],
  ]
  const weights = [HOST, HEADER, URI, METHOD, SNI]
  const rank = [
    -given.filter(Boolean).length,
    -weights.reduce((sum, weight, index) => (given[index] ? sum + weight : sum), 0),
    -hostRank(hosts),
    patterns.length > 0 ? 0 : 1,
    -headers.length,
    patterns.length > 0 ? -route.regex_priority : 0,
    -Math.max(0, ...plainPaths.map((path) => path.length)),
    route.created_at,
  ]
  const prefixes = plainPaths.map(normalizePath)
  return {
    route,
    rank,
    hosts,
    prefixes,
    patterns: patterns.map(({ matches }) => matches),
    pathPrefixes: [...prefixes, ...patterns.map(({ prefix }) => prefix)],
    methods,
    headers,
    snis,
    isForWebSockets: !route.protocols.some((protocol) => /^https?$/.test(protocol)),
  }
}

/** Kong's rank: a wildcard with a port, then plain hosts only, then other hosts. */
function hostRank(hosts: readonly HostRule[]): number {
  if (hosts.length === 0) return 0
  const wild = hosts.filter(({ wildcard }) => wildcard !== undefined)
  if (wild.some(({ port }) => port !== '')) return 2
  return wild.length === 0 ? 1 : 0
}

function hostRule(host: string): HostRule {
  const text = host.toLowerCase()
  const port = /:\d+$/.exec(text)?.[0] ?? ''
  const name = text.slice(0, text.length - port.length)
  if (text.startsWith('*.')) return { text: text.slice(1), wildcard: 'leading', port }
  if (name.endsWith('.*')) return { text: name.slice(0, -1), wildcard: 'trailing', port }
  return { text, wildcard: undefined, port }
}

function compareRanks(a: Rank, b: Rank): number {
  for (let index = 0; index < a.length; index++) {
    const difference = (a[index] as number) - (b[index] as number)
    if (difference !== 0) return difference
  }
  return 0
}
