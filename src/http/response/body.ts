/**
 * The bodies of a GET, laid out as parts: texts, and records in whatever form they are. Records are
 * texts, bytes that are encoded already, or runs of a delivery, which its group encodes.
 */
import type { Context } from 'hono'
import { concatBytes } from '../../core/bytes.ts'
import { partitionKey, type TopicPartition } from '../../core/topic-partition.ts'
import type { ResolvedOptions } from '../../options/consume-options.ts'
import type { DeliveredRun, DeliveryLayout, RecordTexts, RunText } from '../../port/encoding.ts'
import type { Delivery, Gap, PartitionState } from '../../port/kafka.ts'
import type { BatchForm } from '../../records/batch-form.ts'
import { prefixesInTurn } from '../../records/encode.ts'
import type { EncodedBatch } from '../../records/encoded-batch.ts'
import { FORMATS, type Format } from '../../records/format.ts'
import { formatSlice } from '../../records/format-batch.ts'
import { type Compressed, compressAnswer, MIN_COMPRESSED_BYTES } from './compress.ts'

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

/**
 * The JSON of records, to be separated as a form has it: of each record, or of all records of a batch
 * of that form at once.
 */
export function jsonOfSlices(slices: readonly Slice[], form: 'lines' | 'list'): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (const { batch, begin, end } of slices) {
    if (batch.form === form) parts.push(batch.run(begin, end))
    else for (let i = begin; i < end; i++) parts.push(batch.json(i))
  }
  return parts
}

/** The fields of records for Kong's form: of each record, or of neighbours of one partition at once. */
function fieldsOfSlices(slices: readonly Slice[]): RecordFields<Uint8Array>[] {
  const records: RecordFields<Uint8Array>[] = []
  for (const { batch, begin, end } of slices) {
    for (let i = begin, next = i; i < end; i = next) {
      next = batch.form === 'fields' ? endOfPartition(batch, i, end) : i + 1
      const fields = next === i + 1 ? batch.fields(i) : batch.run(i, next).subarray(1)
      records.push({ ...batch.partitionOf(i), fields })
    }
  }
  return records
}

/** The index after the last neighbour of a record in its partition, at most `end`. */
function endOfPartition({ partitions }: EncodedBatch, index: number, end: number): number {
  let next = index + 1
  while (next < end && partitions[next] === partitions[index]) next++
  return next
}

/** Each record's JSON as text. */
export function textsOf({ batch, begin, end }: Slice): string[] {
  const texts: string[] = []
  for (let i = begin; i < end; i++) texts.push(decoder.decode(batch.json(i)))
  return texts
}

/** One record a line. */
export function linesOf<T>(records: readonly T[]): Array<T | string> {
  return records.flatMap((json) => [json, '\n'])
}

/** `[…]` */
function arrayBody<T>(records: readonly T[]): Array<T | string> {
  return ['[', ...listed(records), ']']
}

/** Where a read from a position has come to. */
export interface ReadProgress {
  /** Where to go on. */
  readonly cursor: string
  /** Whether nothing follows before the end that the client gave. */
  readonly hasEnded: boolean
}

/** `{"records":[…],"cursor":"…"}`, with `ended` at the end, and `gaps` if there are any. */
function flatBody<T>(
  records: readonly T[],
  progress: ReadProgress | undefined,
  gaps: readonly Gap[],
): Array<T | string> {
  let tail = ']'
  if (progress) tail += `,"cursor":${JSON.stringify(progress.cursor)}`
  if (progress?.hasEnded) tail += ',"ended":true'
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
  /** The whole answer as it is without records: one text, of which answers have parts. */
  readonly empty: string
  /** Where the records of each partition belong in that text, by the index of its state. */
  readonly places: readonly number[]
  /** The index of each partition's state. */
  readonly indexes: ReadonlyMap<string, number>
  /** The texts around the records of the partition that was alone in an answer last. */
  last: TextsAround | undefined
}

/** The texts of Kong's form around the records of one partition. */
interface TextsAround extends TopicPartition {
  readonly before: string
  readonly after: string
}

/** Texts by the states that they show: a member of a group has the same ones from read to read. */
const kongTexts = new WeakMap<readonly PartitionState[], KongTexts>()

/** Kong's form: by topic, then by partition. */
function kongBody<T>(
  records: ReadonlyArray<RecordFields<T>>,
  states: readonly PartitionState[],
): Array<T | string> {
  let texts = kongTexts.get(states)
  if (!texts) {
    texts = makeKongTexts(states)
    kongTexts.set(states, texts)
  }
  const [first] = records
  if (first && records.length === 1) {
    const { before, after } = textsAround(texts, first)
    return [before, first.fields, after]
  }
  const lists = new Map<number, T[]>()
  for (const record of records) {
    const index = texts.indexes.get(partitionKey(record)) as number
    const list = lists.get(index)
    if (list) list.push(record.fields)
    else lists.set(index, [record.fields])
  }
  const parts: Array<T | string> = []
  let written = 0
  for (const index of [...lists.keys()].sort((a, b) => a - b)) {
    const place = texts.places[index] as number
    let before = `${texts.empty.slice(written, place)}{`
    for (const fields of lists.get(index) as T[]) {
      parts.push(before, fields)
      before = ',{'
    }
    written = place
  }
  parts.push(texts.empty.slice(written))
  return parts
}

/** Small answers are of one partition, and of the one before most often. */
function textsAround(texts: KongTexts, { topic, partition }: TopicPartition): TextsAround {
  const { last } = texts
  if (last?.partition === partition && last.topic === topic) return last
  const index = texts.indexes.get(partitionKey({ topic, partition })) as number
  const place = texts.places[index] as number
  const before = `${texts.empty.slice(0, place)}{`
  const around = { topic, partition, before, after: texts.empty.slice(place) }
  texts.last = around
  return around
}

function makeKongTexts(states: readonly PartitionState[]): KongTexts {
  const indexes = new Map<string, number>()
  const places: number[] = []
  const texts: string[] = []
  let topic: string | undefined
  let length = 0
  for (const [index, state] of states.entries()) {
    indexes.set(partitionKey(state), index)
    let head: string
    if (state.topic === topic) head = ','
    else head = `${topic === undefined ? '{' : '}},'}${JSON.stringify(state.topic)}:{"partitions":{`
    topic = state.topic
    const text = `${head}"${state.partition}":{"errcode":0,"high_watermark":${state.highWatermark},"last_stable_offset":${state.lastStableOffset},"aborted_transactions":[],"records":[`
    places.push(length + text.length)
    length += text.length + CLOSED_LIST.length
    texts.push(text, CLOSED_LIST)
  }
  const empty = texts.join('') + (topic === undefined ? '{}' : '}}}')
  return { empty, places, indexes, last: undefined }
}

/** The text after the records of a partition. */
const CLOSED_LIST = ']}'

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

/** The layout of the answer and the format of its records. */
export interface AnswerForm {
  readonly list: DeliveryLayout['list']
  readonly format: Format | undefined
}

/** The media type of an answer. */
export function contentTypeOf({ list, format }: AnswerForm): string {
  if (list === 'lines') return 'application/x-ndjson'
  const isEvents = format === FORMATS.cloudevents
  return isEvents ? 'application/cloudevents-batch+json' : 'application/json'
}

/** Whether an answer may be compressed, if it is large enough. */
export function acceptsCoding(
  c: Context,
  { compression }: Pick<ResolvedOptions, 'compression'>,
): boolean {
  return compression !== 'off' && c.req.raw.headers.has('Accept-Encoding')
}

/** A route whose answers are compressed, and which counts those that too many others keep from it. */
interface CompressingRoute {
  readonly options: Pick<ResolvedOptions, 'compression'>
  readonly statistics: { uncompressed: number }
}

/**
 * Compresses a body if its client accepts that, and the route compresses answers.
 *
 * @param signal Ends it when no client waits any more.
 */
export function compressBody(
  c: Context,
  { options, statistics }: CompressingRoute,
  bytes: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
): Compressed | Promise<Compressed> {
  const isCandidate = bytes.length >= MIN_COMPRESSED_BYTES && acceptsCoding(c, options)
  if (!isCandidate) return { bytes, coding: undefined }
  return compressAnswer(c, bytes, signal, () => {
    statistics.uncompressed++
  })
}

/** Sets `Content-Encoding` and `Vary`. */
export function setCodingHeaders(
  c: Context,
  coding: string | undefined,
  { compression }: Pick<ResolvedOptions, 'compression'>,
): void {
  if (compression !== 'off') c.header('Vary', 'Accept-Encoding', { append: true })
  if (coding !== undefined) c.header('Content-Encoding', coding)
}

/**
 * The form of records that are read from Kafka for this answer alone.
 *
 * @param isExamined Whether a filter examines records, whose JSON must then be whole.
 */
export function batchFormOf({ list }: AnswerForm, isExamined: boolean): BatchForm {
  if (list === 'lines') return 'lines'
  return list === 'kong' && !isExamined ? 'fields' : 'list'
}

/** The records of an answer, as parts of its body that its form needs. */
interface Contents<T> {
  /** The JSON of records. */
  json(): readonly T[]
  /** Records by their partition. */
  fields(): ReadonlyArray<RecordFields<T>>
}

export function contentsOfSlices(
  slices: readonly Slice[],
  { list, format }: AnswerForm,
): Contents<Uint8Array> {
  return {
    json: () =>
      jsonOfSlices(
        slices.map((slice) => formatSlice(slice, format)),
        list === 'lines' ? 'lines' : 'list',
      ),
    fields: () => fieldsOfSlices(slices),
  }
}

/**
 * @param states Called only for Kong's form, which has them.
 * @param progress Undefined for a read as the group.
 */
export function layOut<T>(
  { list }: Pick<AnswerForm, 'list'>,
  contents: Contents<T>,
  states: () => readonly PartitionState[],
  progress: ReadProgress | undefined,
  gaps: readonly Gap[],
): Array<T | string> {
  if (list === 'lines') return linesOf(contents.json())
  if (list === 'array') return arrayBody(contents.json())
  if (list === 'flat') return flatBody(contents.json(), progress, gaps)
  return kongBody(contents.fields(), states())
}

/**
 * All records of a delivery.
 *
 * @param layout The one that the poll has named, if the delivery came encoded.
 * @param mayReuseBuffer Whether the bytes, unless they come by a promise, may lie in a buffer that the next call
 * overwrites.
 */
export function bodyOfDelivery(
  delivery: Delivery,
  layout: DeliveryLayout,
  mayReuseBuffer = false,
): Uint8Array | Promise<Uint8Array> {
  if (delivery.body) return delivery.body
  const { content, valuesAreJson } = layout
  return delivery.encode({
    parts: partsOf(delivery, layout),
    content,
    valuesAreJson,
    mayReuseBuffer,
  })
}

function partsOf(delivery: Delivery, { list }: DeliveryLayout): RecordTexts['parts'] {
  const { runs, gaps } = delivery
  const contents = {
    json: () => textsOfRuns(runs, list === 'lines' ? '\n' : ','),
    fields: () => fieldsOfRuns(runs),
  }
  const states = (): readonly PartitionState[] => delivery.partitions
  return layOut({ list }, contents, states, undefined, gaps)
}

/** The JSON of each run. */
function textsOfRuns(runs: readonly DeliveredRun[], separator: string): RunText[] {
  const prefixOf = prefixesInTurn()
  return runs.map((run) => ({ run, prefix: prefixOf(run), separator }))
}

/** Each run by its partition. */
function fieldsOfRuns(runs: readonly DeliveredRun[]): RecordFields<RunText>[] {
  return runs.map((run) => ({
    topic: run.topic,
    partition: run.partition,
    fields: { run, prefix: '', separator: ',{' },
  }))
}

/** Distinguishes the tags of this process from those of others. */
const PROCESS = crypto.randomUUID().slice(0, 8)
let answers = 0

/**
 * Headers of a body that must reach its client as it is written: a stream, an answer whose delivery
 * acks its records, or an answer that is too large to be held twice. Hono's `etag` would read the body
 * to its end before the first byte is sent, and its `compress` would hold bytes back. Both skip an
 * answer that has an `ETag` and `no-transform`.
 *
 * @param caching A further directive of `Cache-Control`.
 */
export function untransformed(caching: 'no-cache' | 'no-store') {
  return {
    'Cache-Control': `${caching}, no-transform`,
    // Each answer has another tag: `etag` would answer 304 to a tag that the client has seen.
    ETag: `W/"${PROCESS}-${answers++}"`,
  }
}
