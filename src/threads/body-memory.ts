/** Small bodies of answers on their way to another thread, in memory that both threads share. */

/** Bytes of the memory. Overflow policy: a body that finds no room is sent with its message. */
const MEMORY_BYTES = 1024 * 1024
/** Bytes of the largest body that goes this way: a larger one is moved to the other thread for less. */
const MAX_BODY_BYTES = 64 * 1024
/** Bytes before the first body: the number of bytes that the reader has taken. */
const HEAD_BYTES = 8

/** A body in the memory. */
export interface SharedBody {
  /** Its first byte. */
  readonly at: number
  readonly length: number
  /** Bytes that are free again once it is taken: its own, and those that were left unused before it. */
  readonly used: number
}

export function bodyMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(HEAD_BYTES + MEMORY_BYTES)
}

/** Puts bodies into the memory, one after another, from its start again when it comes to the end. */
export class BodySender {
  readonly #taken: Int32Array
  readonly #bytes: Uint8Array
  /** Bytes that were used since the start, modulo 2^32. */
  #used = 0
  #at = 0

  constructor(memory: SharedArrayBuffer) {
    this.#taken = new Int32Array(memory, 0, 1)
    this.#bytes = new Uint8Array(memory, HEAD_BYTES)
  }

  /** @returns undefined where the body has no room. */
  put(body: Uint8Array): SharedBody | undefined {
    const { length } = body
    if (length > MAX_BODY_BYTES) return undefined
    const left = MEMORY_BYTES - this.#at
    const startsAgain = length > left
    const used = startsAgain ? left + length : length
    const waiting = (this.#used - Atomics.load(this.#taken, 0)) >>> 0
    if (waiting + used > MEMORY_BYTES) return undefined
    if (startsAgain) this.#at = 0
    const at = this.#at
    this.#bytes.set(body, at)
    this.#at += length
    this.#used += used
    return { at, length, used }
  }
}

/** Takes bodies out of the memory. They must be taken in the order in which they were put in. */
export class BodyReceiver {
  readonly #taken: Int32Array
  readonly #bytes: Uint8Array

  constructor(memory: SharedArrayBuffer) {
    this.#taken = new Int32Array(memory, 0, 1)
    this.#bytes = new Uint8Array(memory, HEAD_BYTES)
  }

  /** @returns A copy, whose place is free from then on. */
  take({ at, length, used }: SharedBody): Uint8Array {
    const body = this.#bytes.slice(at, at + length)
    Atomics.add(this.#taken, 0, used)
    return body
  }
}
