import { concatBytes } from '../core/bytes.ts'
import type { TopicPartition } from '../core/topic-partition.ts'
import type { EncodedRecords, EncodingRequest } from '../port/encoding.ts'
import { type BatchForm, BEFORE_FIELDS, encodingSpec, LAYOUTS, SEPARATORS } from './batch-form.ts'
import type { Cursor, PartitionTable } from './cursor.ts'
import { encodeBody, encodePrefix, type MessageDeserializer } from './encode.ts'
import type { Format } from './format.ts'
import type { ProcessedRecord } from './pipeline.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

const LAYOUT = LAYOUTS.events

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c

/**
 * Bytes of objects and array headers that each batch has beside its content, as measured. When
 * every record is a batch of its own, they are most of what the ring buffer holds.
 */
const OVERHEAD_BYTES = 1_500

/**
 * Records of one read, encoded once: the bytes of one record after another in one form, and the place
 * of each part. Subscribers are sent ranges of these bytes. Lines and the JSON of a GET are also made
 * of slices of events, since an event holds its record's JSON whole. Only this class and
 * `batch-form.ts` know the layout of the bytes.
 */
export class EncodedBatch implements EncodedRecords {
  readonly table: PartitionTable
  readonly form: BatchForm
  readonly bytes: Uint8Array
  readonly starts: Uint32Array
  readonly jsonEnds: Uint32Array
  readonly partitions: Uint32Array
  readonly offsets: Float64Array
  readonly from: Float64Array
  readonly to: Float64Array
  readonly timestamp: number

  constructor(table: PartitionTable, encoded: EncodedRecords, form: BatchForm = 'events') {
    this.table = table
    this.form = form
    this.bytes = encoded.bytes
    this.starts = encoded.starts
    this.jsonEnds = encoded.jsonEnds
    this.partitions = encoded.partitions
    this.offsets = encoded.offsets
    this.from = encoded.from
    this.to = encoded.to
    this.timestamp = encoded.timestamp
  }

  /**
   * Encodes records and moves the cursor over them; the ids of the events are the cursor's texts.
   * Records of partitions that the table does not have are left out. Dropped records only move the
   * cursor.
   */
  static encode(
    records: readonly ProcessedRecord[],
    cursor: Cursor,
    deserializer: MessageDeserializer,
  ): EncodedBatch {
    const { table } = cursor
    const from = cursor.vector.slice()
    const texts: string[] = new Array(records.length)
    const suffixes = new Uint32Array(records.length)
    const partitions = new Uint32Array(records.length)
    const offsets = new Float64Array(records.length)
    let lastTopic = ''
    let lastPartition = -1
    let index = -1
    let prefix = ''
    let count = 0
    for (const record of records) {
      if (record.partition !== lastPartition || record.topic !== lastTopic) {
        lastTopic = record.topic
        lastPartition = record.partition
        index = table.indexOf(lastTopic, lastPartition)
        prefix = LAYOUT.beforeJson + encodePrefix(lastTopic, lastPartition)
      }
      if (index < 0) continue
      if (record.dropped) {
        cursor.set(index, record.offset + 1)
        continue
      }
      const suffix = suffixOf(cursor.advance(index, record.offset + 1))
      texts[count] = prefix + encodeBody(record, deserializer) + suffix
      suffixes[count] = suffix.length
      partitions[count] = index
      offsets[count] = record.offset
      count++
    }
    texts.length = count
    return new EncodedBatch(table, {
      ...encodeTexts(texts, suffixes.subarray(0, count)),
      partitions: partitions.subarray(0, count),
      offsets: offsets.subarray(0, count),
      from,
      to: cursor.vector.slice(),
      timestamp: records[0]?.timestamp ?? -1,
    })
  }

  /**
   * Asks a consumer for records in a form: the bytes of events are those that {@link encode} would
   * make. The spec is cached by table.
   */
  static encodingRequest(
    { table, vector }: Cursor,
    deserializer: MessageDeserializer,
    form: BatchForm = 'events',
  ): EncodingRequest {
    const spec = encodingSpec(table, deserializer, form)
    return { spec, from: vector.slice() }
  }

  /** The number of records. */
  get length(): number {
    return this.offsets.length
  }

  /** Bytes of memory that the batch holds. */
  get heldBytes(): number {
    return OVERHEAD_BYTES + this.bytes.length + this.length * 20 + this.from.length * 16
  }

  /** The partition of a record. */
  partitionOf(index: number): TopicPartition {
    return this.table.partitions[this.partitions[index] as number] as TopicPartition
  }

  /** The JSON of a record. */
  json(index: number): Uint8Array {
    if (this.form !== 'fields') return this.#content(index)
    const { topic, partition } = this.partitionOf(index)
    return concatBytes([encoder.encode(encodePrefix(topic, partition)), this.fields(index)])
  }

  /** A record's JSON from its offset on, without the opening brace, for a list by partition. */
  fields(index: number): Uint8Array {
    return this.#content(index).subarray(this.#prefixLength(index))
  }

  /** A record's JSON from its key on, without the opening brace. */
  content(index: number): Uint8Array {
    return this.bytes.subarray(this.#keyStart(index), this.jsonEnds[index])
  }

  /** The timestamp of a record, in milliseconds since 1970; -1 where it has none. */
  timestampOf(index: number): number {
    const begin = this.#timestampStart(index)
    return Number(decoder.decode(this.bytes.subarray(begin, this.bytes.indexOf(COMMA, begin))))
  }

  /** Bytes of a record's JSON. */
  jsonBytes(index: number): number {
    return (this.jsonEnds[index] as number) - this.#contentStart(index)
  }

  /** Where the timestamp begins, which follows the offset. */
  #timestampStart(index: number): number {
    const offset = this.#contentStart(index) + this.#prefixLength(index) + '"offset":'.length
    return this.bytes.indexOf(COMMA, offset) + ',"timestamp":'.length
  }

  /** Where the field of the key begins, which follows the timestamp. */
  #keyStart(index: number): number {
    let at = this.#timestampStart(index)
    while (this.bytes[at] !== COMMA) at++
    return at + 1
  }

  /** A key that is a string of JSON without escapes; undefined for other keys. */
  plainKey(index: number): string | undefined {
    const { bytes } = this
    let at = this.#keyStart(index) + '"key":'.length
    if (bytes[at] !== QUOTE) return undefined
    const begin = at + 1
    for (at = begin; bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) return undefined
    return decoder.decode(bytes.subarray(begin, at))
  }

  /** Bytes before a record's offset. */
  #prefixLength(index: number): number {
    if (this.form === 'fields') return BEFORE_FIELDS.length
    let lengths = prefixLengths.get(this.table)
    if (!lengths) {
      const { partitions } = this.table
      lengths = partitions.map(({ topic, partition }) => encodePrefix(topic, partition).length)
      prefixLengths.set(this.table, lengths)
    }
    return lengths[this.partitions[index] as number] as number
  }

  /** The JSON of a record, whole or its fields only, as it stands between the texts of the layout. */
  #content(index: number): Uint8Array {
    return this.bytes.subarray(this.#contentStart(index), this.jsonEnds[index])
  }

  #contentStart(index: number): number {
    return (this.starts[index] as number) + LAYOUTS[this.form].beforeJson.length
  }

  /** The cursor after a record, as text. Only events have cursors. */
  id(index: number): string {
    const begin = (this.jsonEnds[index] as number) + LAYOUT.beforeCursor.length
    const end = (this.starts[index + 1] as number) - LAYOUT.afterCursor.length
    return decoder.decode(this.bytes.subarray(begin, end))
  }

  /** Records from `begin` to before `end`, separated as the form of the batch has it. Not of events. */
  run(begin: number, end: number): Uint8Array {
    return this.bytes.subarray(this.starts[begin], this.jsonEnds[end - 1])
  }

  /** Events, or records in another form, from `begin` to before `end`. The whole batch is one shared Uint8Array. */
  events(begin: number, end: number): Uint8Array {
    const from = this.starts[begin] as number
    const to = this.starts[end] as number
    return from === 0 && to === this.bytes.length ? this.bytes : this.bytes.subarray(from, to)
  }

  /** Bytes of the events, or of records in another form, from `begin` to before `end`. */
  eventBytes(begin: number, end: number): number {
    return (this.starts[end] as number) - (this.starts[begin] as number)
  }

  /** These records with their ids, in another format. */
  reformat(format: Format): EncodedBatch {
    const { bytes, starts, jsonEnds } = this
    const suffixes = new Uint32Array(this.length)
    const texts: string[] = new Array(this.length)
    const { beforeJson } = LAYOUTS[this.form]
    for (let i = 0; i < this.length; i++) {
      const end = jsonEnds[i] as number
      const suffix = decoder.decode(bytes.subarray(end, starts[i + 1]))
      texts[i] = beforeJson + format(decoder.decode(this.json(i))) + suffix
      suffixes[i] = suffix.length
    }
    const form = this.form === 'fields' ? 'list' : this.form
    return new EncodedBatch(this.table, { ...this, ...encodeTexts(texts, suffixes) }, form)
  }

  /**
   * Some records of the batch, with the ids that they have: the positions of a subscriber that has seen
   * all of the batch. Neighbours share the bytes of the batch, others are copied.
   *
   * @param indexes In ascending order, at least one.
   */
  pick(indexes: readonly number[]): EncodedBatch {
    const first = indexes[0] as number
    const count = indexes.length
    if (count === this.length) return this
    const end = (indexes[count - 1] as number) + 1
    const areNeighbours = end - first === count
    const length = indexes.reduce((sum, index) => sum + this.eventBytes(index, index + 1), 0)
    const bytes = areNeighbours ? this.events(first, end) : new Uint8Array(length)
    const starts = new Uint32Array(count + 1)
    const jsonEnds = new Uint32Array(count)
    indexes.forEach((index, k) => {
      const start = this.starts[index] as number
      const at = starts[k] as number
      if (!areNeighbours) bytes.set(this.events(index, index + 1), at)
      jsonEnds[k] = at + (this.jsonEnds[index] as number) - start
      starts[k + 1] = at + this.eventBytes(index, index + 1)
    })
    const partitions = Uint32Array.from(indexes, (index) => this.partitions[index] as number)
    const offsets = Float64Array.from(indexes, (index) => this.offsets[index] as number)
    const { table, from, to, timestamp } = this
    const picked = { bytes, starts, jsonEnds, partitions, offsets, from, to, timestamp }
    return new EncodedBatch(table, picked, this.form)
  }

  /**
   * The records of the batch, or of a part of it, that one subscriber is to get, with the ids of that
   * subscriber's cursor: for cursors that are ahead of the batch in some partitions, and for filters.
   * Moves the cursor over all records of the part, whether they pass or not.
   *
   * @param begin Index of the first record of the part.
   * @param wanted Whether a record passes. Absent: all records that are not below the cursor pass.
   * @param end Index after the last record of the part.
   */
  select(
    begin: number,
    cursor: Cursor,
    wanted: (index: number) => boolean = () => true,
    end = this.length,
  ): EncodedBatch {
    const from = cursor.vector.slice()
    const picked: Uint32Array = new Uint32Array(end - begin)
    const suffixes: Uint8Array[] = []
    let count = 0
    let length = 0
    for (let i = begin; i < end; i++) {
      const index = this.partitions[i] as number
      const offset = this.offsets[i] as number
      if (offset < (cursor.vector[index] as number)) continue
      if (!wanted(i)) {
        cursor.set(index, offset + 1)
        continue
      }
      const suffix = this.#suffixAfter(cursor, index, offset)
      suffixes.push(suffix)
      length += (this.jsonEnds[i] as number) - (this.starts[i] as number) + suffix.length
      picked[count++] = i
    }
    const bytes = new Uint8Array(length)
    const starts = new Uint32Array(count + 1)
    const jsonEnds = new Uint32Array(count)
    const partitions = new Uint32Array(count)
    const offsets = new Float64Array(count)
    let at = 0
    for (let k = 0; k < count; k++) {
      const i = picked[k] as number
      const suffix = suffixes[k] as Uint8Array
      const head = this.bytes.subarray(this.starts[i] as number, this.jsonEnds[i] as number)
      bytes.set(head, at)
      at += head.length
      jsonEnds[k] = at
      bytes.set(suffix, at)
      at += suffix.length
      starts[k + 1] = at
      partitions[k] = this.partitions[i] as number
      offsets[k] = this.offsets[i] as number
    }
    const { table, timestamp } = this
    const to = cursor.vector.slice()
    const selected = { bytes, starts, jsonEnds, partitions, offsets, from, to, timestamp }
    return new EncodedBatch(table, selected, this.form)
  }

  /** Moves a cursor over a record, and returns the text after the record's JSON. */
  #suffixAfter(cursor: Cursor, index: number, offset: number): Uint8Array {
    if (this.form === 'events') return encoder.encode(suffixOf(cursor.advance(index, offset + 1)))
    cursor.set(index, offset + 1)
    return SEPARATORS[this.form]
  }
}

const prefixLengths = new WeakMap<PartitionTable, readonly number[]>()

/** The text after a record's JSON. */
function suffixOf(id: string): string {
  return LAYOUT.beforeCursor + id + LAYOUT.afterCursor
}

/** @param suffixes Characters of each event after its JSON, all ASCII. */
function encodeTexts(
  events: readonly string[],
  suffixes: Uint32Array,
): Pick<EncodedRecords, 'bytes' | 'starts' | 'jsonEnds'> {
  const text = events.join('')
  const bytes = encoder.encode(text)
  const starts = new Uint32Array(events.length + 1)
  const jsonEnds = new Uint32Array(events.length)
  // In ASCII a character is a byte, and no event need be measured.
  const isAscii = bytes.length === text.length
  let end = 0
  for (let i = 0; i < events.length; i++) {
    const event = events[i] as string
    end += isAscii ? event.length : utf8Length(event)
    starts[i + 1] = end
    jsonEnds[i] = end - (suffixes[i] as number)
  }
  return { bytes, starts, jsonEnds }
}

/** Bytes of a well-formed string in UTF-8. */
function utf8Length(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    // A surrogate pair is two units and four bytes: each of its halves adds one.
    length += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2
  }
  return length
}
