/** Reads whose records are encoded in native code, off the main thread (`native/src/frame_reader.cc`). */
import type { EncodedRecords, EncodingRequest, EncodingSpec } from '../../src/port/encoding.ts'
import type { Batch, Gap, PartitionOffset } from '../../src/port/kafka.ts'
import { addon } from '../client/addon.ts'
import type { Consumer } from '../client/client.ts'
import { gapIn } from './gaps.ts'

/** The class that `native/` adds to the client's addon. */
interface Addon {
  readonly LayoutReader: new (
    layout: readonly [beforeJson: string, beforeCursor: string, afterCursor: string],
    topics: readonly string[],
    partitions: Float64Array,
    labels: readonly string[],
    isCompact: boolean,
    prefixes: readonly string[],
    valuesAreJson: boolean,
  ) => NativeReader
}

interface NativeReader {
  /** @param client The client's own native object. */
  read(
    client: unknown,
    from: Float64Array,
    records: number,
    bytes: number,
    wait: number,
    done: Done,
  ): void
}

/**
 * Calls back with one read.
 *
 * @param error Why the read ended; records may come with it.
 * @param places The first record's timestamp, the offsets, the next offset of each partition after
 * the last record, the starts, the ends of JSON and the partitions.
 * @param ends Two numbers for each end: the index of its partition, and the offset.
 * @param jumps Five numbers for each jump: how many records come before it, the index of its
 * partition, the expected offset, the offset that came, and the first offset that the partition keeps.
 */
type Done = (
  error: Error | null,
  bytes: ArrayBuffer,
  places: ArrayBuffer,
  count: number,
  ends: ArrayBuffer,
  jumps: ArrayBuffer,
) => void

/** The result of one encoded read. */
interface EncodedRead {
  /** Each batch has at most one gap, before its records. Empty if the read failed at once. */
  readonly batches: readonly Batch[]
  /** The error that ended the read, after the batches. */
  readonly error: Error | undefined
}

/** A gap, with the number of records before it and the index of its partition. */
interface GapBetweenRecords {
  readonly at: number
  readonly index: number
  readonly gap: Gap
}

/** Reads and encodes the records of one subscription. */
export class NativeEncoder {
  readonly spec: EncodingSpec
  readonly #native: NativeReader

  constructor(spec: EncodingSpec) {
    const { layout, partitions, labels, isCompact, prefixes, valuesAreJson } = spec
    this.spec = spec
    const { LayoutReader } = addon() as unknown as Addon
    this.#native = new LayoutReader(
      [layout.beforeJson, layout.beforeCursor, layout.afterCursor],
      partitions.map(({ topic }) => topic),
      Float64Array.from(partitions, ({ partition }) => partition),
      labels,
      isCompact,
      prefixes,
      valuesAreJson,
    )
  }

  /**
   * Waits for a first record, then takes the records that have been fetched.
   *
   * @param limits `wait` in milliseconds, and `bytes` of encoded records, more or less.
   */
  read(
    consumer: Consumer,
    from: EncodingRequest['from'],
    limits: { readonly records: number; readonly bytes: number; readonly wait: number },
  ): Promise<EncodedRead> {
    return new Promise((resolve, reject) => {
      const done: Done = (error, bytes, places, count, ends, jumps) => {
        if (!bytes) return reject(error)
        const encoded = count > 0 ? this.#recordsIn(from, bytes, places, count) : undefined
        const gaps = this.#gaps(new Float64Array(jumps))
        const batches = this.#batches(encoded, new Float64Array(ends), gaps)
        const isEmpty = count === 0 && ends.byteLength === 0
        resolve({ batches: error && isEmpty ? [] : batches, error: error ?? undefined })
      }
      const { records, bytes, wait } = limits
      this.#native.read(consumer.getClient(), from, records, bytes, wait, done)
    })
  }

  #recordsIn(
    from: Float64Array,
    bytes: ArrayBuffer,
    places: ArrayBuffer,
    count: number,
  ): EncodedRecords {
    let at = 0
    const floats = (length: number) => {
      at += length * 8
      return new Float64Array(places, at - length * 8, length)
    }
    const integers = (length: number) => {
      at += length * 4
      return new Uint32Array(places, at - length * 4, length)
    }
    return {
      timestamp: floats(1)[0] as number,
      bytes: new Uint8Array(bytes),
      offsets: floats(count),
      from,
      to: floats(from.length),
      starts: integers(count + 1),
      jsonEnds: integers(count),
      partitions: integers(count),
    }
  }

  #batches(
    encoded: EncodedRecords | undefined,
    pairs: Float64Array,
    gaps: readonly GapBetweenRecords[],
  ): Batch[] {
    const ends: PartitionOffset[] = []
    for (let i = 0; i < pairs.length; i += 2) {
      ends.push({ ...this.#place(pairs[i] as number), offset: pairs[i + 1] as number })
    }
    if (encoded && gaps.length > 0) return this.#split(encoded, gaps, ends)
    return [{ records: [], encoded, gaps: gaps.map(({ gap }) => gap), ends }]
  }

  #gaps(jumps: Float64Array): GapBetweenRecords[] {
    const gaps: GapBetweenRecords[] = []
    for (let i = 0; i < jumps.length; i += 5) {
      const index = jumps[i + 1] as number
      const gap = gapIn({
        ...this.#place(index),
        from: jumps[i + 2] as number,
        to: jumps[i + 3] as number,
        low: jumps[i + 4] as number,
      })
      if (gap) gaps.push({ at: jumps[i] as number, index, gap })
    }
    return gaps
  }

  /** A batch announces its gap before its records, so records before a gap are a batch of their own. */
  #split(
    encoded: EncodedRecords,
    gaps: readonly GapBetweenRecords[],
    ends: readonly PartitionOffset[],
  ): Batch[] {
    const batches: Batch[] = []
    const vector = encoded.from.slice()
    let begin = 0
    let announced: Gap[] = []
    const cut = (end: number) => {
      if (end > begin || announced.length > 0) {
        const part = slice(encoded, begin, end, vector)
        batches.push({ records: [], encoded: part, gaps: announced, ends: [] })
      }
      begin = end
    }
    for (const { at, index, gap } of gaps) {
      cut(at)
      announced = [gap]
      vector[index] = gap.to
    }
    cut(encoded.offsets.length)
    // The ends lie behind all records.
    const last = batches.pop() as Batch
    return [...batches, { ...last, ends }]
  }

  #place(index: number) {
    return this.spec.partitions[index] as EncodingSpec['partitions'][number]
  }
}

/** A part of encoded records. Moves the next offsets in `vector` past them. */
function slice(
  encoded: EncodedRecords,
  begin: number,
  end: number,
  vector: Float64Array,
): EncodedRecords {
  const from = vector.slice()
  for (let i = begin; i < end; i++) {
    vector[encoded.partitions[i] as number] = (encoded.offsets[i] as number) + 1
  }
  const start = encoded.starts[begin] as number
  return {
    bytes: encoded.bytes.subarray(start, encoded.starts[end]),
    starts: encoded.starts.subarray(begin, end + 1).map((at) => at - start),
    jsonEnds: encoded.jsonEnds.subarray(begin, end).map((at) => at - start),
    partitions: encoded.partitions.subarray(begin, end),
    offsets: encoded.offsets.subarray(begin, end),
    from,
    to: vector.slice(),
    timestamp: encoded.timestamp,
  }
}
