/** Mode `http-get`: one read, as the consumer group or from a position. */
import type { Context } from 'hono'
import { requestStatisticsOf } from '../../core/request-statistics.ts'
import type { ResolvedOptions } from '../../options/consume-options.ts'
import type { DeliveredRun, RunText } from '../../port/encoding.ts'
import type { Gap, PartitionState } from '../../port/kafka.ts'
import { encodeBody } from '../../records/encode.ts'
import { FORMATS } from '../../records/format.ts'
import { negotiate } from '../request/accept.ts'
import {
  assertMayUseGroup,
  clientOf,
  isAnonymous,
  readablePartitions,
  urlOf,
} from '../request/client.ts'
import { chooseFormat, parseRead } from '../request/parameters.ts'
import { isServedByBun } from '../request/runtime.ts'
import { tooManyAnswers } from '../response/answer-budget.ts'
import {
  type AnswerForm,
  compressBody,
  contentTypeOf,
  joinParts,
  layOut,
  type RecordFields,
  setCodingHeaders,
} from '../response/body.ts'
import { AT_ONCE_BYTES, deliver, deliverAtOnce, untransformed } from '../response/deliver.ts'
import type { CachedResponse } from '../response/response-cache.ts'
import type { Route } from '../route/route.ts'
import { type ReadTrace, traced } from '../route/trace.ts'
import { answerCached, answerPage, type PageRequest } from './page.ts'
import { type GroupPoll, pollGroup } from './poll-group.ts'

/** @throws KafkaConsumeError */
export function answerGet(c: Context, route: Route): Response | Promise<Response> {
  const cached = NAMES_POSITION.test(c.req.url) ? findCached(c, route) : undefined
  if (cached) return answerCached(c, route, cached)
  const read = parseGet(c, route)
  const [kind, answer] = read.plan.position
    ? (['read', answerPage] as const)
    : (['group', answerGroup] as const)
  return traced(route, kind, (trace) => answer(c, route, read, trace))
}

/** Parsed reads as the group by route: a client that polls sends one URL again and again. */
const parsedReads = new WeakMap<Route, Map<string, PageRequest>>()
/** Parsed reads that are cached for a route. Overflow policy: all of them are parsed again. */
const MAX_PARSED_READS = 64
/** The most characters of a URL and an `Accept` whose parsed read is cached. */
const MAX_KEY_LENGTH = 512

/** @throws KafkaConsumeError INVALID_PARAMETER, INVALID_CURSOR or NOT_ACCEPTABLE */
function parseGet(c: Context, route: Route): PageRequest {
  const key = `${c.req.url} ${c.req.header('Accept') ?? ''}`
  const isCacheable = key.length <= MAX_KEY_LENGTH && !clientOf(c).credentialParameters
  const cached = isCacheable ? parsedReads.get(route)?.get(key) : undefined
  if (cached) return cached
  const lines = chooseForm(c, route.options)
  const plan = parseRead(urlOf(c).searchParams, route.options.topics, route.options.filters)
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
  const isPlain = isAnonymous(clientOf(c)) && !c.req.header('If-None-Match')
  return version && isPlain ? route.responseCache.find(version, c) : undefined
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

/**
 * Reads as the consumer group: the records are acked when the answer is delivered, and requeued when
 * the client disconnects before.
 */
async function answerGroup(
  c: Context,
  route: Route,
  { plan, form }: PageRequest,
  trace: ReadTrace | undefined,
): Promise<Response> {
  const client = clientOf(c)
  assertMayUseGroup(client, route.hasClientGroups)
  const group = await route.group(client)
  const request = c.req.raw
  const memory = route.answerMemory()
  const isBun = isServedByBun(c)
  const { wanted } = plan
  const limits = { ...plan.limits, wantsRecords: trace !== undefined }
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
    route.countSent('group', polled.length, body.length, requestStatisticsOf(c))
    trace?.addRecords(polled.records)
    const headers = { 'Content-Type': contentTypeOf(form), ...untransformed('no-store') }
    const { writeDeadline } = route.options
    const signal = () => request.signal
    const { bytes, coding } = await compressBody(c, route.options, body, signal, () => {
      route.statistics.uncompressed++
    })
    setCodingHeaders(c, coding, route.options)
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
