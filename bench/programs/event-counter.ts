/**
 * Counts the events of a stream at almost no cost: an event's id is a cursor with the next offset of
 * every partition, so the sum of the last cursor's offsets is the number of events.
 */
import { parseCursor } from '../../src/records/cursor.ts'

const ID = '\nid: '
/** Bytes at the end of a block that contain its last complete id: more than one event has. */
const WINDOW = 8 * 1024

export class EventCounter {
  readonly #start: number
  #tail: Buffer = Buffer.alloc(0)
  #count = 0

  /** @param cursor The stream's start. */
  constructor(cursor: string) {
    this.#start = sumOf(cursor)
  }

  get count(): number {
    return this.#count
  }

  push(block: Buffer): void {
    // The end of the block before matters only if this block is short.
    const window =
      block.length >= WINDOW ? block.subarray(-WINDOW) : Buffer.concat([this.#tail, block])
    this.#tail = Buffer.from(window.subarray(-WINDOW))
    for (let at = window.length; at > 0; ) {
      at = window.lastIndexOf(ID, at - 1)
      if (at < 0) return
      const end = window.indexOf(10, at + ID.length)
      if (end < 0) continue
      // An id that HTTP's chunk framing has cut in two is skipped: the id before it is good enough.
      const sum = sumOf(window.toString('latin1', at + ID.length, end))
      if (Number.isNaN(sum)) continue
      this.#count = sum - this.#start
      return
    }
  }
}

/** The sum of the next offsets of all partitions; NaN if the text is not a cursor. */
export function sumOf(cursor: string): number {
  if (cursor.startsWith('~')) return sumOfCompact(cursor)
  let sum = 0
  for (const entry of cursor.split(/[,;]/)) {
    const offset = /^[\w.:-]+=(\d+)$/.exec(entry)?.[1]
    if (offset === undefined) return Number.NaN
    sum += Number(offset)
  }
  return sum
}

function sumOfCompact(cursor: string): number {
  try {
    return parseCursor(cursor, 'id').reduce((sum, entry) => {
      return sum + ('offset' in entry ? entry.offset : Number.NaN)
    }, 0)
  } catch {
    return Number.NaN
  }
}
