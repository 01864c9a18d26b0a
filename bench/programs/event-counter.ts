/**
 * Counts the events of a stream at next to no cost: an event's id is a cursor, that is the next
 * offset of every partition, so the sum of the last one's offsets tells how many there were.
 */

const ID = '\nid: '
/** Bytes before the end of a block in which the last whole id must lie: more than one event has. */
const WINDOW = 8 * 1024

export class EventCounter {
  readonly #start: number
  #tail: Buffer = Buffer.alloc(0)
  #count = 0

  /** @param cursor Where the stream begins. */
  constructor(cursor: string) {
    this.#start = sumOf(cursor)
  }

  get count(): number {
    return this.#count
  }

  push(block: Buffer): void {
    // Only where the block is short does the end of the one before matter.
    const window =
      block.length >= WINDOW ? block.subarray(-WINDOW) : Buffer.concat([this.#tail, block])
    this.#tail = Buffer.from(window.subarray(-WINDOW))
    for (let at = window.length; at > 0; ) {
      at = window.lastIndexOf(ID, at - 1)
      if (at < 0) return
      const end = window.indexOf(10, at + ID.length)
      if (end < 0) continue
      // An id that the framing of HTTP has cut in two is passed over: the one before will do.
      const sum = sumOf(window.toString('latin1', at + ID.length, end))
      if (Number.isNaN(sum)) continue
      this.#count = sum - this.#start
      return
    }
  }
}

/** The next offsets of all partitions together; NaN for what is no cursor of ours. */
export function sumOf(cursor: string): number {
  let sum = 0
  for (const entry of cursor.split(/[,;]/)) {
    const offset = /^[\w.:-]+=(\d+)$/.exec(entry)?.[1]
    if (offset === undefined) return Number.NaN
    sum += Number(offset)
  }
  return sum
}
