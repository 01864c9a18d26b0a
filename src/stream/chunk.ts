import { encodeBody, encodePrefix, type MessageDeserializer } from '../record/encode.ts'
import type { Format } from '../record/format.ts'
import type { PreparedRecord } from '../record/prepare.ts'
import type { Cursor, PartitionTable } from './cursor.ts'
import type { FrameShape, Frames, Framing } from './source.ts'

const encoder = new TextEncoder()

/**
 * Records of one read, encoded once: the bytes of their event stream frames one after another,
 * and where each lies. Every subscriber is sent ranges of the same bytes; other forms (lines, the
 * JSON of a GET) are slices of them, since a frame holds its record's JSON whole.
 */
export interface Chunk extends Frames {
  readonly table: PartitionTable
}

/**
 * Bytes of objects and array headers that each chunk has beside its content, as measured: of a
 * trickle, where every record is a chunk of its own, they are most of what the ring holds.
 */
const CHUNK_OVERHEAD = 1_500

/** Bytes of memory that a chunk holds. */
export function sizeOf(chunk: Chunk): number {
  const content = chunk.bytes.length + chunk.offsets.length * 20 + chunk.from.length * 16
  return CHUNK_OVERHEAD + content
}

const shapes = new WeakMap<PartitionTable, Map<MessageDeserializer, FrameShape>>()

/** How a reader is to make frames, so that they are those of {@link encodeChunk}; kept by table. */
export function framing({ table, vector }: Cursor, deserializer: MessageDeserializer): Framing {
  const ofTable = shapes.get(table) ?? new Map<MessageDeserializer, FrameShape>()
  shapes.set(table, ofTable)
  const shape = ofTable.get(deserializer) ?? shapeOf(table, deserializer)
  ofTable.set(deserializer, shape)
  return { shape, from: vector.slice() }
}

function shapeOf(table: PartitionTable, deserializer: MessageDeserializer): FrameShape {
  const { partitions, labels } = table
  return {
    partitions,
    labels,
    prefixes: partitions.map(({ topic, partition }) => encodePrefix(topic, partition)),
    valuesAreJson: deserializer === 'json',
  }
}

const BLANK_LINE = '\n\n'

/** Bytes of the record's JSON before its offset: what a list by partition leaves out. */
export function prefixLength(chunk: Chunk, index: number): number {
  const { topic, partition } = chunk.table.partitions[chunk.partitions[index] as number] as {
    topic: string
    partition: number
  }
  return encodePrefix(topic, partition).length
}

/**
 * Encodes records and moves the cursor over them; the ids of the frames are the cursor's texts.
 * Records of partitions that the table does not have are left out; dropped ones move the cursor only.
 */
export function encodeChunk(
  records: readonly PreparedRecord[],
  cursor: Cursor,
  deserializer: MessageDeserializer,
): Chunk {
  const { table } = cursor
  const from = cursor.vector.slice()
  const frames: string[] = new Array(records.length)
  const json = new Uint32Array(records.length)
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
      prefix = encodePrefix(lastTopic, lastPartition)
    }
    if (index < 0) continue
    if (record.dropped) {
      cursor.set(index, record.offset + 1)
      continue
    }
    const id = cursor.advance(index, record.offset + 1)
    frames[count] = `id: ${id}\ndata: ${prefix}${encodeBody(record, deserializer)}${BLANK_LINE}`
    json[count] = id.length + 11 // "id: ", "\n" and "data: "; an id is ASCII
    partitions[count] = index
    offsets[count] = record.offset
    count++
  }
  frames.length = count
  const { bytes, starts } = encodeFrames(frames)
  for (let i = 0; i < count; i++) json[i] = (json[i] as number) + (starts[i] as number)
  return {
    table,
    bytes,
    starts,
    json: json.subarray(0, count),
    partitions: partitions.subarray(0, count),
    offsets: offsets.subarray(0, count),
    from,
    to: cursor.vector.slice(),
    timestamp: records[0]?.timestamp ?? -1,
  }
}

function encodeFrames(frames: readonly string[]): { bytes: Uint8Array; starts: Uint32Array } {
  const starts = new Uint32Array(frames.length + 1)
  const text = frames.join('')
  const bytes = encoder.encode(text)
  if (bytes.length === text.length) {
    // All ASCII: a character is a byte, and frames need not be encoded one by one.
    let end = 0
    for (let i = 0; i < frames.length; i++) {
      end += (frames[i] as string).length
      starts[i + 1] = end
    }
    return { bytes, starts }
  }
  let end = 0
  for (let i = 0; i < frames.length; i++) {
    end += utf8Length(frames[i] as string)
    starts[i + 1] = end
  }
  return { bytes, starts }
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

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** A chunk whose records are shown in another format, with the same ids. */
export function reformat(chunk: Chunk, format: Format): Chunk {
  const text = (begin: number, end: number) => decoder.decode(chunk.bytes.subarray(begin, end))
  const json = new Uint32Array(chunk.offsets.length)
  const frames = Array.from(chunk.offsets, (_, i) => {
    const [start = 0, next = 0] = chunk.starts.subarray(i, i + 2)
    const at = chunk.json[i] as number
    json[i] = at - start
    return `${text(start, at)}${format(text(at, next - BLANK_LINE.length))}${BLANK_LINE}`
  })
  const { bytes, starts } = encodeFrames(frames)
  for (let i = 0; i < json.length; i++) json[i] = (json[i] as number) + (starts[i] as number)
  return { ...chunk, bytes, starts, json }
}

/**
 * The records of a chunk that one reader is to get, with that reader's own ids: for readers whose
 * cursor is ahead of the chunk in some partitions, and for filters. Moves the cursor over all of
 * them, wanted or not.
 *
 * @param begin Index of the first record to look at.
 * @param wanted Which records pass; all that are not below the cursor when it is absent.
 */
export function selectFrom(
  chunk: Chunk,
  begin: number,
  cursor: Cursor,
  wanted: (index: number) => boolean = () => true,
): Chunk {
  const from = cursor.vector.slice()
  const picked: Uint32Array = new Uint32Array(chunk.offsets.length - begin)
  const ids: Uint8Array[] = []
  let count = 0
  let length = 0
  for (let i = begin; i < chunk.offsets.length; i++) {
    const index = chunk.partitions[i] as number
    const offset = chunk.offsets[i] as number
    if (offset < (cursor.vector[index] as number)) continue
    if (!wanted(i)) {
      cursor.set(index, offset + 1)
      continue
    }
    const id = encoder.encode(`id: ${cursor.advance(index, offset + 1)}\n`)
    ids.push(id)
    length += id.length + (chunk.starts[i + 1] as number) - (chunk.json[i] as number) + 6
    picked[count++] = i
  }
  const bytes = new Uint8Array(length)
  const starts = new Uint32Array(count + 1)
  const json = new Uint32Array(count)
  const partitions = new Uint32Array(count)
  const offsets = new Float64Array(count)
  let end = 0
  for (let k = 0; k < count; k++) {
    const i = picked[k] as number
    const id = ids[k] as Uint8Array
    bytes.set(id, end)
    end += id.length
    bytes.set(
      chunk.bytes.subarray((chunk.json[i] as number) - 6, chunk.starts[i + 1] as number),
      end,
    )
    json[k] = end + 6
    end += (chunk.starts[i + 1] as number) - (chunk.json[i] as number) + 6
    starts[k + 1] = end
    partitions[k] = chunk.partitions[i] as number
    offsets[k] = chunk.offsets[i] as number
  }
  return {
    table: chunk.table,
    bytes,
    starts,
    json,
    partitions,
    offsets,
    from,
    to: cursor.vector.slice(),
    timestamp: chunk.timestamp,
  }
}
