/** Counts the records of a stream whose ids are no cursors, however it writes them. */

/** Comes once in every value (`producer.ts`), whether it is escaped or not. */
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
    // A mark may be cut in two.
    this.#tail = Buffer.from(all.subarray(Math.max(end, all.length - MARK.length + 1)))
  }
}
