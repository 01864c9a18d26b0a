/** The client of a request, as a middleware in front of `kafkaConsume` identified it. */
import type { Context } from 'hono'
import { KafkaConsumeError } from '../../core/errors.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { PartitionTable } from '../../records/cursor.ts'
import type { Filter } from '../../records/filter.ts'
import { filterFor, isFiltered, RecordFilter, type RequestedFilters } from '../../records/filter.ts'
import { absoluteUrl } from './runtime.ts'

/**
 * The client of a request, and the records that it may see. A middleware in front of `kafkaConsume`
 * puts it on the context; without one a client may see all records of the route.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaConsume } from 'hono-kafka-consume'
 * import { kafkaSide } from 'hono-kafka-consume/kafka'
 *
 * // A broker within the process, with a few records; yours is elsewhere.
 * const broker = await kafkaSide.startEmbeddedBroker({ topic: 'orders', records: 3, recordsPerSecond: 0 })
 * const orders = kafkaConsume({ bootstrapServers: broker.bootstrapServers, topics: ['orders'] })
 * const app = new Hono()
 * app.use(async (c, next) => {
 *   c.set('kafkaClient', { name: 'shop', only: { partitions: [0] } })
 *   await next()
 * })
 * app.get('/orders', orders)
 *
 * const response = await app.request('/orders?start=earliest&partition=1')
 * if (response.status !== 403) throw new Error('another partition is refused')
 * await orders.close()
 * await broker.close()
 * ```
 */
export interface KafkaClient {
  /**
   * Name of the client: a user, a consumer, the subject of a token. It is the id of the client's
   * consumer group with `consumerGroup.mode` `kong_consumer`.
   */
  readonly name?: string
  /**
   * The records that the client may see, whatever it asks for: those of these topics, in these
   * partitions, with these keys, for which these expressions of CEL are true. A list that is absent or
   * empty restricts nothing.
   */
  readonly only?: Partial<RequestedFilters>
  /**
   * When the client's credentials expire, in milliseconds since 1970. Streams end then, after a whole
   * event, so that the client shows new ones. Default: they do not expire.
   */
  readonly until?: number
  /** Query parameters that held the client's credentials: they are not parameters of the read. */
  readonly credentialParameters?: readonly string[]
  /** Headers that held the client's credentials: `kafkaUpstream` and `kafkaLog` put them into no record. */
  readonly credentialHeaders?: readonly string[]
  /** Names of `credentialHeaders` that `kafkaUpstream` forwards all the same. */
  readonly forwardedCredentials?: readonly string[]
  /**
   * Headers that say who the client is, such as `X-Consumer-Username`: `kafkaUpstream` takes them as
   * headers of the request, in place of those that the client sent itself. Null: the client may not
   * send such a header.
   */
  readonly identityHeaders?: Readonly<Record<string, string | null>>
  /**
   * Called before a stream is opened; throws a `KafkaConsumeError` to refuse it. What it returns is
   * called once when the stream has ended, however it did.
   *
   * @param end Ends the stream after a whole event, as when its client may not read any more.
   */
  readonly openStream?: (end: () => void) => (() => void) | Promise<() => void>
}

declare module 'hono' {
  // Declared for all apps, so that a middleware of any environment can set it, as Hono's own do.
  interface ContextVariableMap {
    kafkaClient?: KafkaClient
  }
}

const ANONYMOUS: KafkaClient = {}

export function clientOf(c: Context): KafkaClient {
  return (c.get('kafkaClient') as KafkaClient | undefined) ?? ANONYMOUS
}

/** Milliseconds until the client's credentials expire. */
export function timeLeft({ until = Infinity }: KafkaClient): number {
  return until - Date.now()
}

/** Whether no middleware has identified the client. Anonymous clients all get equal answers. */
export function isAnonymous(client: KafkaClient): boolean {
  return client === ANONYMOUS
}

/** A request's URL without its credentials. */
export function urlOf(c: Context): URL {
  const url = new URL(absoluteUrl(c.req.url))
  for (const name of clientOf(c).credentialParameters ?? []) url.searchParams.delete(name)
  return url
}

/** Whether a path is that of a route's offsets. */
export function isOffsetsPath(path: string): boolean {
  return path.endsWith('/offsets')
}

/** The parameters of a position and of an end, and of the version that goes with them. */
const BOUNDS = ['start', 'cursor', 'end', 'version']

/**
 * The path and query of a read that differs from a request in its position.
 *
 * @param bounds The parameters of the new position, and of its end.
 */
export function urlAt(c: Context, bounds: Readonly<Record<string, string>>): string {
  const { pathname, searchParams } = urlOf(c)
  for (const name of BOUNDS) searchParams.delete(name)
  const kept = searchParams.toString()
  const added = Object.entries(bounds).map(([name, value]) => `${name}=${escapeCursor(value)}`)
  return `${pathname}?${kept && `${kept}&`}${added.join('&')}`
}

/**
 * A query may have the punctuation of a cursor as it is. Escaped, the cursor of many partitions would
 * exceed the limit of a request line. Only the semicolon between topics is escaped: Python's requests and
 * httpx end an address of the header `Link` at a semicolon.
 */
function escapeCursor(cursor: string): string {
  return encodeURIComponent(cursor).replace(/%3A|%2C|%3D/g, decodeURIComponent)
}

/** The credentials in a request's query, as a query of their own: `?token=…`, or empty. */
export function credentialQuery(c: Context): string {
  const given = new URL(c.req.url).searchParams
  const names = clientOf(c).credentialParameters ?? []
  const found = names.flatMap((name) => given.getAll(name).map((value) => [name, value]))
  return found.length === 0 ? '' : `?${new URLSearchParams(found)}`
}

/** Whether a client may not see all records of a route. */
export function isRestricted({ only }: KafkaClient): boolean {
  return only !== undefined && isFiltered(scopeOf(only))
}

/**
 * Makes the filter of a read: a record passes if the client asks for it and may see it. Undefined when
 * all records pass.
 *
 * @param wanted Undefined: the client asks for all records.
 * @throws KafkaConsumeError FORBIDDEN for a topic or partition that the client may not read,
 *   INVALID_PARAMETER for one that does not exist.
 */
export function filterOf(
  wanted: RequestedFilters | undefined,
  client: KafkaClient,
  table: PartitionTable,
): Filter | undefined {
  const { topics, partitions, keys, filters } = scopeOf(client.only)
  assertAllowed('topic', wanted?.topics ?? [], topics)
  assertAllowed('partition', wanted?.partitions ?? [], partitions)
  const requested = wanted && filterFor(wanted, table)
  const scope = {
    topics,
    // Partitions that do not exist are left out: the client did not ask for them.
    partitions: partitions.filter((one) =>
      table.partitions.some(
        ({ topic, partition }) => partition === one && mayRead(client, topic, partition),
      ),
    ),
    keys,
    filters,
  }
  const isEmpty =
    (partitions.length > 0 && scope.partitions.length === 0) ||
    (topics.length > 0 && !topics.some((topic) => table.hasTopic(topic)))
  const allowed = isEmpty ? RecordFilter.none(table) : filterFor(scope, table)
  return requested && allowed ? allowed.and(requested) : (requested ?? allowed)
}

const NO_FILTER = () => undefined

/** {@link filterOf} for streams, whose partitions may change while they are open. */
export function filterOfTable(
  wanted: RequestedFilters | undefined,
  client: KafkaClient,
): (table: PartitionTable) => Filter | undefined {
  // Most streams have no filter: they share one function.
  if (!wanted && !isRestricted(client)) return NO_FILTER
  return (table) => filterOf(wanted, client, table)
}

/** Whether a client may read a partition. */
function mayRead(client: KafkaClient, topic: string, partition: number): boolean {
  const { topics, partitions } = scopeOf(client.only)
  return (
    (topics.length === 0 || topics.includes(topic)) &&
    (partitions.length === 0 || partitions.includes(partition))
  )
}

/** The partitions among these that a client may read. */
export function readablePartitions<T extends TopicPartition>(
  client: KafkaClient,
  partitions: readonly T[],
): readonly T[] {
  if (!isRestricted(client)) return partitions
  return partitions.filter(({ topic, partition }) => mayRead(client, topic, partition))
}

/**
 * Keeps a restricted client from a shared group: the group would skip records that this client polls
 * and may not see.
 *
 * @param isOwn Whether the group belongs to this client alone.
 * @throws KafkaConsumeError FORBIDDEN
 */
export function assertMayUseGroup(client: KafkaClient, isOwn: boolean): void {
  if (isOwn || !isRestricted(client)) return
  throw new KafkaConsumeError(
    'FORBIDDEN',
    'Cannot read as the consumer group: this client may see a part of the records only, and would take the rest from others; give start or cursor',
  )
}

function assertAllowed<T extends string | number>(
  what: string,
  asked: readonly T[],
  allowed: readonly T[],
): void {
  const other = allowed.length > 0 && asked.find((one) => !allowed.includes(one))
  if (other === false || other === undefined) return
  throw new KafkaConsumeError('FORBIDDEN', `Cannot read ${what} ${other}: this client may not`)
}

function scopeOf({
  topics = [],
  partitions = [],
  keys = [],
  filters = [],
}: Partial<RequestedFilters> = {}): RequestedFilters {
  return { topics, partitions, keys, filters }
}
