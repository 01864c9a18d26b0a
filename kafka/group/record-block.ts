/**
 * Records of a group as Kafka has them, packed one after another, and their JSON. Routes with different
 * options share a member, so the form of a record is known only when a client polls it.
 */
import type { TopicPartition } from '../../src/core/topic-partition.ts'
import type { RecordTexts } from '../../src/port/encoding.ts'
import type { KafkaRecord, PartitionOffset } from '../../src/port/kafka.ts'
import { addon } from '../client/addon.ts'
import type { Consumer } from '../client/client.ts'
import type { ClientError } from '../client/errors.ts'

/**
 * Bytes of one read, more or less: a client that keeps one record of a read keeps the memory of all of
 * them.
 */
const READ_BYTES = 256 * 1024
/** Bytes of packed records above which their JSON is made on another thread. */
export const SYNC_BYTES = 256 * 1024
/** Bytes of JSON that is written to memory which is used again and again: see {@link RecordTexts}. */
const BRIEF_BYTES = 64 * 1024
/** Bytes of a packed record before its key (native/src/packed.h). */
const HEAD_BYTES = 20

/** The most bytes of a UTF-16 code unit in UTF-8. */
const MAX_UNIT_BYTES = 3

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder = new TextEncoder()

/** The form of JSON that a read makes of its records at once: of each record from its offset on. */
export interface ReadyForm {
  /** See {@link RecordTexts}. */
  readonly valuesAreJson: boolean
  /** The text between two records. */
  readonly separator: string
}

/** JSON of all records of a block, with a separator after each. */
interface ReadyTexts extends ReadyForm {
  readonly bytes: Uint8Array
  /** The index of each record's first byte, and at the end the number of bytes. */
  readonly starts: Uint32Array
}

/** Records of one read. */
export class RecordBlock {
  /** Packed as native/src/packed.h describes. */
  readonly bytes: Uint8Array
  /** The index of each record's first byte, and at the end the number of bytes. */
  readonly starts: Uint32Array
  readonly offsets: Float64Array
  readonly #texts: ReadyTexts | undefined
  #view: DataView | undefined

  /** @param texts Default: no JSON is ready. */
  constructor(bytes: Uint8Array, starts: Uint32Array, offsets: Float64Array, texts?: ReadyTexts) {
    this.bytes = bytes
    this.starts = starts
    this.offsets = offsets
    this.#texts = texts
  }

  /**
   * The JSON of the records from index `begin` to before `end`, with separators between them; undefined
   * where it is not ready in this form.
   */
  readyText(begin: number, end: number, valuesAreJson: boolean, separator: string) {
    const texts = this.#texts
    if (texts?.valuesAreJson !== valuesAreJson || texts.separator !== separator) return undefined
    // Reads make no JSON of a record that is larger than this.
    if ((this.starts[end] as number) - (this.starts[begin] as number) > READ_BYTES) return undefined
    const { bytes, starts } = texts
    return bytes.subarray(starts[begin], (starts[end] as number) - separator.length)
  }

  /** Bytes of the JSON that is ready of the records from index `begin` to before `end`. */
  readyBytes(begin: number, end: number): number {
    const starts = this.#texts?.starts
    return starts ? (starts[end] as number) - (starts[begin] as number) : 0
  }

  /** A record as an object, whose bytes are parts of the block. */
  record(index: number, { topic, partition }: TopicPartition): KafkaRecord {
    const { bytes } = this
    this.#view ??= new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const view = this.#view
    const start = this.starts[index] as number
    let at = start + HEAD_BYTES
    const next = (length: number) => {
      if (length < 0) return null
      at += length
      return bytes.subarray(at - length, at)
    }
    const key = next(view.getInt32(start + 8, true))
    const value = next(view.getInt32(start + 12, true))
    const headers: Array<{ [name: string]: Uint8Array | null }> = []
    for (let left = view.getUint32(start + 16, true); left > 0; left--) {
      const nameLength = view.getUint32(at, true)
      const valueLength = view.getInt32(at + 4, true)
      at += 8
      const name = decoder.decode(next(nameLength) as Uint8Array)
      headers.push({ [name]: next(valueLength) })
    }
    return {
      topic,
      partition,
      offset: this.offsets[index] as number,
      timestamp: view.getInt32(start + 4, true) * 2 ** 32 + view.getUint32(start, true),
      key,
      value,
      ...(headers.length > 0 && { headers }),
    }
  }
}

/** Neighbouring records of one partition in a block. */
export interface RecordRun extends TopicPartition {
  readonly block: RecordBlock
  /** Index of the first record. */
  readonly begin: number
  /** Index after the last record. */
  readonly end: number
  /** Indexes of the records whose offset is not the one after that of the record before. */
  readonly jumps: readonly number[]
}

/** The result of one read. */
export interface BlockRead {
  /** Runs of records, and ends of partitions, in the client's order. */
  readonly parts: ReadonlyArray<RecordRun | PartitionOffset>
  /** Whether the client had no more records, as of the read. */
  readonly isDrained: boolean
  /** The error that ended the read. */
  readonly error: ClientError | undefined
}

/**
 * Reads records of a consumer.
 *
 * @param limits `wait` for a first record or end, in milliseconds. `ready`: JSON that is made at once.
 * @returns A promise that rejects if nothing was read.
 */
export type ReadBlock = (
  consumer: Consumer,
  limits: {
    readonly records: number
    readonly wait: number
    readonly ready?: ReadyForm | undefined
  },
) => Promise<BlockRead>

/** The class that `native/` adds to the client's addon. */
interface BlockAddon {
  readonly RecordReader: new () => NativeRecordReader
}

interface NativeRecordReader {
  /**
   * @param client The client's own native object.
   * @param separator A text of ASCII after the JSON of each record, which is made at once. Undefined: it
   * is not made.
   */
  read(
    client: unknown,
    records: number,
    bytes: number,
    wait: number,
    valuesAreJson: boolean,
    separator: string | undefined,
    done: ReadDone,
  ): void
  encode(parts: readonly unknown[], valuesAreJson: boolean, valuesOnly: boolean): ArrayBuffer
  /** @returns The number of bytes that were written to the target, or the bytes if it has no room. */
  encode(
    parts: readonly unknown[],
    valuesAreJson: boolean,
    valuesOnly: boolean,
    target: Uint8Array,
  ): number | ArrayBuffer
  encode(
    parts: readonly unknown[],
    valuesAreJson: boolean,
    valuesOnly: boolean,
    done: (error: Error | null, bytes: ArrayBuffer) => void,
  ): void
}

/**
 * Calls back with one read.
 *
 * @param places The offsets of the records, and the starts.
 * @param events Four numbers for each run: the index of its topic, the partition, and the indexes of
 * the first record and after the last one. For the end of a partition, -1 and the offset follow.
 * @param texts The JSON that was made at once, and where each record's begins.
 */
type ReadDone = (
  error: ClientError | null,
  bytes: ArrayBuffer,
  places: ArrayBuffer,
  count: number,
  jumps: ArrayBuffer,
  events: ArrayBuffer,
  topics: readonly string[],
  isDrained: boolean,
  texts: ArrayBuffer,
  textStarts: ArrayBuffer,
) => void

let native: NativeRecordReader | undefined

function reader(): NativeRecordReader {
  if (native) return native
  // The compiler of the package would read a call in the operand of `new` as the constructor itself.
  const { RecordReader } = addon() as unknown as BlockAddon
  native = new RecordReader()
  return native
}

let briefBytes: Uint8Array | undefined

/** The memory of brief JSON. */
function brief(): Uint8Array {
  briefBytes ??= new Uint8Array(BRIEF_BYTES)
  return briefBytes
}

/** Reads on another thread, with one call of this thread for any number of records. */
export const readBlock: ReadBlock = (consumer, { records, wait, ready }) =>
  new Promise((resolve, reject) => {
    reader().read(
      consumer.getClient(),
      records,
      READ_BYTES,
      wait,
      ready?.valuesAreJson ?? false,
      ready?.separator,
      (error, bytes, places, count, jumps, events, topics, isDrained, texts, textStarts) => {
        if (!bytes) return reject(error)
        const offsets = new Float64Array(places, 0, count)
        const starts = new Uint32Array(places, count * 8, count + 1)
        const block = new RecordBlock(
          new Uint8Array(bytes),
          starts,
          offsets,
          ready && { ...ready, bytes: new Uint8Array(texts), starts: new Uint32Array(textStarts) },
        )
        const parts = partsOf(block, new Float64Array(events), topics, new Uint32Array(jumps))
        resolve({ parts, isDrained, error: error ?? undefined })
      },
    )
  })

function partsOf(
  block: RecordBlock,
  events: Float64Array,
  topics: readonly string[],
  jumps: Uint32Array,
): BlockRead['parts'] {
  const parts: Array<RecordRun | PartitionOffset> = []
  let jump = 0
  for (let i = 0; i < events.length; i += 4) {
    const topic = topics[events[i] as number] as string
    const partition = events[i + 1] as number
    const begin = events[i + 2] as number
    const end = events[i + 3] as number
    if (begin < 0) {
      parts.push({ topic, partition, offset: end })
      continue
    }
    const first = jump
    while (jump < jumps.length && (jumps[jump] as number) < end) jump++
    parts.push({ topic, partition, block, begin, end, jumps: [...jumps.subarray(first, jump)] })
  }
  return parts
}

/**
 * Joins texts and JSON that is ready.
 *
 * @param mayReuseBuffer See {@link RecordTexts}.
 */
export function joinReady(
  parts: ReadonlyArray<string | Uint8Array>,
  mayReuseBuffer: boolean,
): Uint8Array {
  let room = 0
  for (const part of parts) {
    room += typeof part === 'string' ? part.length * MAX_UNIT_BYTES : part.length
  }
  const target = mayReuseBuffer && room <= BRIEF_BYTES ? brief() : new Uint8Array(room)
  let at = 0
  for (const part of parts) {
    if (typeof part === 'string') {
      at += encoder.encodeInto(part, at === 0 ? target : target.subarray(at)).written
    } else {
      target.set(part, at)
      at += part.length
    }
  }
  return target.subarray(0, at)
}

/** Records of a block, from `begin` to before `end`, and the texts around each. */
export interface BlockText {
  readonly block: RecordBlock
  readonly begin: number
  readonly end: number
  readonly prefix: string
  readonly separator: string
}

/**
 * Writes texts and the JSON of records one after another, with the bytes of `src/records/encode.ts`.
 *
 * @param bytes Bytes of the packed records: many are encoded on another thread.
 */
export function encodeBlocks(
  parts: ReadonlyArray<string | BlockText>,
  { valuesAreJson, content, mayReuseBuffer }: Omit<RecordTexts, 'parts'>,
  bytes: number,
): Uint8Array | Promise<Uint8Array> {
  const values: unknown[] = []
  for (const part of parts) {
    if (typeof part === 'string') {
      values.push(part)
      continue
    }
    const { block, begin, end, prefix, separator } = part
    values.push(block.bytes, block.starts, block.offsets, begin, end, prefix, separator)
  }
  const valuesOnly = content === 'value'
  if (mayReuseBuffer && bytes <= BRIEF_BYTES) {
    const encoded = reader().encode(values, valuesAreJson, valuesOnly, brief())
    return typeof encoded === 'number' ? brief().subarray(0, encoded) : new Uint8Array(encoded)
  }
  if (bytes <= SYNC_BYTES) {
    return new Uint8Array(reader().encode(values, valuesAreJson, valuesOnly))
  }
  return new Promise((resolve, reject) => {
    reader().encode(values, valuesAreJson, valuesOnly, (error, encoded) => {
      if (error) reject(error)
      else resolve(new Uint8Array(encoded))
    })
  })
}
