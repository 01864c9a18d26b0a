/** Reads whose frames are made in native code, off the main thread (`native/src/frame_reader.cc`). */
import { createRequire } from 'node:module'
import type {
  Batch,
  FrameShape,
  Frames,
  Framing,
  Gap,
  PartitionOffset,
} from '../src/stream/source.ts'
import type { Consumer } from './client.ts'

/** What `native/` adds to the client's addon. */
interface Addon {
  readonly LayoutReader: new (
    layout: readonly [beforeJson: string, beforeCursor: string, afterCursor: string],
    topics: readonly string[],
    partitions: Float64Array,
    labels: readonly string[],
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
 * @param error May come after records.
 * @param places The first record's timestamp, offsets, the vector after the last record, starts,
 * ends of JSON, partitions.
 * @param ends Pairs: index of a partition, offset.
 * @param gaps Fours: records before it, index of its partition, from, to.
 */
type Done = (
  error: Error | null,
  bytes: ArrayBuffer,
  places: ArrayBuffer,
  count: number,
  ends: ArrayBuffer,
  gaps: ArrayBuffer,
) => void

/** What one such read brought. */
interface FramedRead {
  /** Each has at most one gap, before its records. None where the read failed at once. */
  readonly batches: readonly Batch[]
  /** Why the read ended, after the batches. */
  readonly error: Error | undefined
}

/** Makes the frames of one subscription. */
export class FrameReader {
  readonly shape: FrameShape
  readonly #native: NativeReader

  constructor(shape: FrameShape) {
    const { layout, partitions, labels, prefixes, valuesAreJson } = shape
    this.shape = shape
    this.#native = new (addon().LayoutReader)(
      [layout.beforeJson, layout.beforeCursor, layout.afterCursor],
      partitions.map(({ topic }) => topic),
      Float64Array.from(partitions, ({ partition }) => partition),
      labels,
      prefixes,
      valuesAreJson,
    )
  }

  /**
   * Waits for a first record, then takes what is there.
   *
   * @param limits Milliseconds, and bytes of frames, more or less.
   */
  read(
    consumer: Consumer,
    from: Framing['from'],
    limits: { readonly records: number; readonly bytes: number; readonly wait: number },
  ): Promise<FramedRead> {
    return new Promise((resolve, reject) => {
      const done: Done = (error, bytes, places, count, ends, gaps) => {
        if (!bytes) return reject(error)
        const frames = count > 0 ? this.#frames(from, bytes, places, count) : undefined
        const batches = this.#batches(frames, new Float64Array(ends), new Float64Array(gaps))
        const isEmpty = count === 0 && ends.byteLength === 0
        resolve({ batches: error && isEmpty ? [] : batches, error: error ?? undefined })
      }
      const { records, bytes, wait } = limits
      this.#native.read(consumer.getClient(), from, records, bytes, wait, done)
    })
  }

  #frames(from: Float64Array, bytes: ArrayBuffer, places: ArrayBuffer, count: number): Frames {
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

  #batches(frames: Frames | undefined, pairs: Float64Array, gaps: Float64Array): Batch[] {
    const ends: PartitionOffset[] = []
    for (let i = 0; i < pairs.length; i += 2) {
      ends.push({ ...this.#place(pairs[i] as number), offset: pairs[i + 1] as number })
    }
    if (!frames || gaps.length === 0) return [{ records: [], frames, gaps: [], ends }]
    return this.#split(frames, gaps, ends)
  }

  /** A gap goes before the records of its batch, so those before it go by themselves. */
  #split(frames: Frames, gaps: Float64Array, ends: readonly PartitionOffset[]): Batch[] {
    const batches: Batch[] = []
    const vector = frames.from.slice()
    let begin = 0
    let gap: Gap[] = []
    const cut = (end: number) => {
      if (end > begin || gap.length > 0) {
        const part = slice(frames, begin, end, vector)
        batches.push({ records: [], frames: part, gaps: gap, ends: [] })
      }
      begin = end
    }
    for (let i = 0; i < gaps.length; i += 4) {
      cut(gaps[i] as number)
      const index = gaps[i + 1] as number
      const from = gaps[i + 2] as number
      const to = gaps[i + 3] as number
      gap = [{ ...this.#place(index), from, to, reason: to < from ? 'out-of-range' : 'retention' }]
      vector[index] = to
    }
    cut(frames.offsets.length)
    // An end lies behind all records.
    const last = batches.pop() as Batch
    return [...batches, { ...last, ends }]
  }

  #place(index: number) {
    return this.shape.partitions[index] as FrameShape['partitions'][number]
  }
}

/** Some of the frames; moves the vector over them. */
function slice(frames: Frames, begin: number, end: number, vector: Float64Array): Frames {
  const from = vector.slice()
  for (let i = begin; i < end; i++) {
    vector[frames.partitions[i] as number] = (frames.offsets[i] as number) + 1
  }
  const start = frames.starts[begin] as number
  return {
    bytes: frames.bytes.subarray(start, frames.starts[end]),
    starts: frames.starts.subarray(begin, end + 1).map((at) => at - start),
    jsonEnds: frames.jsonEnds.subarray(begin, end).map((at) => at - start),
    partitions: frames.partitions.subarray(begin, end),
    offsets: frames.offsets.subarray(begin, end),
    from,
    to: vector.slice(),
    timestamp: frames.timestamp,
  }
}

let loaded: Addon | undefined

/** The addon itself, which the client's package has loaded before. */
function addon(): Addon {
  loaded ??= createRequire(import.meta.url)('@confluentinc/kafka-javascript/librdkafka') as Addon
  return loaded
}

/**
 * Whether the addon makes frames of a given layout. An older addon of this project does not: it has
 * no such class, or one of another name that knows one layout only.
 */
export function canFrame(): boolean {
  return 'LayoutReader' in addon()
}
