import type { Context, Handler } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import {
  asKafkaConsumeError,
  describeError,
  KafkaConsumeError,
  shuttingDownError,
} from '../../core/errors.ts'
import type { HistogramState } from '../../core/histogram.ts'
import { registerClosed, registerOpen } from '../../core/hot-reload.ts'
import { PARTITION_RANGE, parsePartition } from '../../core/topic-partition.ts'
import { clusterOptions } from '../../options/connection.ts'
import type { KafkaTopics } from '../../options/option-types.ts'
import {
  type ResolvedProduceOptions,
  resolveProduceOptions,
} from '../../options/produce-options.ts'
import type { KafkaWriterOptions } from '../../options/typed-options.ts'
import type { ProducerRecord, RecordMetadata } from '../../port/kafka.ts'
import type { SchemasByTopic } from '../../records/topic-schemas.ts'
import { urlOf } from '../request/client.ts'
import { readRequestBody } from '../request/request-body.ts'
import { errorResponse } from '../response/error-response.ts'
import type { Connection } from '../route/cluster-registry.ts'
import type { ClusterStats } from '../route/route-stats.ts'
import {
  invalidRecord,
  type RecordDefaults,
  recordsOfJson,
  recordsOfLines,
} from './parse-records.ts'
import type { ProduceHandler } from './typed-records.ts'
import { assertRecordsFit } from './validate-records.ts'
import { type WriteOutcome, WriteStatistics } from './write-statistics.ts'
import type { WriterControls } from './writer-controls.ts'

const HEADER_PREFIX = 'kafka-header-'
/** Parameters of a request that writes. */
export const WRITE_NAMES = ['topic', 'partition', 'key'] as const
const KNOWN_NAMES: readonly string[] = WRITE_NAMES

/** Statistics of a handler of `kafkaProduce`, as they are now or since it was made. */
export interface ProduceStats {
  /** Distinguishes these statistics from those of a handler that reads. */
  readonly mode: 'produce'
  /** The topics that may be written to. */
  readonly topics: readonly string[]
  /** Records that Kafka has confirmed. */
  readonly records: number
  /** Bytes of the confirmed records' keys and values. */
  readonly bytes: number
  /** Requests by their outcome: `OK`, `ABORTED` if the client disconnected, or the code of their first error. */
  readonly outcomes: Readonly<Partial<Record<WriteOutcome, number>>>
  /** Seconds in which Kafka answered for all records of a request. */
  readonly confirmation: HistogramState
  /** The Kafka cluster; `undefined` before the first request. */
  readonly cluster: ClusterStats | undefined
}

/** The Hono handler that `kafkaProduce` returns. */
export interface KafkaProduceHandler<Handle extends Handler = Handler>
  extends WriterControls<ProduceStats> {
  /** Answers a request. Its type tells `hc` of Hono the body, the answers and the errors. */
  (...request: Parameters<Handle>): ReturnType<Handle>
  /** The schemas of topics that have any, by the topics' names. */
  readonly schemas: SchemasByTopic
}

/**
 * Writes posted records to Kafka topics, and answers when Kafka has confirmed them: the mirror of
 * `kafkaConsume` (`docs/writing.md`).
 *
 * @param options See `KafkaProduceOptions`; `bootstrapServers` and `topics` are required.
 * @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaProduce } from 'hono-kafka-consume'
 *
 * const orders = kafkaProduce({ bootstrapServers: 'localhost:9092', topics: ['orders'] })
 * const app = new Hono()
 * app.post('/orders', orders)
 *
 * const response = await app.request('/orders', {
 *   method: 'POST',
 *   headers: { 'content-type': 'application/json' },
 *   body: JSON.stringify({ records: [{ key: 'a' }] }),
 * })
 * if (response.status !== 400) throw new Error('a record without a value is refused before Kafka is asked')
 * await orders.close()
 * ```
 */
export function kafkaProduce<const Topics extends KafkaTopics>(
  options: KafkaWriterOptions<Topics>,
): KafkaProduceHandler<ProduceHandler<Topics>> {
  const resolved = resolveProduceOptions(options)
  const showDetail = resolved.errorHandling.returnErrorMessage
  let connecting: Promise<Connection> | undefined
  let connection: Connection | undefined
  let closed: Promise<void> | undefined
  const statistics = new WriteStatistics()

  const closable = {
    close: () => {
      registerClosed(closable)
      closed ??= (async () => {
        await (await connecting?.catch(() => undefined))?.release()
      })()
      return closed
    },
  }

  const connected = async (): Promise<Connection> => {
    if (closed) {
      throw shuttingDownError('write to Kafka')
    }
    if (!connecting) registerOpen(closable)
    connecting ??= import('../route/cluster-registry.ts').then(({ connect }) =>
      connect(clusterOptions(resolved)),
    )
    connection = await connecting.catch((error) => {
      connecting = undefined
      throw error
    })
    return connection
  }

  const handler: Handler = async (c) => {
    try {
      const records = await readRecords(c, resolved)
      await assertRecordsFit(records, resolved.schemas)
      const { cluster } = await connected()
      const began = performance.now()
      const results = await cluster.producer(resolved.acks).send(records)
      statistics.countRecords(records, results, (performance.now() - began) / 1_000)
      statistics.countRequest(
        results.find((result) => result instanceof KafkaConsumeError)?.code ?? 'OK',
      )
      return answer(c, results, showDetail)
    } catch (error) {
      const isAborted = c.req.raw.signal.aborted
      statistics.countRequest(isAborted ? 'ABORTED' : asKafkaConsumeError(error).code)
      if (isAborted) return new Response(null, { status: 499 })
      return errorResponse(c, error, showDetail, 'POST')
    }
  }

  return Object.assign(handler, {
    start: async () => {
      const { cluster } = await connected()
      await cluster.connected()
      await cluster.assertUsable(resolved.topics, 'write')
    },
    outage: () => connection?.cluster.outage(),
    stats: (): ProduceStats => ({
      mode: 'produce',
      topics: resolved.topics,
      records: statistics.records,
      bytes: statistics.bytes,
      outcomes: statistics.outcomes(),
      confirmation: statistics.confirmation(),
      cluster: connection && {
        name: connection.cluster.name,
        outage: connection.cluster.outage(),
        brokers: connection.cluster.brokers(),
      },
    }),
    close: closable.close,
    schemas: resolved.schemas,
  })
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
  if (c.req.method !== 'POST') {
    throw new KafkaConsumeError(
      'METHOD_NOT_ALLOWED',
      `Cannot answer ${c.req.method}: this route allows POST`,
    )
  }
  const encoding = c.req.header('Content-Encoding') ?? 'identity'
  if (encoding !== 'identity') throw invalidRecord('the body must not be compressed')
  const defaults = defaultsOf(urlOf(c).searchParams, options.topics)
  const body = await readRequestBody(c, { action: 'write records', maxBytes: options.maxBytes })
  const type = c.req.header('Content-Type')?.split(';')[0]?.trim().toLowerCase()
  // A client that wants an empty value says so by a type: none means that there is no value.
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
