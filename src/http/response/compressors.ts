/** Compresses whole answers: off the main thread, few at a time, and no longer than a client waits. */

export type Coding = 'zstd' | 'gzip' | 'br' | 'deflate'

/** A stream of `node:zlib`, as far as it is used here. */
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

interface Builtins {
  readonly process?: { getBuiltinModule?(name: string): unknown }
}

// Bun, Deno and Node have it. CompressionStream compresses brotli at its best quality, which takes
// a hundred times as long and 80 MB, and gzip on the main thread.
const zlib = (globalThis as Builtins).process?.getBuiltinModule?.('node:zlib') as Zlib | undefined

/**
 * The codings of this runtime, the cheaper ones first. For a MiB of records in JSON zstd takes 7 ms,
 * gzip 13 ms, brotli at quality 4 some 20 ms, and each comes to a fifth of it.
 */
export const CODINGS: readonly Coding[] = !zlib
  ? []
  : zlib.createZstdCompress
    ? ['zstd', 'gzip', 'br', 'deflate']
    : ['gzip', 'br', 'deflate']

function transformOf(coding: Coding, size: number): ZlibTransform {
  const make = zlib as Required<Zlib>
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

/** Bytes compressed at a time: a client that leaves stops its compression after them. */
const PIECE_BYTES = 64 * 1024
/** Bytes after which other requests have their turn, also where a runtime calls back at once. */
const TURN_BYTES = 1024 * 1024
/** Answers compressed at a time: each takes a thread of the runtime's pool, which has four. */
const MAX_RUNNING = 2
/** Answers that wait for their turn. */
const MAX_WAITING = 16

/**
 * Compresses answers in turn.
 *
 * Overflow policy: an answer that finds as many waiting as there may be is not compressed.
 */
export class Compressors {
  readonly #maxRunning: number
  readonly #maxWaiting: number
  #running = 0
  readonly #waiting: Array<() => void> = []

  constructor(maxRunning = MAX_RUNNING, maxWaiting = MAX_WAITING) {
    this.#maxRunning = maxRunning
    this.#maxWaiting = maxWaiting
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * @param signal Ends it when the client leaves.
   * @returns The compressed bytes, or undefined where there are too many to compress.
   * @throws The signal's reason.
   */
  async compress(
    bytes: Uint8Array<ArrayBuffer>,
    coding: Coding,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#running >= this.#maxRunning) {
      if (this.#waiting.length >= this.#maxWaiting) return undefined
      await this.#turn(signal)
    } else {
      this.#running++
    }
    try {
      return await compress(bytes, coding, signal)
    } finally {
      // Whoever is next takes over the place.
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const begin = () => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(begin), 1)
        reject(signal.reason)
      }
      if (signal.aborted) {
        reject(signal.reason)
        return
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#waiting.push(begin)
    })
  }
}

/** Those of the process: its processors are what is to be shared. */
export const compressors = new Compressors()

async function compress(
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
  // A write fails of the same.
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
