/** How the handler of `kafkaProduce` answers a request. An app loads it with its first request. */
import type { Context, Handler } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { asKafkaConsumeError, describeError, KafkaConsumeError } from '../../core/errors.ts'
import { PARTITION_RANGE, parsePartition } from '../../core/topic-partition.ts'
import type { ResolvedProduceOptions } from '../../options/produce-options.ts'
import type { ProducerRecord, RecordMetadata } from '../../port/producer.ts'
import { urlOf } from '../request/client.ts'
import { readRequestBody } from '../request/request-body.ts'
import { errorResponse } from '../response/error-response.ts'
import { methodNotAllowed } from '../response/method-not-allowed.ts'
import type { Connection } from '../route/cluster-registry.ts'
import {
  invalidRecord,
  type RecordDefaults,
  recordsOfJson,
  recordsOfLines,
} from './parse-records.ts'
import { assertRecordsFit } from './validate-records.ts'
import type { WriteStatistics } from './write-statistics.ts'

const HEADER_PREFIX = 'kafka-header-'
/** Parameters of a request that writes. */
export const WRITE_NAMES = ['topic', 'partition', 'key'] as const
const KNOWN_NAMES: readonly string[] = WRITE_NAMES

/** The state behind one `kafkaProduce(options)`. */
interface Writing {
  readonly options: ResolvedProduceOptions
  readonly statistics: WriteStatistics
  connected(): Promise<Connection>
}

/** Answers requests, also with errors. */
export function answersOf({ options, statistics, connected }: Writing): Handler {
  const showDetail = options.errorHandling.returnErrorMessage
  return async (c) => {
    try {
      const records = await readRecords(c, options)
      await assertRecordsFit(records, options.schemas)
      const { cluster } = await connected()
      const began = performance.now()
      const results = await cluster.producer(options.acks).send(records)
      statistics.countRecords(records, results, (performance.now() - began) / 1_000)
      statistics.countRequest(
        results.find((result) => result instanceof KafkaConsumeError)?.code ?? 'OK',
      )
      return answer(c, results, showDetail)
    } catch (error) {
      const isAborted = c.req.raw.signal.aborted
      statistics.countRequest(isAborted ? 'ABORTED' : asKafkaConsumeError(error).code)
      if (isAborted) return new Response(null, { status: 499 })
      return errorResponse(c, error, showDetail)
    }
  }
}

function answer(
  c: Context,
  results: ReadonlyArray<RecordMetadata | KafkaConsumeError>,
  showDetail: boolean,
): Response {
  const records = results.map((result) =>
    result instanceof KafkaConsumeError ? { failure: describeError(result, showDetail) } : result,
  )
  const errors = results.filter((result) => result instanceof KafkaConsumeError)
  const [first] = errors
  if (!first) return c.json({ records })
  const { code, state, status, retryAfter } = first
  if (retryAfter !== undefined) c.header('Retry-After', String(retryAfter))
  const retryable = errors.every((error) => error.retryable)
  const message = `Cannot write ${errors.length} of ${results.length} records: ${state}`
  return c.json(
    { message, code, ...(retryable && { retryable }), records },
    status as ContentfulStatusCode,
  )
}

/** @throws KafkaConsumeError for a request that cannot be written, before any record is. */
async function readRecords(c: Context, options: ResolvedProduceOptions): Promise<ProducerRecord[]> {
  if (c.req.method !== 'POST') throw methodNotAllowed(c, ['POST'])
  const encoding = c.req.header('Content-Encoding') ?? 'identity'
  if (encoding !== 'identity') throw invalidRecord('the body must not be compressed')
  const defaults = defaultsOf(urlOf(c).searchParams, options.topics)
  const body = await readRequestBody(c, { action: 'write records', maxBytes: options.maxBytes })
  const type = c.req.header('Content-Type')?.split(';')[0]?.trim().toLowerCase()
  // A request with a Content-Type and an empty body writes an empty value; one with neither has no value to write.
  if (type === undefined && body.length === 0) {
    throw invalidRecord('there is no body; for an empty value, the request needs a Content-Type')
  }
  let records: ProducerRecord[]
  if (type === 'application/json') records = recordsOfJson(decodeUtf8(body), defaults)
  else if (type === 'application/x-ndjson') records = recordsOfLines(decodeUtf8(body), defaults)
  else records = [recordOfBody(c, body, defaults)]
  if (records.length === 0) throw invalidRecord('the body has no records')
  if (records.length > options.maxRecords) {
    throw new KafkaConsumeError(
      'RECORD_TOO_LARGE',
      `Cannot write records: a request may have ${options.maxRecords} of them, and has ${records.length}`,
    )
  }
  return records
}

function defaultsOf(query: URLSearchParams, topics: readonly string[]): RecordDefaults {
  for (const name of query.keys()) {
    const isKnown = KNOWN_NAMES.includes(name)
    if (!isKnown || query.getAll(name).length > 1) {
      const state = isKnown
        ? 'it may be given only once'
        : `it is unknown; the parameters here are ${KNOWN_NAMES.join(', ')}`
      throw parameterError(name, state)
    }
  }
  const topic = query.get('topic') ?? (topics.length === 1 ? topics[0] : undefined)
  if (topic !== undefined && !topics.includes(topic)) {
    throw parameterError('topic', `it must be one of ${topics.join(', ')}`)
  }
  const given = query.get('partition')
  const partition = given === null ? undefined : parsePartition(given)
  if (given !== null && partition === undefined) {
    throw parameterError('partition', `it must be ${PARTITION_RANGE}`)
  }
  return {
    topic,
    topics,
    partition,
    key: query.get('key') ?? undefined,
  }
}

/** A body of any other type is a record's value; request headers with a prefix are the record's headers. */
function recordOfBody(
  c: Context,
  value: Uint8Array,
  { topic, topics, partition, key }: RecordDefaults,
): ProducerRecord {
  if (topic === undefined)
    throw parameterError('topic', `it is required: one of ${topics.join(', ')}`)
  const encoder = new TextEncoder()
  const headers = Object.entries(c.req.header())
    .filter(([name]) => name.length > HEADER_PREFIX.length && name.startsWith(HEADER_PREFIX))
    .map(([name, text]) => ({ [name.slice(HEADER_PREFIX.length)]: encoder.encode(text) }))
  return { topic, partition, key: key === undefined ? null : encoder.encode(key), value, headers }
}

function decodeUtf8(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    throw invalidRecord('the body is not valid UTF-8')
  }
}

function parameterError(name: string, state: string): KafkaConsumeError {
  return new KafkaConsumeError(
    'INVALID_PARAMETER',
    `Cannot use parameter "${name.slice(0, 40)}": ${state}`,
  )
}
