/** Measures the chunks of an HTTP/1.1 response, by jumping from one chunk's head to the next. */
export class ChunkMeter {
  readonly sizes: number[] = []
  #skip = 0
  #head = ''

  /** @param bytes The next bytes of the body. */
  push(bytes: Buffer): void {
    let at = this.#skip
    while (at < bytes.length) {
      const end = bytes.indexOf(10, at)
      if (end < 0) {
        this.#head += bytes.toString('latin1', at)
        this.#skip = 0
        return
      }
      const size = Number.parseInt(this.#head + bytes.toString('latin1', at, end), 16)
      this.#head = ''
      if (size > 0) this.sizes.push(size)
      at = end + 1 + size + 2
    }
    this.#skip = at - bytes.length
  }
}
