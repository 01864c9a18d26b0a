/** Which route a request belongs to: as Kong's traditional router decides it. */
import type { KongRoute } from '../model/entities.ts'
import { type FieldErrors, SchemaViolation } from '../model/errors.ts'
import { normalizePath } from '../model/normalize.ts'
import { compilePathPattern } from '../model/path-pattern.ts'
import { type CheckedPattern, checkPattern, MAX_TEXT, type Pattern } from '../model/pattern.ts'

/** What of a request decides. */
export interface RoutedRequest {
  readonly method: string
  /** The `Host` header, with its port if it has one. */
  readonly host: string
  /** Without the query; percent-encoded as it came. */
  readonly path: string
  readonly scheme: 'http' | 'https'
  readonly headers: Headers
}

const HTTP_PROTOCOLS = ['http', 'https']
/** The weights of a route's criteria where two routes have the same number: Kong's bits. */
const HOST = 8
const HEADER = 4
const URI = 2
const METHOD = 1

type Rank = readonly number[]

/** A route, ready to be compared with requests. */
interface Compiled {
  readonly route: KongRoute
  readonly rank: Rank
  readonly hosts: readonly HostRule[]
  readonly prefixes: readonly string[]
  readonly patterns: ReadonlyArray<(path: string) => boolean>
  /** What paths that match begin with: prefixes, and those of patterns. None: any path may. */
  readonly beginnings: readonly string[]
  readonly methods: ReadonlySet<string> | undefined
  readonly headers: readonly HeaderRule[]
  /** Its place among all routes; lower goes first. */
  place: number
}

interface HostRule {
  /** For a wildcard: what is left of it without the `*`. */
  readonly text: string
  readonly wildcard: 'leading' | 'trailing' | undefined
  /** With its colon, where the rule has one. */
  readonly port: string
}

interface HeaderRule {
  readonly name: string
  readonly values: ReadonlySet<string>
  readonly pattern: Pattern | undefined
}

/** A request, taken apart once. */
interface RequestFacts {
  readonly request: RoutedRequest
  readonly host: string
  readonly hostWithPort: string
  readonly path: string
}

/**
 * Finds the route of a request among any number of them. Routes are indexed by host and by path
 * prefix; of the few that are left the one that Kong ranks first is taken.
 */
export class Router {
  readonly #plain = new Map<string, Bucket>()
  readonly #leading = new Map<string, Bucket>()
  readonly #trailing = new Map<string, Bucket>()
  readonly #anyHost = new Bucket()

  /** @throws SchemaViolation for a route without criteria, and for expressions that don't compile. */
  constructor(routes: readonly KongRoute[]) {
    const compiled = routes.filter(isHttp).map(compile)
    compiled.sort((a, b) => compareRanks(a.rank, b.rank))
    compiled.forEach((each, place) => {
      each.place = place
      if (each.hosts.length === 0) this.#anyHost.add(each)
      for (const { text, wildcard } of each.hosts) {
        const index =
          wildcard === undefined
            ? this.#plain
            : wildcard === 'leading'
              ? this.#leading
              : this.#trailing
        let bucket = index.get(text)
        if (!bucket) {
          bucket = new Bucket()
          index.set(text, bucket)
        }
        bucket.add(each)
      }
    })
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
    yield this.#anyHost
    for (const name of host === hostWithPort ? [host] : [host, hostWithPort]) {
      const plain = this.#plain.get(name)
      if (plain) yield plain
      if (this.#leading.size === 0 && this.#trailing.size === 0) continue
      for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
        const leading = this.#leading.get(name.slice(dot))
        if (leading) yield leading
        const trailing = this.#trailing.get(name.slice(0, dot + 1))
        if (trailing) yield trailing
      }
    }
  }
}

/** Routes of one host, by the prefixes of their paths. */
class Bucket {
  readonly #byPrefix = new Map<string, Compiled[]>()
  readonly #lengths: number[] = []
  /** Those that any path may belong to. */
  readonly #others: Compiled[] = []

  /** In the order of their ranks. */
  add(route: Compiled): void {
    const { beginnings } = route
    if (beginnings.length === 0 || beginnings.includes('')) {
      this.#others.push(route)
      return
    }
    for (const prefix of new Set(beginnings)) {
      const found = this.#byPrefix.get(prefix)
      if (found) found.push(route)
      else this.#byPrefix.set(prefix, [route])
      if (!this.#lengths.includes(prefix.length)) this.#lengths.push(prefix.length)
    }
  }

  /** The first that matches, if it goes before the best so far; else that one. */
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
    if (best && route.place >= best.place) return best
    if (matches(route, facts)) return route
  }
  return best
}

/** Cheap criteria first. */
function matches(
  { hosts, methods, prefixes, patterns, headers }: Compiled,
  { request, host, hostWithPort, path }: RequestFacts,
): boolean {
  if (methods && !methods.has(request.method)) return false
  if (hosts.length > 0 && !hosts.some((rule) => hostMatches(rule, host, hostWithPort))) return false
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
  // Fetch joins a header given several times: each is a value of its own here. A header that is too
  // long for an expression is too long in parts as well, which would cost as much together.
  if (!found.includes(',')) return false
  const each = found.split(',').map((value) => value.trim())
  const tested = found.length <= MAX_TEXT ? pattern : undefined
  return each.some((value) => values.has(value) || tested?.test(value))
}

/** The name, and the name with the port that the client means, as Kong completes it. */
function splitHost({ host, scheme }: RoutedRequest): { host: string; hostWithPort: string } {
  const [, name = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(host.toLowerCase()) ?? []
  return {
    host: name,
    hostWithPort: `${name}:${port || (scheme === 'https' ? '443' : '80')}`,
  }
}

function isHttp({ protocols }: KongRoute): boolean {
  return protocols.some((protocol) => HTTP_PROTOCOLS.includes(protocol))
}

/** @throws SchemaViolation for criteria that cannot be served, by field and one-based as Kong's. */
function check({ hosts, paths, methods, headers }: KongRoute): void {
  const criteria = [hosts, paths, methods, headers && Object.keys(headers)]
  if (!criteria.some((values) => values && values.length > 0)) {
    throw new SchemaViolation({
      '@entity': "must set one of 'methods', 'hosts', 'headers', 'paths'",
    })
  }
  const wrongPaths = (paths ?? []).flatMap((path, index) => {
    const problem = path.startsWith('~') ? compilePathPattern(path.slice(1)).problem : undefined
    return problem ? [[String(index + 1), problem] as const] : []
  })
  const wrongHeaders = Object.entries(headers ?? {}).flatMap(([name, values]) => {
    const problem = headerPattern(values)?.problem
    return problem ? [[name, problem] as const] : []
  })
  const fields: Record<string, FieldErrors> = {}
  if (wrongPaths.length > 0) fields['paths'] = Object.fromEntries(wrongPaths)
  if (wrongHeaders.length > 0) fields['headers'] = Object.fromEntries(wrongHeaders)
  if (Object.keys(fields).length > 0) throw new SchemaViolation(fields)
}

/** The expression that a header's values are, or undefined where they are plain. */
function headerPattern([first, ...others]: readonly string[]): CheckedPattern | undefined {
  if (first === undefined || others.length > 0 || !first.startsWith('~*')) return undefined
  return checkPattern(first.slice(2), undefined, true)
}

function compile(route: KongRoute): Compiled {
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
  const given = [hosts.length > 0, headers.length > 0, paths.length > 0, methods !== undefined]
  const weights = [HOST, HEADER, URI, METHOD]
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
    beginnings: [...prefixes, ...patterns.map(({ prefix }) => prefix)],
    methods,
    headers,
    place: 0,
  }
}

/** A wildcard with a port goes before plain hosts only, and these before others. */
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
