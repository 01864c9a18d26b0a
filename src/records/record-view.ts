/** Records as filters see them: parsed once for all filters, and cached for the newest batches only. */
import type { ConsumedRecord } from './consumed-record.ts'
import type { EncodedBatch } from './encoded-batch.ts'
import { parseExact } from './exact-json.ts'
import { fieldTexts, isTooDeep } from './json-fields.ts'

/** The most bytes of batches whose parsed records are cached, besides the newest batch. */
const MAX_CACHED_BYTES = 8 * 1024 * 1024
/** The most batches whose parsed records are cached: small batches have more beside their bytes. */
const MAX_CACHED_BATCHES = 256
/** The most results of tests that are cached for a batch. */
const MAX_RESULTS = 64 * 1024

/** A record with its fields in the form that clients get. */
export interface RecordView {
  /** Partition, offset and timestamp are `bigint`; integers within JSON only if a double cannot hold them. */
  readonly fields: Readonly<Record<keyof typeof FIELDS, unknown>>
  /** The number of characters of the record's JSON. */
  readonly length: number
  /** A field's text parsed as JSON; undefined when the text is not valid JSON. */
  jsonOf(field: 'key' | 'value'): unknown
  /** A field as a text to search: a text as it is, null as an empty one, and other values as their JSON. */
  textOf(field: 'key' | 'value' | 'headers'): string
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
 * The parsed records of one batch, and the results of filters on them. All subscribers read a batch at
 * about one time, so that only a few batches are in use at a time.
 */
export interface BatchViews {
  at(index: number): RecordView
  /** A key as clients name it: its text, or its JSON if a schema registry deserialized it. */
  keyText(index: number): string | null
  /**
   * Whether a record passes a test. Subscribers with one test share its result.
   *
   * Overflow policy: beyond {@link MAX_RESULTS} the results of further tests are not cached.
   */
  passes(test: RecordTest, index: number): boolean
}

/** A condition on a record. */
export interface RecordTest {
  /**
   * Regular expressions, each of which the JSON of a passing record matches, from the key on. Records
   * that do not match are not parsed.
   */
  readonly required: readonly RegExp[]
  matches(view: RecordView): boolean
}

/** A key as clients name it. Most keys are read without parsing their record. */
export function keyTextOf(batch: EncodedBatch, index: number): string | null {
  return batch.plainKey(index) ?? viewsOf(batch).keyText(index)
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const cached = new Map<EncodedBatch, Views>()
let cachedBytes = 0

/**
 * The parsed records of a batch.
 *
 * Overflow policy: the batch that was cached first is dropped. Its records would be parsed again.
 */
export function viewsOf(batch: EncodedBatch): BatchViews {
  const known = cached.get(batch)
  if (known) return known
  const views = new Views(batch)
  cached.set(batch, views)
  cachedBytes += batch.bytes.length
  for (const oldest of cached.keys()) {
    const isFull = cachedBytes > MAX_CACHED_BYTES || cached.size > MAX_CACHED_BATCHES
    if (!isFull || oldest === batch) break
    cached.delete(oldest)
    cachedBytes -= oldest.bytes.length
  }
  return views
}

const UNKNOWN = 0
const NO = 1
const YES = 2

class Views implements BatchViews {
  readonly #batch: EncodedBatch
  readonly #records: Array<RecordView | undefined>
  /** For each test, a byte for each record: `UNKNOWN`, `NO` or `YES`. */
  readonly #results = new Map<RecordTest, Uint8Array>()
  #content = ''
  #contentIndex = -1

  constructor(batch: EncodedBatch) {
    this.#batch = batch
    this.#records = new Array(batch.length)
  }

  at(index: number): RecordView {
    const found = this.#records[index] ?? this.#parse(index)
    this.#records[index] = found
    return found
  }

  keyText(index: number): string | null {
    const { key } = this.at(index).fields
    if (typeof key === 'string' || key === null) return key
    return fieldTexts(this.#textOf(index)).get('key') as string
  }

  passes(test: RecordTest, index: number): boolean {
    let results = this.#results.get(test)
    if (!results) {
      if ((this.#results.size + 1) * this.#records.length > MAX_RESULTS) {
        return this.#examine(test, index)
      }
      results = new Uint8Array(this.#records.length)
      this.#results.set(test, results)
    }
    if (results[index] === UNKNOWN) results[index] = this.#examine(test, index) ? YES : NO
    return results[index] === YES
  }

  #examine(test: RecordTest, index: number): boolean {
    const { required } = test
    if (required.length > 0) {
      const content = this.#contentOf(index)
      if (!required.every((each) => each.test(content))) return false
    }
    return test.matches(this.at(index))
  }

  /** The JSON of a record from its key on. The last one is cached, since many tests may ask for it. */
  #contentOf(index: number): string {
    if (index !== this.#contentIndex) {
      this.#content = decoder.decode(this.#batch.content(index))
      this.#contentIndex = index
    }
    return this.#content
  }

  #parse(index: number): RecordView {
    const text = this.#textOf(index)
    const record = isTooDeep(text) ? parsedByField(text) : parsedRecord(text)
    return new View(record, text.length, () => this.#textOf(index))
  }

  #textOf(index: number): string {
    return decoder.decode(this.#batch.json(index))
  }
}

class View implements RecordView {
  readonly fields: RecordView['fields']
  readonly length: number
  readonly #parsed = new Map<'key' | 'value', unknown>()
  readonly #json: () => string
  #texts: Map<string, string> | undefined

  /** @param json Gives the record's JSON, which is rarely needed again. */
  constructor(record: ConsumedRecord, length: number, json: () => string) {
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
    this.length = length
    this.#json = json
  }

  jsonOf(field: 'key' | 'value'): unknown {
    const given = this.fields[field]
    if (typeof given !== 'string') return given
    if (!this.#parsed.has(field)) this.#parsed.set(field, parsedOrUndefined(given))
    return this.#parsed.get(field)
  }

  textOf(field: 'key' | 'value' | 'headers'): string {
    const given = this.fields[field]
    if (typeof given === 'string') return given
    if (given === null) return ''
    this.#texts ??= fieldTexts(this.#json())
    return this.#texts.get(field) ?? ''
  }
}

function parsedRecord(text: string): ConsumedRecord {
  const record = parseExact(text)
  return (record instanceof Map ? Object.fromEntries(record) : record) as ConsumedRecord
}

/** Parses a record whose JSON is too deep by field. A field that is too deep is undefined, and never matches. */
function parsedByField(text: string): ConsumedRecord {
  const fields = [...fieldTexts(text)].map(([name, json]) => [name, parsedOrUndefined(json)])
  return Object.fromEntries(fields) as ConsumedRecord
}

function parsedOrUndefined(text: string): unknown {
  try {
    return parseExact(text)
  } catch {
    return undefined
  }
}
