/** A read from a position, without a group: one page of records, and the addresses of its neighbours. */
import type { Context } from 'hono'
import { requestStatisticsOf } from '../../core/request-statistics.ts'
import type { Feed } from '../../feed/feed.ts'
import type { NewestLimits } from '../../feed/newest-records.ts'
import type { Position } from '../../feed/position.ts'
import type { Subscription } from '../../feed/subscription.ts'
import { partsByTime } from '../../feed/time-order.ts'
import type { Gap } from '../../port/kafka.ts'
import type { PartitionTable } from '../../records/cursor.ts'
import {
  clientOf,
  filterOf,
  isAnonymous,
  isRestricted,
  readablePartitions,
  urlAt,
  urlOf,
} from '../request/client.ts'
import type { ReadPlan } from '../request/parameters.ts'
import { type AnswerMemory, SMALL_ANSWER_BYTES, tooManyAnswers } from '../response/answer-budget.ts'
import {
  type AnswerForm,
  batchFormOf,
  compressBody,
  contentsOfSlices,
  contentTypeOf,
  joinParts,
  layOut,
  type Slice,
  setCodingHeaders,
} from '../response/body.ts'
import { deliver, LARGE_PIECE_BYTES, untransformed } from '../response/deliver.ts'
import type { PageIdentity } from '../response/page-identity.ts'
import type { CachedResponse } from '../response/response-cache.ts'
import { SharedReads } from '../response/shared-reads.ts'
import type { Route } from '../route/route.ts'
import type { ReadTrace } from '../route/trace.ts'
import { cachingHeaders, identityOf, isFixed, isNotModified, versionOf } from './page-caching.ts'
import { readFromPosition } from './read-from-position.ts'

/** A parsed request for a page. */
export interface PageRequest {
  readonly plan: ReadPlan
  readonly form: AnswerForm
}

/** A page as it is sent to each of its clients. */
interface RecordPage extends CachedResponse {
  readonly gaps: readonly Gap[]
  readonly memory: AnswerMemory
}

/** Pages that are being read, by route. */
const sharedReads = new WeakMap<Route, SharedReads<RecordPage>>()

/** @throws KafkaConsumeError */
export async function answerPage(
  c: Context,
  route: Route,
  request: PageRequest,
  trace: ReadTrace | undefined,
): Promise<Response> {
  const { feed } = await route.lease()
  const { table, topicIds } = await feed.contents()
  const version = versionOf(route, topicIds)
  const identity = identityOf(c, request, version, table.size)
  if (identity && isNotModified(c, identity)) {
    return c.body(null, 304, cachingHeaders(c, route, identity))
  }
  const reads =
    sharedReads.get(route) ?? new SharedReads<RecordPage>(({ memory }) => memory.release())
  sharedReads.set(route, reads)
  const key = isFixed(request.plan, table.size) ? keyOf(c) : undefined
  const { signal } = c.req.raw
  const { result: page, read } = await reads.read(key, signal, (clients, onWait) =>
    readPage(c, route, request, { version, identity, signal: clients, onWait, trace }),
  )
  return sendPage(c, route, page, () => read.leave())
}

/** All of a request on which its page depends. */
function keyOf(c: Context): string {
  const { pathname, search } = urlOf(c)
  const { req } = c
  const coding = req.header('Accept-Encoding') ?? ''
  const scope = JSON.stringify(clientOf(c).only ?? null)
  return [pathname, search, req.header('Accept') ?? '', coding, scope].join('\n')
}

/** Sends a page that is cached until a further record arrives. */
export function answerCached(c: Context, route: Route, cached: CachedResponse): Response {
  return sendPage(c, route, { ...cached, gaps: [] }, () => {})
}

/** @param onDone Called when the client does not need the page any more. */
function sendPage(
  c: Context,
  route: Route,
  page: CachedResponse & Pick<RecordPage, 'gaps'>,
  onDone: () => void,
): Response {
  const { bytes, coding, records, size, gaps, identity } = page
  const { statistics, options } = route
  route.countSent('read', records, size, requestStatisticsOf(c))
  statistics.gaps += gaps.length
  setCodingHeaders(c, coding, options)
  const isSmall = bytes.length <= SMALL_ANSWER_BYTES
  const caching = identity
    ? cachingHeaders(c, route, identity)
    : isSmall
      ? { 'Cache-Control': 'no-store' }
      : untransformed('no-store')
  const headers = { ...page.headers, ...caching }
  if (isSmall) {
    onDone()
    return c.body(bytes, 200, headers)
  }
  let isDone = false
  const done = () => {
    if (!isDone) onDone()
    isDone = true
  }
  const ending = { ack: done, requeue: done }
  const { signal } = c.req.raw
  return c.body(
    deliver(bytes, ending, signal, options.writeDeadline, LARGE_PIECE_BYTES),
    200,
    headers,
  )
}

/** The circumstances of a read, which one client has begun and others may have joined. */
interface PageContext {
  readonly version: string | undefined
  readonly identity: PageIdentity | undefined
  /** Aborts when all clients have left. */
  readonly signal: AbortSignal
  /** Called when the read begins to wait for new records. */
  readonly onWait: () => void
  readonly trace: ReadTrace | undefined
}

async function readPage(
  c: Context,
  route: Route,
  { plan, form }: PageRequest,
  { version, identity, signal, onWait, trace }: PageContext,
): Promise<RecordPage> {
  const { feed } = await route.lease()
  const memory = route.answerMemory()
  const newest = newestOf(plan)
  const subscription = await subscribe(c, feed, plan, form)
  try {
    const before = subscription.version
    const begin = subscription.cursor.toString()
    // The search for the newest records has kept the limits of bytes and of the filter.
    const limits = newest
      ? { ...plan.limits, maxBytes: Infinity, filterTime: Infinity }
      : plan.limits
    const read = await readFromPosition(subscription, limits, signal, memory, onWait)
    signal.throwIfAborted()
    const { gaps } = read
    const slices = newest ? partsByTime(read.slices) : read.slices
    const isCurrent = before !== undefined && before === subscription.version
    const progress = {
      cursor: subscription.cursor.toString(),
      hasEnded: subscription.hasEnded && !newest,
    }
    const states = () => statesOf(c, subscription)
    const body = joinParts(layOut(form, contentsOfSlices(slices, form), states, progress, gaps))
    if (!memory.resize(body.length)) throw tooManyAnswers()
    trace?.add(slices)
    const sent = await compressBody(
      c,
      route.options,
      body,
      () => signal,
      () => {
        route.statistics.uncompressed++
      },
    )
    signal.throwIfAborted()
    memory.resize(sent.bytes.length)
    const records = countRecords(slices)
    const isFull = newest ? records === newest.records : read.isFull
    const link = linkOf(c, plan, begin, subscription, form.list === 'kong' ? undefined : version)
    const page = {
      ...sent,
      headers: {
        'Content-Type': contentTypeOf(form),
        'Kafka-Cursor': progress.cursor,
        ...(link && { Link: link }),
        ...(gaps.length > 0 && { 'Kafka-Gaps': JSON.stringify(gaps) }),
      },
      records,
      size: body.length,
      identity: isFull && gaps.length === 0 ? identity : undefined,
    }
    if (isCurrent && isCacheable(c, page, gaps) && isFixed(plan, subscription.cursor.table.size)) {
      route.responseCache.add(before, c, page)
    }
    return { ...page, gaps, memory }
  } catch (error) {
    memory.release()
    throw error
  } finally {
    feed.release(subscription)
  }
}

function newestOf({ position }: ReadPlan): NewestLimits | undefined {
  return position && 'newest' in position ? position.newest : undefined
}

function subscribe(
  c: Context,
  feed: Feed,
  { position, end, wanted }: ReadPlan,
  form: AnswerForm,
): Promise<Subscription> {
  const client = clientOf(c)
  const filter = (table: PartitionTable) => filterOf(wanted, client, table)
  const isExamined = wanted !== undefined || isRestricted(client)
  return feed.subscribe(position as Position, filter, 'read', batchFormOf(form, isExamined), end)
}

function isCacheable(c: Context, { records }: CachedResponse, gaps: readonly Gap[]): boolean {
  return isAnonymous(clientOf(c)) && records > 0 && gaps.length === 0
}

/** The partitions that a client may read, and their ends. */
function statesOf(c: Context, { cursor, ends }: Subscription) {
  const offsets = readablePartitions(clientOf(c), cursor.table.offsets(ends))
  return offsets.map(({ topic, partition, offset }) => ({
    topic,
    partition,
    highWatermark: offset,
    lastStableOffset: offset,
  }))
}

/**
 * The header `Link`: the pages after and before a page.
 *
 * @param version The version that caches know these pages by.
 */
function linkOf(
  c: Context,
  plan: ReadPlan,
  begin: string,
  { cursor, end, hasEnded }: Subscription,
  version: string | undefined,
): string {
  const { limits, position } = plan
  const newest = newestOf(plan)?.records
  const isFirst = position && 'start' in position && position.start === 'earliest'
  const known = version === undefined ? {} : { version }
  const bound = end === undefined || newest !== undefined ? {} : { end }
  const next = urlAt(c, { cursor: cursor.toString(), ...bound, ...known })
  const prev = urlAt(c, { start: `-${newest ?? limits.maxRecords}`, end: begin, ...known })
  const isLast = hasEnded && newest === undefined
  return [isLast ? '' : `<${next}>; rel="next"`, isFirst ? '' : `<${prev}>; rel="prev"`]
    .filter(Boolean)
    .join(', ')
}

function countRecords(slices: readonly Slice[]): number {
  return slices.reduce((sum, { begin, end }) => sum + end - begin, 0)
}
