/** Mode `http-get`: one read, as the consumer group or from a position. */
import type { Context } from 'hono'
import { requestStatisticsOf } from '../../core/request-statistics.ts'
import type { Position } from '../../feed/position.ts'
import type { Subscription } from '../../feed/subscription.ts'
import { partsByTime } from '../../feed/time-order.ts'
import type { ResolvedOptions } from '../../options/consume-options.ts'
import type { DeliveredRun, RunText } from '../../port/encoding.ts'
import type { Gap, PartitionState } from '../../port/kafka.ts'
import type { PartitionTable } from '../../records/cursor.ts'
import { encodeBody } from '../../records/encode.ts'
import { FORMATS } from '../../records/format.ts'
import { negotiate } from '../request/accept.ts'
import {
  assertMayUseGroup,
  clientOf,
  filterOf,
  isAnonymous,
  isRestricted,
  readablePartitions,
  urlAt,
  urlOf,
} from '../request/client.ts'
import { chooseFormat, parseRead, type ReadPlan } from '../request/parameters.ts'
import { isServedByBun } from '../request/runtime.ts'
import { SMALL_ANSWER_BYTES, tooManyAnswers } from '../response/answer-budget.ts'
import {
  type AnswerForm,
  batchFormOf,
  contentsOfSlices,
  joinParts,
  layOut,
  type RecordFields,
  type Slice,
} from '../response/body.ts'
import { type Compressed, compressAnswer, MIN_COMPRESSED_BYTES } from '../response/compress.ts'
import {
  AT_ONCE_BYTES,
  deliver,
  deliverAtOnce,
  LARGE_PIECE_BYTES,
  untransformed,
} from '../response/deliver.ts'
import type { CachedResponse } from '../response/response-cache.ts'
import type { Route } from '../route/route.ts'
import type { ReadKind } from '../route/route-statistics.ts'
import { type ReadTrace, traced } from '../route/trace.ts'
import { type GroupPoll, pollGroup } from './poll-group.ts'
import { readFromPosition } from './read-from-position.ts'

/** @throws KafkaConsumeError */
export function answerGet(c: Context, route: Route): Response | Promise<Response> {
  const cached = NAMES_POSITION.test(c.req.url) ? findCached(c, route) : undefined
  if (cached) return answerCached(c, route, cached)
  const read = parseGet(c, route)
  const [kind, answer] = read.plan.position
    ? (['read', answerPosition] as const)
    : (['group', answerGroup] as const)
  return traced(route, kind, (trace) => answer(c, route, read, trace))
}

/** A parsed GET. */
interface ParsedGet {
  readonly plan: ReadPlan
  readonly form: AnswerForm
}

/** Parsed reads as the group by route: a client that polls sends one URL again and again. */
const parsedReads = new WeakMap<Route, Map<string, ParsedGet>>()
/** Parsed reads that are cached for a route. Overflow policy: all of them are parsed again. */
const MAX_PARSED_READS = 64
/** The most characters of a URL and an `Accept` whose parsed read is cached. */
const MAX_KEY_LENGTH = 512

/** @throws KafkaConsumeError INVALID_PARAMETER, INVALID_CURSOR or NOT_ACCEPTABLE */
function parseGet(c: Context, route: Route): ParsedGet {
  const key = `${c.req.url} ${c.req.header('Accept') ?? ''}`
  const isCacheable = key.length <= MAX_KEY_LENGTH && !clientOf(c).credentialParameters
  const cached = isCacheable ? parsedReads.get(route)?.get(key) : undefined
  if (cached) return cached
  const lines = chooseForm(c, route.options)
  const plan = parseRead(urlOf(c).searchParams, route.options.topics)
  const ofQuery = chooseFormat(plan.format, route.options)
  const parsed = { plan, form: lines ? { ...ofQuery, list: lines } : ofQuery }
  // A start may be relative to the present time.
  if (isCacheable && !plan.position) {
    const reads = parsedReads.get(route) ?? new Map()
    if (reads.size >= MAX_PARSED_READS) reads.clear()
    reads.set(key, parsed)
    parsedReads.set(route, reads)
  }
  return parsed
}

/**
 * Finds a position in a URL, whose answer may be cached. A parameter with an escaped name only misses
 * the cache.
 */
const NAMES_POSITION = /[?&](?:cursor|start)=/

function findCached(c: Context, route: Route): CachedResponse | undefined {
  const { version } = route
  return version && isAnonymous(clientOf(c)) ? route.responseCache.find(version, c) : undefined
}

function answerCached(c: Context, route: Route, cached: CachedResponse): Response {
  countSent(c, route, 'read', cached.records, cached.size)
  setCodingHeaders(c, cached.coding, route.options)
  return c.body(cached.bytes, 200, cached.headers)
}

function chooseForm(c: Context, { mode }: ResolvedOptions): 'lines' | undefined {
  const type = negotiate(
    c,
    mode === 'auto'
      ? ['application/json', 'application/x-ndjson', 'text/event-stream']
      : ['application/json', 'application/x-ndjson'],
  )
  return type === 'application/x-ndjson' ? 'lines' : undefined
}

/** Reads from a position, without a group: the answer has the cursor of the next read. */
async function answerPosition(
  c: Context,
  route: Route,
  { plan, form }: ParsedGet,
  trace: ReadTrace | undefined,
): Promise<Response> {
  const client = clientOf(c)
  const { feed } = await route.lease()
  const memory = route.answerMemory()
  const position = plan.position as NonNullable<ReadPlan['position']>
  const filter = (table: PartitionTable) => filterOf(plan.wanted, client, table)
  const isExamined = plan.wanted !== undefined || isRestricted(client)
  const isNewest = 'newest' in position
  const batchForm = batchFormOf(form, isExamined)
  const subscription = await feed.subscribe(position, filter, 'read', batchForm, plan.end)
  try {
    const { version } = subscription
    const begin = subscription.cursor.toString()
    const read = await readFromPosition(
      subscription,
      // The search for the newest records has kept the limits of bytes and of the filter.
      isNewest ? { ...plan.limits, maxBytes: Infinity, filterTime: Infinity } : plan.limits,
      c.req.raw.signal,
      memory,
    )
    const { gaps } = read
    const slices = isNewest ? partsByTime(read.slices) : read.slices
    const isCurrent = version !== undefined && version === subscription.version
    const cursor = subscription.cursor.toString()
    announceGaps(c, route, gaps)
    const ends = subscription.cursor.table.offsets(subscription.ends)
    const states = readablePartitions(client, ends).map(({ topic, partition, offset }) => ({
      topic,
      partition,
      highWatermark: offset,
      lastStableOffset: offset,
    }))
    const contents = contentsOfSlices(slices, form)
    const hasEnded = subscription.hasEnded && !isNewest
    const body = joinParts(layOut(form, contents, () => states, { cursor, hasEnded }, gaps))
    if (!memory.resize(body.length)) throw tooManyAnswers()
    const records = countRecords(slices)
    countSent(c, route, 'read', records, body.length)
    trace?.add(slices)
    const sent = await compressBody(c, route, body)
    const { signal } = c.req.raw
    if (signal.aborted) throw signal.reason
    const headers = {
      'Kafka-Cursor': cursor,
      ...linksOf(c, plan, position, begin, subscription),
      ...contentType(form),
    }
    const isWhole = isAnonymous(client) && records > 0 && gaps.length === 0
    if (isCurrent && isWhole && isComplete(position, subscription.cursor.table)) {
      route.responseCache.add(version, c, { ...sent, headers, records, size: body.length })
    }
    if (sent.bytes.length <= SMALL_ANSWER_BYTES) {
      memory.release()
      return c.body(sent.bytes, 200, headers)
    }
    memory.resize(sent.bytes.length)
    const release = () => memory.release()
    const ending = { ack: release, requeue: release }
    const stream = deliver(
      sent.bytes,
      ending,
      signal,
      route.options.writeDeadline,
      LARGE_PIECE_BYTES,
    )
    return c.body(stream, 200, { ...headers, ...untransformed('no-store') })
  } catch (error) {
    memory.release()
    throw error
  } finally {
    feed.release(subscription)
  }
}

/** The header `Link`: the pages of records after and before a page. */
function linksOf(
  c: Context,
  { limits }: ReadPlan,
  position: Position,
  begin: string,
  { cursor, end, hasEnded }: Subscription,
): { readonly Link?: string } {
  const isNewest = 'newest' in position
  const next = { cursor: cursor.toString(), ...(end === undefined || isNewest ? {} : { end }) }
  const records = isNewest ? position.newest.records : limits.maxRecords
  const isFirst = 'start' in position && position.start === 'earliest'
  const links = [
    ...(hasEnded && !isNewest ? [] : [`<${urlAt(c, next)}>; rel="next"`]),
    ...(isFirst ? [] : [`<${urlAt(c, { start: `-${records}`, end: begin })}>; rel="prev"`]),
  ]
  return links.length > 0 ? { Link: links.join(', ') } : {}
}

/**
 * Whether a position has an offset for each partition, so that its meaning does not change with time.
 */
function isComplete(position: Position, { size }: PartitionTable): boolean {
  if (!('cursor' in position) || position.cursor.length < size) return false
  return position.cursor.every((entry) => 'offset' in entry)
}

/**
 * Reads as the consumer group: the records are acked when the answer is delivered, and requeued when
 * the client disconnects before.
 */
async function answerGroup(
  c: Context,
  route: Route,
  { plan, form }: ParsedGet,
  trace: ReadTrace | undefined,
): Promise<Response> {
  const client = clientOf(c)
  assertMayUseGroup(client, route.hasClientGroups)
  const group = await route.group(client)
  const request = c.req.raw
  const memory = route.answerMemory()
  const isBun = isServedByBun(c)
  const { wanted, limits } = plan
  const asked = { wanted, limits, client, leaving: request, memory, isCancelled: isBun }
  const polled = await pollGroup(group, route, asked)
  const { delivery } = polled
  const ending = {
    ack: () => {
      memory.release()
      delivery.ack()
    },
    requeue: () => {
      memory.release()
      delivery.requeue()
    },
  }
  try {
    const states = () => readablePartitions(client, delivery.partitions)
    const { gaps } = delivery
    announceGaps(c, route, gaps)
    const body = (await groupBody(polled, route.options, form, states)) as Uint8Array<ArrayBuffer>
    if (!memory.resize(body.length)) throw tooManyAnswers()
    countSent(c, route, 'group', polled.length, body.length)
    trace?.addRecords(polled.records)
    const headers = { ...contentType(form), ...untransformed('no-store') }
    const { writeDeadline } = route.options
    const { bytes, coding } = await compressBody(c, route, body)
    if (coding && request.signal.aborted) throw request.signal.reason
    memory.resize(bytes.length)
    const stream =
      bytes.length <= AT_ONCE_BYTES && isBun
        ? deliverAtOnce(bytes, ending, request, writeDeadline)
        : deliver(bytes, ending, request.signal, writeDeadline)
    return c.body(stream, 200, headers)
  } catch (error) {
    ending.requeue()
    throw error
  }
}

function announceGaps(c: Context, route: Route, gaps: readonly Gap[]): void {
  route.statistics.gaps += gaps.length
  if (gaps.length > 0) c.header('Kafka-Gaps', JSON.stringify(gaps))
}

/** The body of records of a group, which go to one client and are encoded for this answer. */
function groupBody(
  polled: GroupPoll,
  options: ResolvedOptions,
  form: AnswerForm,
  states: () => readonly PartitionState[],
): Uint8Array | Promise<Uint8Array> {
  const { format, list } = form
  const { gaps, runs } = polled.delivery
  const content = format === FORMATS.value ? 'value' : 'record'
  const isEncodedByGroup = polled.isUnprocessed && (!format || content === 'value')
  if (!isEncodedByGroup) return processedBody(polled, options, form, states)
  const contents = {
    json: () => polled.runs(list === 'lines' ? '\n' : ','),
    fields: () => fieldsOfRuns(runs),
  }
  return polled.encode(layOut(form, contents, states, undefined, gaps), content)
}

/** The body of records that are processed, or have a format that is made of their JSON. */
async function processedBody(
  polled: GroupPoll,
  { messageDeserializer }: ResolvedOptions,
  form: AnswerForm,
  states: () => readonly PartitionState[],
): Promise<Uint8Array> {
  const { format, list } = form
  const texts = list === 'kong' ? [] : await polled.texts(format)
  const contents = {
    json: () => texts,
    fields: () =>
      polled.records.map((record) => ({
        topic: record.topic,
        partition: record.partition,
        fields: encodeBody(record, messageDeserializer),
      })),
  }
  return joinParts(layOut(form, contents, states, undefined, polled.delivery.gaps))
}

/** Each run of a delivery by its partition. */
function fieldsOfRuns(runs: readonly DeliveredRun[]): RecordFields<RunText>[] {
  return runs.map((run) => ({
    topic: run.topic,
    partition: run.partition,
    fields: { run, prefix: '', separator: ',{' },
  }))
}

function countRecords(slices: readonly Slice[]): number {
  return slices.reduce((sum, { begin, end }) => sum + end - begin, 0)
}

function countSent(
  c: Context,
  { statistics }: Route,
  kind: ReadKind,
  records: number,
  bytes: number,
): void {
  for (const counted of [statistics.sent[kind], requestStatisticsOf(c)]) {
    if (!counted) continue
    counted.records += records
    counted.bytes += bytes
  }
}

function contentType({ list, format }: AnswerForm): Record<string, string> {
  const isEvents = format === FORMATS.cloudevents
  const json = isEvents ? 'application/cloudevents-batch+json' : 'application/json'
  return {
    'Content-Type': list === 'lines' ? 'application/x-ndjson' : json,
    // A cache would deliver records twice.
    'Cache-Control': 'no-store',
  }
}

/** Compresses a body if its client accepts that, and sets the headers that say so. */
function compressBody(
  c: Context,
  { options, statistics }: Route,
  bytes: Uint8Array<ArrayBuffer>,
): Compressed | Promise<Compressed> {
  const isCandidate =
    options.compression !== 'off' &&
    bytes.length >= MIN_COMPRESSED_BYTES &&
    c.req.raw.headers.has('Accept-Encoding')
  const finish = (sent: Compressed) => {
    setCodingHeaders(c, sent.coding, options)
    return sent
  }
  return isCandidate
    ? compressAnswer(c, bytes, () => statistics.uncompressed++).then(finish)
    : finish({ bytes, coding: undefined })
}

/** Sets `Content-Encoding` and `Vary`. */
function setCodingHeaders(
  c: Context,
  coding: string | undefined,
  { compression }: ResolvedOptions,
): void {
  if (compression !== 'off') c.header('Vary', 'Accept-Encoding', { append: true })
  if (coding !== undefined) c.header('Content-Encoding', coding)
}
