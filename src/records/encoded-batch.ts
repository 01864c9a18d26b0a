import type { TopicPartition } from '../core/topic-partition.ts'
import type { FrameLayout, FrameShape, Frames, Framing } from '../port/kafka.ts'
import type { Cursor, PartitionTable } from './cursor.ts'
import { encodeBody, encodePrefix, type MessageDeserializer } from './encode.ts'
import type { Format } from './format.ts'
import type { ProcessedRecord } from './pipeline.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * The layout of a record's frame: an event of an event stream. The `id` comes last, since many
 * clients keep an id as soon as they have read its line: where a connection breaks inside such a
 * frame, they resume at the record before it, whose event was whole.
 *
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
const LAYOUT: FrameLayout = {
  beforeJson: 'data: ',
  beforeCursor: '\nid: ',
  afterCursor: '\n\n',
}
// All of the layout is ASCII: characters are bytes.
const BEFORE_JSON = LAYOUT.beforeJson.length
const BEFORE_CURSOR = LAYOUT.beforeCursor.length
const AFTER_CURSOR = LAYOUT.afterCursor.length

/**
 * Bytes of objects and array headers that each batch has beside its content, as measured. Where
 * every record is a batch of its own, they are most of what the ring holds.
 */
const OVERHEAD_BYTES = 1_500

/**
 * Records of one read, encoded once: the bytes of their event stream frames one after another, and
 * where each part lies. All subscribers are sent ranges of the same bytes; other forms (lines, the
 * JSON of a GET) are made of slices of them, since a frame holds its record's JSON whole. Nothing
 * else knows how the bytes are laid out.
 */
export class EncodedBatch implements Frames {
  readonly table: PartitionTable
  readonly bytes: Uint8Array
  readonly starts: Uint32Array
  readonly jsonEnds: Uint32Array
  readonly partitions: Uint32Array
  readonly offsets: Float64Array
  readonly from: Float64Array
  readonly to: Float64Array
  readonly timestamp: number

  constructor(table: PartitionTable, frames: Frames) {
    this.table = table
    this.bytes = frames.bytes
    this.starts = frames.starts
    this.jsonEnds = frames.jsonEnds
    this.partitions = frames.partitions
    this.offsets = frames.offsets
    this.from = frames.from
    this.to = frames.to
    this.timestamp = frames.timestamp
  }

  /**
   * Encodes records and moves the cursor over them; the ids of the frames are the cursor's texts.
   * Records of partitions that the table does not have are left out; dropped ones only move the
   * cursor.
   */
  static encode(
    records: readonly ProcessedRecord[],
    cursor: Cursor,
    deserializer: MessageDeserializer,
  ): EncodedBatch {
    const { table } = cursor
    const from = cursor.vector.slice()
    const frames: string[] = new Array(records.length)
    const tails = new Uint32Array(records.length)
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
      const tail = tailOf(cursor.advance(index, record.offset + 1))
      frames[count] = prefix + encodeBody(record, deserializer) + tail
      tails[count] = tail.length
      partitions[count] = index
      offsets[count] = record.offset
      count++
    }
    frames.length = count
    return new EncodedBatch(table, {
      ...encodeFrames(frames, tails.subarray(0, count)),
      partitions: partitions.subarray(0, count),
      offsets: offsets.subarray(0, count),
      from,
      to: cursor.vector.slice(),
      timestamp: records[0]?.timestamp ?? -1,
    })
  }

  /** How a reader is to make frames, so that they are those of {@link encode}; cached by table. */
  static framing({ table, vector }: Cursor, deserializer: MessageDeserializer): Framing {
    const ofTable = shapes.get(table) ?? new Map<MessageDeserializer, FrameShape>()
    shapes.set(table, ofTable)
    const shape = ofTable.get(deserializer) ?? shapeOf(table, deserializer)
    ofTable.set(deserializer, shape)
    return { shape, from: vector.slice() }
  }

  /** How many records there are. */
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
    const start = this.starts[index] as number
    return this.bytes.subarray(start + BEFORE_JSON, this.jsonEnds[index])
  }

  /** A record's JSON from its offset on, without the brace: what a list by partition shows. */
  fields(index: number): Uint8Array {
    const { topic, partition } = this.partitionOf(index)
    return this.json(index).subarray(encodePrefix(topic, partition).length)
  }

  /** The cursor after a record, as text. */
  id(index: number): string {
    const begin = (this.jsonEnds[index] as number) + BEFORE_CURSOR
    const end = (this.starts[index + 1] as number) - AFTER_CURSOR
    return decoder.decode(this.bytes.subarray(begin, end))
  }

  /** The frames of records from `begin` to before `end`. All callers get the same object for all. */
  events(begin: number, end: number): Uint8Array {
    const from = this.starts[begin] as number
    const to = this.starts[end] as number
    return from === 0 && to === this.bytes.length ? this.bytes : this.bytes.subarray(from, to)
  }

  /** Bytes of the frames of records from `begin` to before `end`. */
  eventBytes(begin: number, end: number): number {
    return (this.starts[end] as number) - (this.starts[begin] as number)
  }

  /** The same records with the same ids, shown in another format. */
  reformat(format: Format): EncodedBatch {
    const { bytes, starts, jsonEnds } = this
    const tails = new Uint32Array(this.length)
    const frames: string[] = new Array(this.length)
    for (let i = 0; i < this.length; i++) {
      const end = jsonEnds[i] as number
      const tail = decoder.decode(bytes.subarray(end, starts[i + 1]))
      frames[i] = LAYOUT.beforeJson + format(decoder.decode(this.json(i))) + tail
      tails[i] = tail.length
    }
    return new EncodedBatch(this.table, { ...this, ...encodeFrames(frames, tails) })
  }

  /**
   * The records of the batch, or of a part of it, that one reader is to get, with that reader's own
   * ids: for readers whose cursor is ahead of the batch in some partitions, and for filters. Moves
   * the cursor over all of them, wanted or not.
   *
   * @param begin Index of the first record to look at.
   * @param wanted Which records pass; all that are not below the cursor when it is absent.
   * @param end Index after the last record to look at.
   */
  select(
    begin: number,
    cursor: Cursor,
    wanted: (index: number) => boolean = () => true,
    end = this.length,
  ): EncodedBatch {
    const from = cursor.vector.slice()
    const picked: Uint32Array = new Uint32Array(end - begin)
    const tails: Uint8Array[] = []
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
      const tail = encoder.encode(tailOf(cursor.advance(index, offset + 1)))
      tails.push(tail)
      length += (this.jsonEnds[i] as number) - (this.starts[i] as number) + tail.length
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
      const tail = tails[k] as Uint8Array
      const head = this.bytes.subarray(this.starts[i] as number, this.jsonEnds[i] as number)
      bytes.set(head, at)
      at += head.length
      jsonEnds[k] = at
      bytes.set(tail, at)
      at += tail.length
      starts[k + 1] = at
      partitions[k] = this.partitions[i] as number
      offsets[k] = this.offsets[i] as number
    }
    const { table, timestamp } = this
    const to = cursor.vector.slice()
    const selected = { bytes, starts, jsonEnds, partitions, offsets, from, to, timestamp }
    return new EncodedBatch(table, selected)
  }
}

const shapes = new WeakMap<PartitionTable, Map<MessageDeserializer, FrameShape>>()

function shapeOf(table: PartitionTable, deserializer: MessageDeserializer): FrameShape {
  const { partitions, labels } = table
  return {
    layout: LAYOUT,
    partitions,
    labels,
    prefixes: partitions.map(({ topic, partition }) => encodePrefix(topic, partition)),
    valuesAreJson: deserializer === 'json',
  }
}

/** What follows the JSON in a frame. */
function tailOf(id: string): string {
  return LAYOUT.beforeCursor + id + LAYOUT.afterCursor
}

/** @param tails Characters of each frame after its JSON, all ASCII. */
function encodeFrames(
  frames: readonly string[],
  tails: Uint32Array,
): Pick<Frames, 'bytes' | 'starts' | 'jsonEnds'> {
  const text = frames.join('')
  const bytes = encoder.encode(text)
  const starts = new Uint32Array(frames.length + 1)
  const jsonEnds = new Uint32Array(frames.length)
  // Where all is ASCII, a character is a byte, and no frame need be measured.
  const isAscii = bytes.length === text.length
  let end = 0
  for (let i = 0; i < frames.length; i++) {
    const frame = frames[i] as string
    end += isAscii ? frame.length : utf8Length(frame)
    starts[i + 1] = end
    jsonEnds[i] = end - (tails[i] as number)
  }
  return { bytes, starts, jsonEnds }
}

/** Bytes of a well-formed string in UTF-8. */
function utf8Length(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    // A surrogate pair is two units and four bytes: two more for the pair, one for each half.
    length += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2
  }
  return length
}
