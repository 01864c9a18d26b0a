/** Records of chunks as filters look at them: parsed once for all filters, and for the newest chunks only. */
import type { Chunk } from '../stream/chunk.ts'
import type { ConsumedRecord } from './consumed.ts'
import { parseExact } from './exact.ts'

/** Bytes of the chunks whose records are kept parsed, besides those of the newest one. */
const KEPT_BYTES = 8 * 1024 * 1024

/** A record's fields as a client sees them. */
export interface RecordView {
  /** Whole numbers that stand for themselves are `bigint`; those within JSON only where they must. */
  readonly fields: Readonly<Record<keyof typeof FIELDS, unknown>>
  /** Bytes of its JSON. */
  readonly bytes: number
  /** A field's text as the JSON that it is; undefined where it is none. */
  jsonOf(field: 'key' | 'value'): unknown
}

/** The fields of a record that filters know, by their types in CEL. */
export const FIELDS = {
  topic: 'string',
  partition: 'int',
  offset: 'int',
  timestamp: 'int',
  key: 'dyn',
  value: 'dyn',
  headers: 'map<string, dyn>',
} as const

/**
 * The records of one chunk, and what filters have found out about them. A subscriber takes chunks
 * soon after one another with all others, so that only a few chunks are of interest at a time.
 */
export interface ChunkViews {
  at(index: number): RecordView
  /** Whether a record passes a test, asked once for all who ask by the same test. */
  passes(test: RecordTest, index: number): boolean
}

/** What can be asked of a record. */
export interface RecordTest {
  matches(view: RecordView): boolean
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const kept = new Map<Chunk, Views>()
let keptBytes = 0

/** Overflow policy: the chunk that was asked for first goes; its records would be parsed again. */
export function viewsOf(chunk: Chunk): ChunkViews {
  const found = kept.get(chunk)
  if (found) return found
  const views = new Views(chunk)
  kept.set(chunk, views)
  keptBytes += chunk.bytes.length
  for (const oldest of kept.keys()) {
    if (keptBytes <= KEPT_BYTES || oldest === chunk) break
    kept.delete(oldest)
    keptBytes -= oldest.bytes.length
  }
  return views
}

const UNKNOWN = 0
const NO = 1
const YES = 2

class Views implements ChunkViews {
  readonly #chunk: Chunk
  readonly #records: Array<RecordView | undefined>
  readonly #answers = new Map<RecordTest, Uint8Array>()

  constructor(chunk: Chunk) {
    this.#chunk = chunk
    this.#records = new Array(chunk.offsets.length)
  }

  at(index: number): RecordView {
    const found = this.#records[index] ?? this.#parse(index)
    this.#records[index] = found
    return found
  }

  passes(test: RecordTest, index: number): boolean {
    let answers = this.#answers.get(test)
    if (!answers) {
      answers = new Uint8Array(this.#records.length)
      this.#answers.set(test, answers)
    }
    if (answers[index] === UNKNOWN) answers[index] = test.matches(this.at(index)) ? YES : NO
    return answers[index] === YES
  }

  #parse(index: number): RecordView {
    const { bytes, json, starts } = this.#chunk
    const begin = json[index] as number
    const end = (starts[index + 1] as number) - 2
    const record = parseExact(decoder.decode(bytes.subarray(begin, end))) as ConsumedRecord
    return new View(record, end - begin)
  }
}

class View implements RecordView {
  readonly fields: RecordView['fields']
  readonly bytes: number
  readonly #parsed = new Map<'key' | 'value', unknown>()

  constructor(record: ConsumedRecord, bytes: number) {
    const { topic, partition, offset, timestamp, key, value, headers } = record
    this.fields = {
      topic,
      partition: BigInt(partition),
      offset: BigInt(offset),
      timestamp: BigInt(timestamp),
      key,
      value,
      headers,
    }
    this.bytes = bytes
  }

  jsonOf(field: 'key' | 'value'): unknown {
    const given = this.fields[field]
    if (typeof given !== 'string') return given
    if (!this.#parsed.has(field)) this.#parsed.set(field, parsedOrUndefined(given))
    return this.#parsed.get(field)
  }
}

function parsedOrUndefined(text: string): unknown {
  try {
    return parseExact(text)
  } catch {
    return undefined
  }
}
