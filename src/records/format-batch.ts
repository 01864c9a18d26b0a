import type { EncodedBatch } from './encoded-batch.ts'
import type { Format } from './format.ts'

/** The most bytes of batches in one format, together with the batches that they were made of. */
const LIMIT = 16 * 1024 * 1024

/**
 * Batches in one format, made once for all subscribers that read them at about the same time.
 *
 * Overflow policy: the least recently used batch goes. It is formatted again for the next subscriber.
 */
class FormattedBatches {
  readonly #format: Format
  /** In the order of last use. */
  readonly #made = new Map<EncodedBatch, EncodedBatch>()
  #bytes = 0

  constructor(format: Format) {
    this.#format = format
  }

  of(batch: EncodedBatch): EncodedBatch {
    let made = this.#made.get(batch)
    if (made) this.#made.delete(batch)
    else {
      made = batch.reformat(this.#format)
      this.#bytes += made.heldBytes + batch.heldBytes
    }
    this.#made.set(batch, made)
    for (const [oldest, old] of this.#made) {
      if (this.#bytes <= LIMIT || old === made) break
      this.#made.delete(oldest)
      this.#bytes -= old.heldBytes + oldest.heldBytes
    }
    return made
  }
}

const all = new WeakMap<Format, FormattedBatches>()

/** A part of a batch in a format. Without a format it is returned as it is. */
export function formatSlice<T extends { readonly batch: EncodedBatch }>(
  part: T,
  format?: Format,
): T {
  if (!format) return part
  let shown = all.get(format)
  if (!shown) {
    shown = new FormattedBatches(format)
    all.set(format, shown)
  }
  return { ...part, batch: shown.of(part.batch) }
}
