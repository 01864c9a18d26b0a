/** A read from a position, without a group: one page of records, and the addresses of its neighbours. */
import type { Context } from 'hono'
import { requestStatisticsOf } from '../../core/request-statistics.ts'
import type { Feed } from '../../feed/feed.ts'
import type { OrderedLimits } from '../../feed/ordered-search.ts'
import type { Position } from '../../feed/position.ts'
import { isAtOrBelow } from '../../feed/ring-buffer.ts'
import type { Gap } from '../../port/kafka.ts'
import type { BatchForm } from '../../records/batch-form.ts'
import { cursorText, type PartitionTable } from '../../records/cursor.ts'
import type { Filter } from '../../records/filter.ts'
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
import { bunRequestOf } from '../request/runtime.ts'
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
  untransformed,
} from '../response/body.ts'
import { deliver, LARGE_PIECE_BYTES } from '../response/deliver.ts'
import type { PageIdentity } from '../response/page-identity.ts'
import type { CachedResponse } from '../response/response-cache.ts'
import { SharedReads } from '../response/shared-reads.ts'
import { answerWhole, WHOLE_BODY_BYTES } from '../response/whole-body.ts'
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
  const cache = identity && isAnonymous(clientOf(c)) ? route.pageCache : undefined
  const cached = cache?.find(topicIds, c)
  if (cached) return answerCached(c, route, cached)
  const reads =
    sharedReads.get(route) ?? new SharedReads<RecordPage>(({ memory }) => memory.release())
  sharedReads.set(route, reads)
  const key = isFixed(request.plan, table.size) ? keyOf(c) : undefined
  const { signal } = c.req.raw
  const { result: page, read } = await reads.read(key, signal, (clients, onWait) =>
    readPage(c, route, request, { version, identity, signal: clients, onWait, trace }),
  )
  // A page without an identity is not full, or its topics have gaps: another read may find more.
  if (page.identity) cache?.add(topicIds, c, page)
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

/** Sends a page that is cached. */
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
  const whole = sendWhole(c, route, bytes, headers)
  if (whole) {
    onDone()
    return whole
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

/**
 * Gives a page to Bun's server whole.
 *
 * @returns Undefined if the server is not Bun's, or if the answer budget has no room for Bun's copy.
 */
function sendWhole(
  c: Context,
  route: Route,
  bytes: Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
): Response | undefined {
  const request = bytes.length <= WHOLE_BODY_BYTES ? bunRequestOf(c) : undefined
  if (!request?.isOpen) return undefined
  const memory = route.answerMemory()
  if (!memory.resize(bytes.length)) return undefined
  const release = () => memory.release()
  const ending = { ack: release, requeue: release }
  return answerWhole(c, bytes, headers, ending, request, route.options.writeDeadline)
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

/** The records of one read for a page, and where they lie. */
interface PageRead {
  readonly table: PartitionTable
  readonly slices: readonly Slice[]
  readonly gaps: readonly Gap[]
  /** Whether a limit or the end was reached, so that more records would not change the page. */
  readonly isFull: boolean
  /** The positions before and after the records. */
  readonly begin: Float64Array
  readonly cursor: Float64Array
  /** Undefined: the read has no end. */
  readonly end: Float64Array | undefined
  readonly hasEnded: boolean
  /** The ends of all partitions. */
  readonly ends: Float64Array
  /** Stands for what can be read, while the page is current; otherwise undefined. */
  readonly current: object | undefined
}

async function readPage(
  c: Context,
  route: Route,
  request: PageRequest,
  { version, identity, signal, onWait, trace }: PageContext,
): Promise<RecordPage> {
  const { plan, form } = request
  const { feed } = await route.lease()
  const memory = route.answerMemory()
  try {
    const read =
      (await readInOrder(c, feed, request, signal, memory)) ??
      (await readOnwards(c, feed, request, signal, memory, onWait))
    signal.throwIfAborted()
    const { slices, gaps, table } = read
    const progress = { cursor: cursorText(table, read.cursor), hasEnded: read.hasEnded }
    const states = () => statesOf(c, read)
    const body = joinParts(layOut(form, contentsOfSlices(slices, form), states, progress, gaps))
    if (!memory.resize(body.length)) throw tooManyAnswers()
    trace?.add(slices)
    const sent = await compressBody(c, route, body, signal)
    signal.throwIfAborted()
    memory.resize(sent.bytes.length)
    const link = linkOf(c, plan, read, form.list === 'kong' ? undefined : version)
    const page = {
      ...sent,
      headers: {
        'Content-Type': contentTypeOf(form),
        'Kafka-Cursor': progress.cursor,
        ...(link && { Link: link }),
        ...(gaps.length > 0 && { 'Kafka-Gaps': JSON.stringify(gaps) }),
      },
      records: countRecords(slices),
      size: body.length,
      identity: read.isFull && gaps.length === 0 ? identity : undefined,
    }
    if (read.current && isCacheable(c, page, gaps) && isFixed(plan, table.size)) {
      route.responseCache.add(read.current, c, page)
    }
    return { ...page, gaps, memory }
  } catch (error) {
    memory.release()
    throw error
  }
}

/**
 * Reads the next records of all partitions in the order of time.
 *
 * @returns undefined where records are not wanted in this order, or the position is beyond the end.
 * @throws KafkaConsumeError
 */
async function readInOrder(
  c: Context,
  feed: Feed,
  { plan, form }: PageRequest,
  signal: AbortSignal,
  memory: AnswerMemory,
): Promise<PageRead | undefined> {
  const wanted = orderedLimitsOf(plan)
  if (!wanted) return undefined
  const bytes = memory.claim(wanted.bytes, 1)
  if (bytes === 0) throw tooManyAnswers()
  const { batchForm, filter } = selectionOf(c, plan, form)
  const requested = { from: plan.position as Position, end: plan.end }
  const limits = { records: wanted.records, bytes }
  const read = await feed.readInOrder(requested, limits, filter, batchForm, signal)
  if (!read) {
    memory.release()
    return undefined
  }
  const { parts, gaps, from, to, end, latest, table } = read
  const hasEnded = !newestOf(plan) && end !== undefined && isAtOrBelow(end, to)
  return {
    ...{ table, gaps, end, slices: parts, begin: from, cursor: to, current: undefined },
    isFull: hasEnded || parts.length === limits.records,
    hasEnded,
    ends: latest.map((offset, index) => Math.max(offset, to[index] as number)),
  }
}

/** Reads each partition as fast as Kafka gives its records. */
async function readOnwards(
  c: Context,
  feed: Feed,
  { plan, form }: PageRequest,
  signal: AbortSignal,
  memory: AnswerMemory,
  onWait: () => void,
): Promise<PageRead> {
  const { position, end, limits } = plan
  const { batchForm, filter } = selectionOf(c, plan, form)
  const subscription = await feed.subscribe(position as Position, filter, 'read', batchForm, end)
  try {
    const before = subscription.version
    const begin = subscription.cursor.vector.slice()
    const { slices, gaps, isFull } = await readFromPosition(
      subscription,
      limits,
      signal,
      memory,
      onWait,
    )
    const isCurrent = before !== undefined && before === subscription.version
    const { cursor, hasEnded, end: bound, ends } = subscription
    return {
      ...{ slices, gaps, isFull, begin, hasEnded, ends, end: bound },
      table: cursor.table,
      cursor: cursor.vector.slice(),
      current: isCurrent ? before : undefined,
    }
  } finally {
    feed.release(subscription)
  }
}

function newestOf({ position }: ReadPlan): OrderedLimits | undefined {
  return position && 'newest' in position ? position.newest : undefined
}

/** The limits of a read in the order of time; undefined where another order will do. */
function orderedLimitsOf(plan: ReadPlan): OrderedLimits | undefined {
  const { maxRecords, maxBytes } = plan.limits
  return newestOf(plan) ?? (plan.order && { records: maxRecords, bytes: maxBytes })
}

/** Which records are read for a client, and in which form. */
function selectionOf(
  c: Context,
  { wanted }: ReadPlan,
  form: AnswerForm,
): { batchForm: BatchForm; filter: (table: PartitionTable) => Filter | undefined } {
  const client = clientOf(c)
  const isExamined = wanted !== undefined || isRestricted(client)
  return {
    batchForm: batchFormOf(form, isExamined),
    filter: (table) => filterOf(wanted, client, table),
  }
}

function isCacheable(c: Context, { records }: CachedResponse, gaps: readonly Gap[]): boolean {
  return isAnonymous(clientOf(c)) && records > 0 && gaps.length === 0
}

/** The partitions that a client may read, and their ends. */
function statesOf(c: Context, { table, ends }: PageRead) {
  const offsets = readablePartitions(clientOf(c), table.offsets(ends))
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
  { table, begin, cursor, end, hasEnded }: PageRead,
  version: string | undefined,
): string {
  const { limits, position } = plan
  const newest = newestOf(plan)?.records
  const isFirst = position && 'start' in position && position.start === 'earliest'
  const known = version === undefined ? {} : { version }
  const bound = end === undefined || newest !== undefined ? {} : { end: cursorText(table, end) }
  const next = urlAt(c, { cursor: cursorText(table, cursor), ...bound, ...known })
  const count = newest ?? limits.maxRecords
  const prev = urlAt(c, { start: `-${count}`, end: cursorText(table, begin), ...known })
  const isLast = hasEnded && newest === undefined
  return [isLast ? '' : `<${next}>; rel="next"`, isFirst ? '' : `<${prev}>; rel="prev"`]
    .filter(Boolean)
    .join(', ')
}

function countRecords(slices: readonly Slice[]): number {
  return slices.reduce((sum, { begin, end }) => sum + end - begin, 0)
}
