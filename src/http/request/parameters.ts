/** Parses the query of a request. Unknown parameters are errors. */
import { KafkaConsumeError } from '../../core/errors.ts'
import { PARTITION_RANGE, parsePartition } from '../../core/topic-partition.ts'
import type { FixedPosition, Position } from '../../feed/position.ts'
import { type ResolvedOptions, STREAM_FORMATS } from '../../options/consume-options.ts'
import type { RecordLimits } from '../../port/kafka.ts'
import { parseCursor } from '../../records/cursor.ts'
import { expressionOf } from '../../records/expression.ts'
import type { RequestedFilters } from '../../records/filter.ts'
import { customFormat, FORMATS, type Format } from '../../records/format.ts'
import { parseStart } from './start-position.ts'

const MIB = 1024 * 1024
/** The most records of one answer, and of the newest records that a stream begins with. */
export const MAX_RECORDS = 10_000
/** The most bytes that the records of one answer may be limited to. */
export const MAX_BYTES = 16 * MIB

/** The formats that the query can name. */
export type FormatName = 'kong' | (typeof STREAM_FORMATS)[number]

/** A parsed GET of mode `http-get`. */
export interface ReadPlan {
  /** Undefined: read as the consumer group. */
  readonly position: Position | undefined
  /** Undefined: reading has no end. */
  readonly end: FixedPosition | undefined
  /** Undefined: records come as Kafka gives them, one partition after another. */
  readonly order: 'time' | undefined
  readonly limits: RecordLimits
  readonly format: FormatName | undefined
  /** Undefined: all records. */
  readonly wanted: RequestedFilters | undefined
  /** The version of topics and route that the address of a page was made with. */
  readonly version: string | undefined
}

/** A parsed GET of a stream. */
export interface StreamPlan {
  readonly position: Position
  /** Undefined: the stream has no end. */
  readonly end: FixedPosition | undefined
  readonly format: FormatName | undefined
  /** Undefined: all records. */
  readonly wanted: RequestedFilters | undefined
}

/** A parsed request for a WebSocket: from a position, or as the group with acknowledgements. */
export type SocketPlan =
  | (StreamPlan & { readonly acks: false })
  | {
      readonly acks: true
      readonly maxUnacked: number
      readonly wanted: RequestedFilters | undefined
    }

/** The named filters of a route: expressions by name. */
export type NamedFilters = Readonly<Record<string, string>>

const FILTERS = ['topic', 'partition', 'key', 'filter']
/** Parameters of a GET of mode `http-get`. */
export const READ_NAMES = [
  'format',
  'max_records',
  'max_bytes',
  'timeout',
  'cursor',
  'start',
  'end',
  'order',
  'version',
  ...FILTERS,
]
/** Parameters of which a request may have several. */
const REPEATABLE = ['topic', 'partition', 'key']
const POSITION_NAMES = ['start', 'cursor', 'last_event_id']
/** Parameters of a stream. */
export const STREAM_NAMES = ['format', ...POSITION_NAMES, 'lastEventId', 'end', ...FILTERS]
const PLAIN_SOCKET_NAMES = ['acks', 'format', ...POSITION_NAMES, 'end', ...FILTERS]
const ACK_SOCKET_NAMES = ['acks', 'max_unacked', ...FILTERS]
/** Parameters of a WebSocket, with acknowledgements or without. */
export const SOCKET_NAMES = [...new Set([...PLAIN_SOCKET_NAMES, ...ACK_SOCKET_NAMES])]

/**
 * @param query The request's query.
 * @param topics The route's topics.
 * @param filters The route's named filters.
 * @throws KafkaConsumeError INVALID_PARAMETER or INVALID_CURSOR, which names the parameter and the allowed values.
 */
export function parseRead(
  query: URLSearchParams,
  topics: readonly string[],
  filters: NamedFilters = {},
): ReadPlan {
  const parameters = new Parameters(query, READ_NAMES)
  const limits = {
    maxRecords: parameters.whole('max_records', 1, MAX_RECORDS, 500),
    maxBytes: parameters.whole('max_bytes', 1, MAX_BYTES, MIB),
    timeout: parameters.whole('timeout', 0, 60_000, 1_000),
  }
  const position = parsePosition(parameters, ['cursor', 'start'])
  const end = parseEnd(parameters)
  const order = parseOrder(parameters)
  for (const [name, given] of Object.entries({ end, order })) {
    if (given && !position) throw invalid(name, 'it needs a position to read from: start or cursor')
  }
  return {
    ...(position && 'newest' in position
      ? newestPage(position.newest.records, end, limits)
      : { position, end }),
    order,
    limits,
    format: parseFormat(parameters, ['kong', ...STREAM_FORMATS]),
    wanted: parseFilters(parameters, topics, filters),
    version: parseVersion(parameters),
  }
}

function parseOrder(parameters: Parameters): 'time' | undefined {
  const order = parameters.one('order')
  if (order === undefined || order === 'time') return order
  throw invalid('order', 'it must be "time"')
}

function parseVersion(parameters: Parameters): string | undefined {
  const version = parameters.one('version')
  if (version === undefined || /^[\w-]{1,64}$/.test(version)) return version
  throw invalid('version', 'it must be that of an earlier answer: letters, digits, "-" and "_"')
}

/**
 * @param lastEventId The request's `Last-Event-ID`, which an `EventSource` sends when it reconnects.
 * It takes precedence over the query, which does not change over reconnects.
 * @throws KafkaConsumeError INVALID_PARAMETER or INVALID_CURSOR
 */
export function parseStream(
  query: URLSearchParams,
  lastEventId: string | undefined,
  topics: readonly string[],
  filters: NamedFilters = {},
): StreamPlan {
  const parameters = new Parameters(query, STREAM_NAMES)
  const plan = streamPlan(parameters, topics, filters)
  // Clients that open a new stream by themselves append `lastEventId` to the URL that they were
  // given, with its `start`. Within that stream the header is newer.
  const [parameter, id] = lastEventId
    ? ['Last-Event-ID', lastEventId]
    : ['lastEventId', parameters.one('lastEventId')]
  if (!id) return plan
  return { ...plan, position: { cursor: parseCursor(id, parameter), parameter } }
}

/** @throws KafkaConsumeError INVALID_PARAMETER or INVALID_CURSOR */
export function parseSocket(
  query: URLSearchParams,
  topics: readonly string[],
  filters: NamedFilters = {},
): SocketPlan {
  const acks = query.get('acks') ?? 'false'
  if (acks !== 'true' && acks !== 'false') throw invalid('acks', 'it must be "true" or "false"')
  if (acks === 'false') {
    return {
      acks: false,
      ...streamPlan(new Parameters(query, PLAIN_SOCKET_NAMES), topics, filters),
    }
  }
  const parameters = new Parameters(query, ACK_SOCKET_NAMES)
  return {
    acks: true,
    maxUnacked: parameters.whole('max_unacked', 1, 10_000, 500),
    wanted: parseFilters(parameters, topics, filters),
  }
}

function streamPlan(
  parameters: Parameters,
  topics: readonly string[],
  filters: NamedFilters,
): StreamPlan {
  const position = parsePosition(parameters, ['last_event_id', 'cursor', 'start'])
  return {
    position: position ?? { start: 'latest' },
    end: parseEnd(parameters),
    format: parseFormat(parameters, STREAM_FORMATS),
    wanted: parseFilters(parameters, topics, filters),
  }
}

function parseFormat(parameters: Parameters, names: readonly FormatName[]): FormatName | undefined {
  const format = parameters.one('format')
  const found = names.find((name) => name === format)
  if (format !== undefined && !found) {
    throw invalid('format', `it must be ${names.map((name) => `"${name}"`).join(' or ')}`)
  }
  return found
}

function parsePosition(parameters: Parameters, names: readonly string[]): Position | undefined {
  const given = names.filter((name) => parameters.one(name) !== undefined)
  const [name, other] = given
  if (name === undefined) return undefined
  if (other !== undefined) throw invalid(other, `it cannot be given together with ${name}`)
  const text = parameters.one(name) as string
  if (name !== 'start') return { cursor: parseCursor(text, name), parameter: name }
  const start = parseNewest(text) ?? fixedStart(text)
  if (start !== undefined) return start
  throw invalid(
    'start',
    `it must be ${START_FORMS}, or -1 to -${MAX_RECORDS} for the newest records`,
  )
}

/** The forms of a start that an end may have, too. */
const START_FORMS =
  '"earliest", "latest", an ISO 8601 time such as 2026-01-31T09:30:00Z, a duration back from now such as -PT10M or -10m'

function parseEnd(parameters: Parameters): FixedPosition | undefined {
  const text = parameters.one('end')
  if (text === undefined) return undefined
  if (/^\s*[[~]|=/.test(text)) return { cursor: parseCursor(text, 'end'), parameter: 'end' }
  const end = fixedStart(text)
  if (end) return end
  throw invalid('end', `it must be ${START_FORMS}, or a cursor`)
}

function fixedStart(text: string): FixedPosition | undefined {
  const start = parseStart(text)
  return start === undefined ? undefined : { start }
}

/** `-100`: the newest 100 records. */
function parseNewest(text: string): Position | undefined {
  const records = /^-[1-9]\d{0,4}$/.test(text) ? -Number(text) : Infinity
  return records <= MAX_RECORDS ? { newest: { records, bytes: Infinity } } : undefined
}

/** The newest records, up to an end, that fit into one answer. */
function newestPage(
  records: number,
  end: FixedPosition | undefined,
  { maxRecords, maxBytes }: RecordLimits,
): Pick<ReadPlan, 'position' | 'end'> {
  return {
    position: { newest: { records: Math.min(records, maxRecords), bytes: maxBytes } },
    end: end ?? { start: 'latest' },
  }
}

function parseFilters(
  parameters: Parameters,
  topics: readonly string[],
  named: NamedFilters,
): RequestedFilters | undefined {
  if (!parameters.hasAny(FILTERS)) return undefined
  const wanted = parameters.all('topic')
  for (const topic of wanted) {
    if (!topics.includes(topic)) {
      throw invalid('topic', `"${clip(topic)}" is not one of ${topics.join(', ')}`)
    }
  }
  const partitions = parameters.all('partition').map((text) => {
    const partition = parsePartition(text)
    if (partition === undefined) throw invalid('partition', `it must be ${PARTITION_RANGE}`)
    return partition
  })
  const filter = expressionIn(parameters.one('filter'), named)
  if (filter !== undefined) expressionOf(filter)
  const filters = filter === undefined ? [] : [filter]
  return { topics: wanted, partitions, keys: parameters.all('key'), filters }
}

/** The expression of a filter, which may be named: `@big`. No expression begins with `@`. */
function expressionIn(text: string | undefined, named: NamedFilters): string | undefined {
  if (!text?.startsWith('@')) return text
  const name = text.slice(1)
  if (Object.hasOwn(named, name)) return named[name]
  const names = Object.keys(named).map((each) => `@${each}`)
  const known = names.length > 0 ? `this route has ${names.join(', ')}` : 'this route has none'
  throw invalid('filter', `there is no named filter "@${clip(name)}"; ${known}`)
}

/** The layout of an answer's records, and the format of each. */
interface RecordForm {
  /** `array`: an array of formatted records. */
  readonly list: 'kong' | 'flat' | 'array'
  /** Undefined: records are sent whole. */
  readonly format: Format | undefined
}

/**
 * @param asked The format that the query names.
 * @throws KafkaConsumeError INVALID_PARAMETER when the route has a format of its own, because clients
 *   must not get what that format leaves out.
 */
export function chooseFormat(asked: FormatName | undefined, options: ResolvedOptions): RecordForm {
  if (options.format) {
    if (asked === undefined) return { list: 'array', format: customFormat(options.format) }
    throw new KafkaConsumeError(
      'INVALID_PARAMETER',
      'Cannot use parameter "format": this route has a format of its own',
    )
  }
  const name = asked ?? options.responseFormat
  if (name === 'kong') return { list: 'kong', format: undefined }
  if (name === 'records') return { list: 'flat', format: undefined }
  return { list: 'array', format: FORMATS[name] }
}

class Parameters {
  readonly #query: URLSearchParams

  /** @throws KafkaConsumeError INVALID_PARAMETER for one that is unknown, or given more often than once. */
  constructor(query: URLSearchParams, known: readonly string[]) {
    this.#query = query
    for (const name of query.keys()) {
      if (!known.includes(name)) {
        throw invalid(clip(name), `it is unknown; the parameters here are ${known.join(', ')}`)
      }
      if (!REPEATABLE.includes(name) && query.getAll(name).length > 1) {
        throw invalid(name, 'it may be given only once')
      }
    }
  }

  one(name: string): string | undefined {
    return this.#query.get(name) ?? undefined
  }

  hasAny(names: readonly string[]): boolean {
    return names.some((name) => this.#query.has(name))
  }

  all(name: string): string[] {
    return this.#query.getAll(name)
  }

  whole(name: string, min: number, max: number, fallback: number): number {
    const text = this.one(name)
    if (text === undefined) return fallback
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw invalid(name, `it must be a whole number from ${min} to ${max}`)
  }
}

function invalid(name: string, state: string): KafkaConsumeError {
  return new KafkaConsumeError('INVALID_PARAMETER', `Cannot use parameter "${name}": ${state}`)
}

function clip(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text
}
