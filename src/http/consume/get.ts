/** Mode `http-get`: one read, as the consumer group or from a position. */
import type { Context } from 'hono'
import { requestStatisticsOf } from '../../core/request-statistics.ts'
import { yieldToSocketEvents } from '../../core/turn-queue.ts'
import type { ResolvedOptions } from '../../options/consume-options.ts'
import type { DeliveryLayout } from '../../port/encoding.ts'
import type { Delivery, Gap, PartitionState } from '../../port/kafka.ts'
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
import { type BunRequest, bunRequestOf, startDisconnectDetection } from '../request/runtime.ts'
import { type AnswerMemory, tooManyAnswers } from '../response/answer-budget.ts'
import {
  type AnswerForm,
  acceptsCoding,
  compressBody,
  contentTypeOf,
  joinParts,
  layOut,
  setCodingHeaders,
  untransformed,
} from '../response/body.ts'
import type { Compressed } from '../response/compress.ts'
import { type DeliveryEnd, deliver } from '../response/deliver.ts'
import type { CachedResponse } from '../response/response-cache.ts'
import { answerWhole, WHOLE_BODY_BYTES } from '../response/whole-body.ts'
import type { Route } from '../route/route.ts'
import { type ReadTrace, traced } from '../route/trace.ts'
import { answerCached, answerPage, type PageRequest } from './page.ts'
import { type GroupPoll, pollConnectedClient } from './poll-group.ts'

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
  const version = route.askVersion()
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
  startDisconnectDetection(c)
  const joined = route.group(client)
  const group = joined instanceof Promise ? await joined : joined
  const memory = route.answerMemory()
  const bunRequest = bunRequestOf(c)
  // Most reads wait for this alone: each `await` takes time.
  await yieldToSocketEvents()
  const polling = pollConnectedClient(group, route, {
    wanted: plan.wanted,
    limits: trace ? { ...plan.limits, wantsRecords: true } : plan.limits,
    layout: deliveryLayoutOf(form, route.options),
    client,
    leaving: c.req.raw,
    memory,
    runtimeCancelsAnswers: bunRequest !== undefined,
  })
  const polled = polling instanceof Promise ? await polling : polling
  const ending = new AnswerEnd(polled.delivery, memory)
  try {
    const answer = { c, route, form, polled, memory, ending, bunRequest, trace }
    const sent = sendGroupAnswer(answer)
    return sent instanceof Promise ? await sent : sent
  } catch (error) {
    ending.requeue()
    throw error
  }
}

/** The end of an answer, which releases its memory. */
class AnswerEnd implements DeliveryEnd {
  readonly #delivery: Delivery
  readonly #memory: AnswerMemory

  constructor(delivery: Delivery, memory: AnswerMemory) {
    this.#delivery = delivery
    this.#memory = memory
  }

  ack(): void {
    this.#memory.release()
    this.#delivery.ack()
  }

  requeue(): void {
    this.#memory.release()
    this.#delivery.requeue()
  }
}

/** An answer with records of a group. */
interface GroupAnswer {
  readonly c: Context
  readonly route: Route
  readonly form: AnswerForm
  readonly polled: GroupPoll
  readonly memory: AnswerMemory
  readonly ending: DeliveryEnd
  readonly bunRequest: BunRequest | undefined
  readonly trace: ReadTrace | undefined
}

/**
 * Encodes and sends an answer: without a promise where Bun's server gets the answer as it is, so that
 * its client is still there.
 */
function sendGroupAnswer(answer: GroupAnswer): Response | Promise<Response> {
  const { c, route, polled, bunRequest } = answer
  announceGaps(c, route, polled.delivery.gaps)
  const isPlain = !acceptsCoding(c, route.options) && bunRequest?.isOpen === true
  const encoded = groupBody(answer, isPlain)
  if (!isPlain || encoded instanceof Promise) return sendEncoded(answer, encoded)
  count(answer, encoded)
  return send(answer, { bytes: encoded as Uint8Array<ArrayBuffer>, coding: undefined }, true)
}

/** Sends an answer whose body takes a while, or is compressed. */
async function sendEncoded(
  answer: GroupAnswer,
  encoded: Uint8Array | Promise<Uint8Array>,
): Promise<Response> {
  const { c, route, bunRequest } = answer
  const body = (await encoded) as Uint8Array<ArrayBuffer>
  count(answer, body)
  const { signal } = c.req.raw
  const compressed = await compressBody(c, route, body, signal)
  if (compressed.coding && signal.aborted) throw signal.reason
  return send(answer, compressed, bunRequest?.isOpen === true)
}

/** @throws KafkaConsumeError TOO_MANY_ANSWERS */
function count({ c, route, polled, memory, trace }: GroupAnswer, body: Uint8Array): void {
  if (!memory.resize(body.length)) throw tooManyAnswers()
  route.countSent('group', polled.length, body.length, requestStatisticsOf(c))
  trace?.addRecords(polled.records)
}

/** @param isOpen Whether Bun's server has the client's request open now. */
function send(
  { c, route, form, memory, ending, bunRequest }: GroupAnswer,
  { bytes, coding }: Compressed,
  isOpen: boolean,
): Response {
  const { writeDeadline } = route.options
  const headers = { 'Content-Type': contentTypeOf(form), ...untransformed('no-store') }
  setCodingHeaders(c, coding, route.options)
  memory.resize(bytes.length)
  if (isOpen && bunRequest && bytes.length <= WHOLE_BODY_BYTES) {
    return answerWhole(c, bytes, headers, ending, bunRequest, writeDeadline)
  }
  return c.body(deliver(bytes, ending, c.req.raw.signal, writeDeadline), 200, headers)
}

function announceGaps(c: Context, route: Route, gaps: readonly Gap[]): void {
  route.statistics.gaps += gaps.length
  if (gaps.length > 0) c.header('Kafka-Gaps', JSON.stringify(gaps))
}

/**
 * The body of records of a group, which go to one client and are encoded for this answer.
 *
 * @param mayReuseBuffer Whether the bytes, unless they come by a promise, may lie in a buffer that the next call
 * overwrites.
 */
function groupBody(answer: GroupAnswer, mayReuseBuffer: boolean): Uint8Array | Promise<Uint8Array> {
  const { c, route, polled, form } = answer
  if (polled.isUnprocessed && isEncodedByGroup(form)) return polled.body(mayReuseBuffer)
  const states = () => readablePartitions(clientOf(c), polled.delivery.partitions)
  return processedBody(polled, route.options, form, states)
}

/** Whether the group encodes unprocessed records as the answer has them; else as lines, which a format reads. */
function isEncodedByGroup({ format }: AnswerForm): boolean {
  return !format || format === FORMATS.value
}

/** The form in which the group encodes a delivery. */
function deliveryLayoutOf(
  form: AnswerForm,
  { messageDeserializer }: ResolvedOptions,
): DeliveryLayout {
  const isWhole = isEncodedByGroup(form)
  return {
    list: isWhole ? form.list : 'lines',
    content: isWhole && form.format ? 'value' : 'record',
    valuesAreJson: messageDeserializer === 'json',
  }
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
