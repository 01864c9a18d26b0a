/**
 * The bodies of a GET, laid out as parts: texts, and records in whatever form they are. Records are
 * texts, bytes that are encoded already, or runs of a delivery, which its group encodes.
 */
import { concatBytes } from '../../core/bytes.ts'
import { partitionKey, type TopicPartition } from '../../core/topic-partition.ts'
import type { Gap, PartitionState } from '../../port/kafka.ts'
import type { EncodedBatch } from '../../records/encoded-batch.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** A part of a body: text, or its UTF-8. */
export type BodyPart = string | Uint8Array

/** The separators of records, encoded once, since there is one for each record. */
const SEPARATORS: ReadonlyMap<string, Uint8Array> = new Map(
  [',', '\n', ',{'].map((text) => [text, encoder.encode(text)]),
)

/** Records of a batch from `begin` to before `end`. */
export interface Slice {
  readonly batch: EncodedBatch
  readonly begin: number
  readonly end: number
}

/** Records in the list of their partition, as Kong's form has it. */
export interface RecordFields<T> extends TopicPartition {
  /** The JSON of records from their offset on, without the opening brace of the first one. */
  readonly fields: T
}

/** The bytes of each record's JSON. */
export function jsonOfSlices(slices: readonly Slice[]): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (const { batch, begin, end } of slices) {
    for (let i = begin; i < end; i++) parts.push(batch.json(i))
  }
  return parts
}

/** The bytes of each record's fields, for Kong's form. */
export function fieldsOfSlices(slices: readonly Slice[]): RecordFields<Uint8Array>[] {
  const records: RecordFields<Uint8Array>[] = []
  for (const { batch, begin, end } of slices) {
    for (let i = begin; i < end; i++) {
      records.push({ ...batch.partitionOf(i), fields: batch.fields(i) })
    }
  }
  return records
}

/** Each record's JSON as text. */
export function textsOf(slice: Slice): string[] {
  return jsonOfSlices([slice]).map((json) => decoder.decode(json))
}

/** One record a line. */
export function linesOf<T>(records: readonly T[]): Array<T | string> {
  return records.flatMap((json) => [json, '\n'])
}

/** `[…]` */
export function arrayBody<T>(records: readonly T[]): Array<T | string> {
  return ['[', ...listed(records), ']']
}

/** `{"records":[…],"cursor":"…"}`, and `gaps` if there are any. */
export function flatBody<T>(
  records: readonly T[],
  cursor: string | undefined,
  gaps: readonly Gap[],
): Array<T | string> {
  let tail = ']'
  if (cursor !== undefined) tail += `,"cursor":${JSON.stringify(cursor)}`
  if (gaps.length > 0) tail += `,"gaps":${JSON.stringify(gaps)}`
  return ['{"records":[', ...listed(records), `${tail}}`]
}

/** All records, with commas between them. */
function listed<T>(records: readonly T[]): Array<T | string> {
  const parts: Array<T | string> = []
  for (const json of records) {
    if (parts.length > 0) parts.push(',')
    parts.push(json)
  }
  return parts
}

/** The texts of Kong's form around the records of each partition. */
interface KongTexts {
  /** The text before the records of each partition, by the index of its state. */
  readonly heads: readonly string[]
  /** The index of each partition's state. */
  readonly indexes: ReadonlyMap<string, number>
  readonly end: string
}

/** Texts by the states that they show: a member of a group has the same ones from read to read. */
const kongTexts = new WeakMap<readonly PartitionState[], KongTexts>()

/** Kong's form: by topic, then by partition. */
export function kongBody<T>(
  records: ReadonlyArray<RecordFields<T>>,
  states: readonly PartitionState[],
): Array<T | string> {
  const texts = kongTexts.get(states) ?? makeKongTexts(states)
  kongTexts.set(states, texts)
  const lists = new Map<number, T[]>()
  for (const record of records) {
    const index = texts.indexes.get(partitionKey(record)) as number
    const list = lists.get(index)
    if (list) list.push(record.fields)
    else lists.set(index, [record.fields])
  }
  const parts: Array<T | string> = []
  let text = ''
  texts.heads.forEach((head, index) => {
    text += head
    let separator = '{'
    for (const fields of lists.get(index) ?? []) {
      parts.push(text + separator, fields)
      text = ''
      separator = ',{'
    }
    text += ']}'
  })
  parts.push(text + texts.end)
  return parts
}

function makeKongTexts(states: readonly PartitionState[]): KongTexts {
  const indexes = new Map<string, number>()
  let topic: string | undefined
  const heads = states.map((state, index) => {
    indexes.set(partitionKey(state), index)
    let head: string
    if (state.topic === topic) head = ','
    else head = `${topic === undefined ? '{' : '}},'}${JSON.stringify(state.topic)}:{"partitions":{`
    topic = state.topic
    return `${head}"${state.partition}":{"errcode":0,"high_watermark":${state.highWatermark},"last_stable_offset":${state.lastStableOffset},"aborted_transactions":[],"records":[`
  })
  return { heads, indexes, end: topic === undefined ? '{}' : '}}}' }
}

/** The bytes of all parts, one after another. */
export function joinParts(parts: readonly BodyPart[]): Uint8Array<ArrayBuffer> {
  // Texts alone are encoded at once, which is the quickest by far.
  if (parts.every((part) => typeof part === 'string')) return encoder.encode(parts.join(''))
  return concatBytes(
    parts.map((part) =>
      typeof part === 'string' ? (SEPARATORS.get(part) ?? encoder.encode(part)) : part,
    ),
  )
}
