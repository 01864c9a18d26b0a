/** Records of batches as filters look at them: parsed once for all filters, and for the newest batches only. */

import type { ConsumedRecord } from './consumed-record.ts'
import type { EncodedBatch } from './encoded-batch.ts'
import { parseExact } from './exact-json.ts'
import { fieldTexts, isTooDeep } from './json-fields.ts'

/** Bytes of the batches whose records are kept parsed, besides those of the newest one. */
const KEPT_BYTES = 8 * 1024 * 1024

/** A record's fields in the form that clients get. */
export interface RecordView {
  /** Whole numbers that stand for themselves are `bigint`; those within JSON only where they must. */
  readonly fields: Readonly<Record<keyof typeof FIELDS, unknown>>
  /** Characters of its JSON. */
  readonly length: number
  /** A field's text parsed as JSON; undefined when the text is not JSON. */
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
 * The records of one batch, and what filters have found out about them. A subscriber takes batches
 * soon after one another with all others, so that only a few batches are of interest at a time.
 */
export interface BatchViews {
  at(index: number): RecordView
  /** A key as clients name it: the text that it is, or its JSON where a schema registry made it. */
  keyText(index: number): string | null
  /** Whether a record passes a test. Subscribers with one test share its result. */
  passes(test: RecordTest, index: number): boolean
}

/** A condition on a record. */
export interface RecordTest {
  matches(view: RecordView): boolean
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const kept = new Map<EncodedBatch, Views>()
let keptBytes = 0

/** Overflow policy: the batch that was asked for first goes; its records would be parsed again. */
export function viewsOf(batch: EncodedBatch): BatchViews {
  const found = kept.get(batch)
  if (found) return found
  const views = new Views(batch)
  kept.set(batch, views)
  keptBytes += batch.bytes.length
  for (const oldest of kept.keys()) {
    if (keptBytes <= KEPT_BYTES || oldest === batch) break
    kept.delete(oldest)
    keptBytes -= oldest.bytes.length
  }
  return views
}

const UNKNOWN = 0
const NO = 1
const YES = 2

class Views implements BatchViews {
  readonly #batch: EncodedBatch
  readonly #records: Array<RecordView | undefined>
  readonly #answers = new Map<RecordTest, Uint8Array>()

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
    let answers = this.#answers.get(test)
    if (!answers) {
      answers = new Uint8Array(this.#records.length)
      this.#answers.set(test, answers)
    }
    if (answers[index] === UNKNOWN) answers[index] = test.matches(this.at(index)) ? YES : NO
    return answers[index] === YES
  }

  #parse(index: number): RecordView {
    const text = this.#textOf(index)
    return new View(isTooDeep(text) ? parsedByField(text) : parsedRecord(text), text.length)
  }

  #textOf(index: number): string {
    return decoder.decode(this.#batch.json(index))
  }
}

class View implements RecordView {
  readonly fields: RecordView['fields']
  readonly length: number
  readonly #parsed = new Map<'key' | 'value', unknown>()

  constructor(record: ConsumedRecord, length: number) {
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
  }

  jsonOf(field: 'key' | 'value'): unknown {
    const given = this.fields[field]
    if (typeof given !== 'string') return given
    if (!this.#parsed.has(field)) this.#parsed.set(field, parsedOrUndefined(given))
    return this.#parsed.get(field)
  }
}

function parsedRecord(text: string): ConsumedRecord {
  const record = parseExact(text)
  return (record instanceof Map ? Object.fromEntries(record) : record) as ConsumedRecord
}

/** A record with a field that is nested too deep: the field is left out, so that it never matches. */
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
