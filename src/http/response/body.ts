/** The bodies of a GET, put together from the bytes of encoded records. */

import { concatBytes } from '../../core/bytes.ts'
import { partitionKey } from '../../core/topic-partition.ts'
import type { Gap, PartitionState } from '../../port/kafka.ts'
import type { EncodedBatch } from '../../records/encoded-batch.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const NEWLINE = encoder.encode('\n')
const COMMA = encoder.encode(',')
const BRACE = encoder.encode('{')

/** Records of a batch from `begin` to before `end`. */
export interface Slice {
  readonly batch: EncodedBatch
  readonly begin: number
  readonly end: number
}

/** Calls back with the bytes of each record's JSON. */
function eachRecord({ batch, begin, end }: Slice, visit: (json: Uint8Array) => void): void {
  for (let i = begin; i < end; i++) visit(batch.json(i))
}

/** Each record's JSON by itself. */
export function textsOf(slice: Slice): string[] {
  const texts: string[] = []
  eachRecord(slice, (json) => texts.push(decoder.decode(json)))
  return texts
}

/** One record a line. */
export function linesOf(slices: readonly Slice[]): Uint8Array {
  const parts: Uint8Array[] = []
  for (const slice of slices) eachRecord(slice, (json) => parts.push(json, NEWLINE))
  return concatBytes(parts)
}

/** `[…]` */
export function arrayBody(slices: readonly Slice[]): Uint8Array {
  return concatBytes([encoder.encode('['), ...listed(slices), encoder.encode(']')])
}

/** `{"records":[…],"cursor":"…"}`, and `gaps` if there are any. */
export function flatBody(
  slices: readonly Slice[],
  cursor: string | undefined,
  gaps: readonly Gap[],
): Uint8Array {
  const parts: Uint8Array[] = [encoder.encode('{"records":['), ...listed(slices)]
  let tail = ']'
  if (cursor !== undefined) tail += `,"cursor":${JSON.stringify(cursor)}`
  if (gaps.length > 0) tail += `,"gaps":${JSON.stringify(gaps)}`
  parts.push(encoder.encode(`${tail}}`))
  return concatBytes(parts)
}

/** All records, with commas between them. */
function listed(slices: readonly Slice[]): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (const slice of slices) {
    eachRecord(slice, (json) => {
      if (parts.length > 0) parts.push(COMMA)
      parts.push(json)
    })
  }
  return parts
}

/** Kong's form: by topic, then by partition. */
export function kongBody(slices: readonly Slice[], states: readonly PartitionState[]): Uint8Array {
  const records = recordsByPartition(slices)
  const parts: Uint8Array[] = []
  let topic: string | undefined
  for (const state of states) {
    let head: string
    if (state.topic === topic) head = ','
    else head = `${topic === undefined ? '{' : '}},'}${JSON.stringify(state.topic)}:{"partitions":{`
    topic = state.topic
    head += `"${state.partition}":{"errcode":0,"high_watermark":${state.highWatermark},"last_stable_offset":${state.lastStableOffset},"aborted_transactions":[],"records":[`
    parts.push(encoder.encode(head))
    parts.push(...(records.get(partitionKey(state)) ?? []))
    parts.push(encoder.encode(']}'))
  }
  parts.push(encoder.encode(topic === undefined ? '{}' : '}}}'))
  return concatBytes(parts)
}

/** The JSON of each record without its first brace, after one of our own; with commas between them. */
function recordsByPartition(slices: readonly Slice[]): ReadonlyMap<string, Uint8Array[]> {
  const records = new Map<string, Uint8Array[]>()
  for (const { batch, begin, end } of slices) {
    for (let i = begin; i < end; i++) {
      const key = partitionKey(batch.partitionOf(i))
      const list = records.get(key) ?? []
      if (list.length > 0) list.push(COMMA)
      list.push(BRACE, batch.fields(i))
      records.set(key, list)
    }
  }
  return records
}
