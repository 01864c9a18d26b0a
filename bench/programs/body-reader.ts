/** Reads the bodies of HTTP/1.1 answers: of a known length, or in chunks. */
export class BodyReader {
  readonly #onData: (bytes: Buffer) => void
  readonly #isChunked: boolean
  /** Bytes of the body, or of the present chunk and the line break after it, that have not arrived. */
  #left: number
  /** The part of a chunk's head that has arrived. */
  #head = ''
  #isEnd = false

  /** @param length undefined for an answer in chunks. */
  constructor(length: number | undefined, onData: (bytes: Buffer) => void) {
    this.#isChunked = length === undefined
    this.#left = length ?? 0
    this.#isEnd = length === 0
    this.#onData = onData
  }

  get isEnd(): boolean {
    return this.#isEnd
  }

  push(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length && !this.#isEnd) {
      at = this.#left > 0 ? this.#readData(bytes, at) : this.#readHead(bytes, at)
    }
  }

  #readData(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#left)
    // The two last bytes of a chunk are its line break.
    const data = this.#isChunked ? Math.min(end, at + this.#left - 2) : end
    this.#left -= end - at
    if (data > at) this.#onData(bytes.subarray(at, data))
    if (!this.#isChunked && this.#left === 0) this.#isEnd = true
    return end
  }

  #readHead(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(10, at)
    this.#head += bytes.toString('latin1', at, end < 0 ? bytes.length : end)
    if (end < 0) return bytes.length
    const size = Number.parseInt(this.#head, 16)
    // The line after the last chunk's head is empty.
    if (Number.isNaN(size)) this.#isEnd = true
    else if (size > 0) this.#left = size + 2
    this.#head = ''
    return end + 1
  }
}
