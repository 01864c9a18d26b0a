/** Compresses whole answers: off the main thread, few at a time, and no longer than a client waits. */
import type { Context } from 'hono'
import { builtinModule } from '../../core/packages.ts'
import { Semaphore } from '../../core/semaphore.ts'
import { type Coding, chooseCoding } from '../request/accept.ts'

/** Bytes of an answer that is worth compressing: smaller ones would hardly become shorter. */
export const MIN_COMPRESSED_BYTES = 1_024

/** The bytes of an answer as they are sent, and their coding. */
export interface Compressed {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly coding: string | undefined
}

/**
 * Compresses an answer if its client accepts that. The answer is compressed as a
 * whole before it is sent, because the delivery of bytes behind a compressor cannot be observed.
 *
 * @param bytes The answer, of at least {@link MIN_COMPRESSED_BYTES}.
 * @param onUncompressed Called when the client accepts a coding and the answer is sent uncompressed,
 * because too many answers are being compressed.
 * @throws The reason of the request's signal when the client disconnects.
 */
export async function compressAnswer(
  c: Context,
  bytes: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
  onUncompressed: () => void,
): Promise<Compressed> {
  const coding = chooseCoding(c, codings())
  const compressed = coding && (await compressors.compress(bytes, coding, signal))
  if (coding && !compressed) onUncompressed()
  return { bytes: compressed ?? bytes, coding: compressed && coding }
}

/** The used part of a stream of `node:zlib`. */
interface ZlibTransform {
  on(event: 'data', listener: (bytes: Uint8Array<ArrayBuffer>) => void): unknown
  on(event: 'end' | 'close', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  write(bytes: Uint8Array, done: (error?: Error | null) => void): unknown
  end(): unknown
  destroy(): unknown
}

interface Zlib {
  readonly constants: Readonly<Record<string, number>>
  createZstdCompress?(options: object): ZlibTransform
  createGzip(options: object): ZlibTransform
  createBrotliCompress(options: object): ZlibTransform
  createDeflate(options: object): ZlibTransform
}

// Bun, Deno and Node have `node:zlib`. CompressionStream compresses brotli at its best quality, which
// takes a hundred times as long and 80 MB, and gzip on the main thread.
const zlib = () => builtinModule('node:zlib') as Zlib | undefined

/**
 * The codings of this runtime, the fastest one first. A MiB of records in JSON shrinks to a fifth, by
 * zstd in 7 ms, by gzip in 13 ms, by brotli at quality 4 in some 20 ms.
 */
export function codings(): readonly Coding[] {
  const found = zlib()
  if (!found) return []
  return found.createZstdCompress ? ['zstd', 'gzip', 'br', 'deflate'] : ['gzip', 'br', 'deflate']
}

function transformOf(coding: Coding, size: number): ZlibTransform {
  const make = zlib() as Required<Zlib>
  const { constants } = make
  switch (coding) {
    case 'zstd':
      return make.createZstdCompress({
        params: { [constants['ZSTD_c_compressionLevel'] as number]: 3 },
      })
    case 'gzip':
      return make.createGzip({ level: 6 })
    case 'deflate':
      return make.createDeflate({ level: 6 })
    case 'br':
      return make.createBrotliCompress({
        params: {
          [constants['BROTLI_PARAM_QUALITY'] as number]: 4,
          [constants['BROTLI_PARAM_SIZE_HINT'] as number]: size,
        },
      })
  }
}

/** Bytes compressed at a time: the compression for a client that disconnects ends after them. */
const PIECE_BYTES = 64 * 1024
/** Bytes after which other requests get a turn, since some runtimes call back without one. */
const TURN_BYTES = 1024 * 1024
/** Answers compressed at a time: each occupies a thread of the runtime's pool, which has four. */
const MAX_RUNNING = 2
/** Answers that wait for their turn. */
const MAX_WAITING = 16

/**
 * Compresses answers, few at a time, in the order in which they came.
 *
 * Overflow policy: an answer that finds the queue full is not compressed.
 */
export class Compressors {
  readonly #semaphore: Semaphore

  constructor(maxRunning = MAX_RUNNING, maxWaiting = MAX_WAITING) {
    this.#semaphore = new Semaphore(maxRunning, maxWaiting)
  }

  get running(): number {
    return this.#semaphore.running
  }

  get waiting(): number {
    return this.#semaphore.waiting
  }

  /**
   * @param signal Ends it when the client disconnects.
   * @returns The compressed bytes, or undefined where the queue is full.
   * @throws The signal's reason.
   */
  async compress(
    bytes: Uint8Array<ArrayBuffer>,
    coding: Coding,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#semaphore.isFull) return undefined
    return this.#semaphore.run(() => compressBytes(bytes, coding, signal), signal)
  }
}

/** One for the process: its processors are what answers share. */
const compressors = new Compressors()

async function compressBytes(
  bytes: Uint8Array,
  coding: Coding,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const transform = transformOf(coding, bytes.length)
  const pieces: Uint8Array<ArrayBuffer>[] = []
  transform.on('data', (piece) => pieces.push(piece))
  const ended = new Promise<void>((resolve, reject) => {
    transform.on('end', resolve)
    transform.on('error', reject)
  })
  // A failed write reports this error, too.
  ended.catch(() => undefined)
  try {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      signal.throwIfAborted()
      await written(transform, bytes.subarray(at, at + PIECE_BYTES))
      if (at > 0 && at % TURN_BYTES === 0) await new Promise((resolve) => setTimeout(resolve))
    }
    transform.end()
    await ended
    return new Uint8Array(await new Blob(pieces).arrayBuffer())
  } finally {
    transform.destroy()
  }
}

function written(transform: ZlibTransform, piece: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    transform.write(piece, (error) => (error ? reject(error) : resolve()))
  })
}
