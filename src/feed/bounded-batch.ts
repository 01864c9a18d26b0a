import type { Cursor } from '../records/cursor.ts'
import type { EncodedBatch } from '../records/encoded-batch.ts'
import { isAtOrBelow } from './ring-buffer.ts'

/**
 * The records of a batch before an end, or the batch itself where it ends before. No id of the part
 * names an offset beyond the end: a client that resumes there without an end would miss records.
 *
 * @param cursor The position of the subscription, which moves over the part.
 */
export function partBefore(end: Float64Array, batch: EncodedBatch, cursor: Cursor): EncodedBatch {
  if (isAtOrBelow(batch.to, end)) return batch
  const { partitions, offsets } = batch
  const indexes = Array.from(offsets.keys()).filter((index) => {
    return (offsets[index] as number) < (end[partitions[index] as number] as number)
  })
  const part =
    indexes.length > 0
      ? batch.pick(indexes).select(0, cursor)
      : batch.select(0, cursor, undefined, 0)
  batch.to.forEach((offset, index) => {
    const reached = Math.min(offset, end[index] as number)
    if (reached > (part.to[index] as number)) part.to[index] = reached
  })
  return part
}
