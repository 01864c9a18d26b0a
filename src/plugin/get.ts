/** Mode `http-get`: one read, as the consumer group or from a position. */
import type { Context } from 'hono'
import type { ResolvedOptions } from '../config/options.ts'
import { exchangeOf } from '../ops/exchange.ts'
import { arrayBody, flatBody, kongBody, linesOf, type Slice } from '../record/body.ts'
import { FORMATS, type Format } from '../record/format.ts'
import type { PartitionTable } from '../stream/cursor.ts'
import type { Position } from '../stream/feed.ts'
import { shownIn } from '../stream/shown.ts'
import type { Gap, PartitionState } from '../stream/source.ts'
import { negotiate } from './accept.ts'
import { SMALL_ANSWER_BYTES, tooManyAnswers } from './answer-budget.ts'
import { asWritten } from './as-written.ts'
import { assertMayUseGroup, clientOf, filterOf, isNobody, mayRead, urlOf } from './client.ts'
import { compressAnswer, tellCoding } from './compress.ts'
import { deliver, LARGE_PIECE } from './deliver.ts'
import type { Kind } from './figures.ts'
import type { KeptAnswer } from './kept.ts'
import { parseRead, type ReadPlan } from './parameters.ts'
import { readFrom } from './read.ts'
import type { Route } from './route.ts'
import { shapeOf } from './shown.ts'
import { takeAsGroup } from './take.ts'
import { type ReadTrace, traced } from './trace.ts'

/** How the answer is laid out, and what records are shown as. */
interface Form {
  readonly list: 'lines' | 'flat' | 'kong' | 'array'
  readonly format: Format | undefined
}

/** @throws KafkaConsumeError */
export function answerGet(c: Context, route: Route): Response | Promise<Response> {
  const { moment } = route
  const kept = moment && isNobody(clientOf(c)) ? route.kept.find(moment, c) : undefined
  if (kept) return answerKept(c, route, kept)
  const lines = chooseForm(c, route.options)
  const plan = parseRead(urlOf(c).searchParams, route.options.topics)
  const shape = shapeOf(plan.format, route.options)
  const form = lines ? { ...shape, list: lines } : shape
  const [kind, answer] = plan.position
    ? (['read', answerFrom] as const)
    : (['group', answerGroup] as const)
  return traced(route, kind, (trace) => answer(c, route, plan, form, trace))
}

function answerKept(c: Context, route: Route, kept: KeptAnswer): Response {
  count(c, route, 'read', kept.records, kept.size)
  tellCoding(c, kept.coding, route.options.compression)
  return c.body(kept.bytes, 200, kept.headers)
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

/** Without a group: nothing is committed, and the answer says where to go on. */
async function answerFrom(
  c: Context,
  route: Route,
  plan: ReadPlan,
  form: Form,
  trace: ReadTrace | undefined,
): Promise<Response> {
  const client = clientOf(c)
  const { feed } = await route.lease()
  const memory = route.answerMemory()
  const position = plan.position as NonNullable<ReadPlan['position']>
  const subscription = await feed.subscribe(position, (table) =>
    filterOf(plan.wanted, client, table),
  )
  try {
    const { moment } = subscription
    const { slices, gaps } = await readFrom(subscription, plan.limits, c.req.raw.signal, memory)
    const isOfMoment = moment !== undefined && moment === subscription.moment
    const cursor = subscription.cursor.toString()
    announce(c, route, gaps)
    const states = subscription.cursor.table
      .offsets(subscription.ends)
      .filter(({ topic, partition }) => mayRead(client, topic, partition))
      .map(({ topic, partition, offset }) => ({
        topic,
        partition,
        highWatermark: offset,
        lastStableOffset: offset,
      }))
    const body = bodyOf(form, slices, states, cursor, gaps)
    if (!memory.resize(body.length)) throw tooManyAnswers()
    const records = countRecords(slices)
    count(c, route, 'read', records, body.length)
    trace?.add(slices)
    const sent = await compressAnswer(c, body, route)
    const { signal } = c.req.raw
    if (signal.aborted) throw signal.reason
    const headers = {
      'Kafka-Cursor': cursor,
      Link: `<${nextUrl(c, cursor)}>; rel="next"`,
      ...contentType(form),
    }
    const isWhole = isNobody(client) && records > 0 && gaps.length === 0
    if (isOfMoment && isWhole && namesAll(position, subscription.cursor.table)) {
      route.kept.keep(moment, c, { ...sent, headers, records, size: body.length })
    }
    if (sent.bytes.length <= SMALL_ANSWER_BYTES) {
      memory.release()
      return c.body(sent.bytes, 200, headers)
    }
    memory.resize(sent.bytes.length)
    const release = () => memory.release()
    const ending = { done: release, giveBack: release }
    const stream = deliver(sent.bytes, ending, signal, route.options.writeDeadline, LARGE_PIECE)
    return c.body(stream, 200, { ...headers, ...asWritten('no-store') })
  } catch (error) {
    memory.release()
    throw error
  } finally {
    feed.release(subscription)
  }
}

/** Whether a position is offsets only: what it means does not change with time. */
function namesAll(position: Position, { size }: PartitionTable): boolean {
  if ('start' in position || position.cursor.length < size) return false
  return position.cursor.every((entry) => 'offset' in entry)
}

function nextUrl(c: Context, cursor: string): string {
  const url = urlOf(c)
  url.searchParams.delete('start')
  url.searchParams.delete('cursor')
  // The marks of a cursor may stand in a query as they are; escaped, a long cursor of many
  // partitions would be more than a request line may have.
  const text = encodeURIComponent(cursor).replace(/%3A|%2C|%3B|%3D/g, decodeURIComponent)
  return `${url.pathname}?${url.search && `${url.search.slice(1)}&`}cursor=${text}`
}

/** Reads as the group: committed when the answer is delivered, handed back when the client is gone. */
async function answerGroup(
  c: Context,
  route: Route,
  plan: ReadPlan,
  form: Form,
  trace: ReadTrace | undefined,
): Promise<Response> {
  const client = clientOf(c)
  assertMayUseGroup(client, route.hasClientGroups)
  const group = await route.group(client)
  const { signal } = c.req.raw
  const memory = route.answerMemory()
  const taken = await takeAsGroup(group, route, { ...plan, client, signal, memory })
  const { delivery, chunk } = taken
  const ending = {
    done: () => {
      memory.release()
      delivery.done()
    },
    giveBack: () => {
      memory.release()
      delivery.giveBack()
    },
  }
  try {
    const slices = [{ chunk, begin: 0, end: chunk.offsets.length }]
    const states = delivery.partitions.filter(({ topic, partition }) =>
      mayRead(client, topic, partition),
    )
    const { gaps } = delivery
    announce(c, route, gaps)
    const body = bodyOf(form, slices, states, undefined, gaps)
    if (!memory.resize(body.length)) throw tooManyAnswers()
    count(c, route, 'group', countRecords(slices), body.length)
    trace?.add(slices)
    const headers = { ...contentType(form), ...asWritten('no-store') }
    const { writeDeadline } = route.options
    const { bytes } = await compressAnswer(c, body, route)
    if (signal.aborted) throw signal.reason
    memory.resize(bytes.length)
    return c.body(deliver(bytes, ending, signal, writeDeadline), 200, headers)
  } catch (error) {
    ending.giveBack()
    throw error
  }
}

function announce(c: Context, route: Route, gaps: readonly Gap[]): void {
  route.figures.gaps += gaps.length
  if (gaps.length > 0) c.header('Kafka-Gaps', JSON.stringify(gaps))
}

function bodyOf(
  { list, format }: Form,
  slices: readonly Slice[],
  states: readonly PartitionState[],
  cursor: string | undefined,
  gaps: readonly Gap[],
): Uint8Array<ArrayBuffer> {
  const shown = slices.map((slice) => shownIn(slice, format))
  let body: Uint8Array
  if (list === 'lines') body = linesOf(shown)
  else if (list === 'array') body = arrayBody(shown)
  else if (list === 'flat') body = flatBody(shown, cursor, gaps)
  else body = kongBody(shown, states)
  return body as Uint8Array<ArrayBuffer>
}

function countRecords(slices: readonly Slice[]): number {
  return slices.reduce((sum, { begin, end }) => sum + end - begin, 0)
}

function count(c: Context, { figures }: Route, kind: Kind, records: number, bytes: number): void {
  for (const counted of [figures.sent[kind], exchangeOf(c)]) {
    if (!counted) continue
    counted.records += records
    counted.bytes += bytes
  }
}

function contentType({ list, format }: Form): Record<string, string> {
  const isEvents = format === FORMATS.cloudevents
  const json = isEvents ? 'application/cloudevents-batch+json' : 'application/json'
  return {
    'Content-Type': list === 'lines' ? 'application/x-ndjson' : json,
    // Each answer is of its moment: a cache would hand records out twice.
    'Cache-Control': 'no-store',
  }
}
