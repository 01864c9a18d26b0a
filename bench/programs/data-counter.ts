/** Counts the records of a stream whose ids are not cursors, whatever its format is. */

/** A text that every value contains once (`producer.ts`), escaped or not. */
const MARK = Buffer.from('customer')

export class DataCounter {
  #tail: Buffer = Buffer.alloc(0)
  #count = 0

  get count(): number {
    return this.#count
  }

  push(block: Buffer): void {
    const all = Buffer.concat([this.#tail, block])
    let end = 0
    for (let at = all.indexOf(MARK); at >= 0; at = all.indexOf(MARK, end)) {
      this.#count++
      end = at + MARK.length
    }
    // A chunk's end may cut a mark in two.
    this.#tail = Buffer.from(all.subarray(Math.max(end, all.length - MARK.length + 1)))
  }
}
