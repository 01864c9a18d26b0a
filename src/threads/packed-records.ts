/** Encoded records in memory that threads share: another thread reads them without a copy. */
import type { EncodedRecords } from '../port/encoding.ts'

/** Encoded records in one buffer: floats first, then integers, then the bytes of the records. */
export interface PackedRecords {
  readonly buffer: SharedArrayBuffer
  /** The number of records. */
  readonly count: number
  /** The number of partitions. */
  readonly size: number
  readonly timestamp: number
}

export function packRecords(encoded: EncodedRecords): PackedRecords {
  const { bytes, offsets, from, to, starts, jsonEnds, partitions, timestamp } = encoded
  const count = offsets.length
  const size = from.length
  const length = (count + 2 * size) * 8 + (3 * count + 1) * 4 + bytes.length
  const buffer = new SharedArrayBuffer(length)
  const packed = { buffer, count, size, timestamp }
  const views = unpackRecords(packed)
  views.offsets.set(offsets)
  views.from.set(from)
  views.to.set(to)
  views.starts.set(starts)
  views.jsonEnds.set(jsonEnds)
  views.partitions.set(partitions)
  views.bytes.set(bytes)
  return packed
}

/** Views of the buffer, without a copy. */
export function unpackRecords({ buffer, count, size, timestamp }: PackedRecords): EncodedRecords {
  // The constructors of views take shared memory as well, which their declarations tell apart.
  const memory = buffer as unknown as ArrayBuffer
  let at = 0
  const floats = (length: number) => {
    at += length * 8
    return new Float64Array(memory, at - length * 8, length)
  }
  const integers = (length: number) => {
    at += length * 4
    return new Uint32Array(memory, at - length * 4, length)
  }
  return {
    timestamp,
    offsets: floats(count),
    from: floats(size),
    to: floats(size),
    starts: integers(count + 1),
    jsonEnds: integers(count),
    partitions: integers(count),
    bytes: new Uint8Array(memory, at),
  }
}
