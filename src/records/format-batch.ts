import type { EncodedBatch } from './encoded-batch.ts'
import type { Format } from './format.ts'

/** Bytes of batches in one format, and of what they were made of. */
const LIMIT = 16 * 1024 * 1024

/**
 * Chunks as one format shows them, made once for all who read them at about the same time.
 *
 * Overflow policy: the batch goes that nobody has asked for the longest; who asks for it again has
 * it made again.
 */
class FormattedBatches {
  readonly #format: Format
  /** In the order of their last use. */
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

/** A part of a batch as a format shows it; as it is without one. */
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
