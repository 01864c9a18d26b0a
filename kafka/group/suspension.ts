/**
 * Milliseconds without a sign of life after which Kafka may have given the partitions to other members:
 * half of the shortest session timeout.
 */
const SUSPENDED_MS = 5_000

/**
 * Notices that the process was suspended, or blocked, for so long that other members may own its
 * partitions by now. The Kafka client learns of that only from its next heartbeat, and clients that
 * have waited would get records that others have delivered.
 */
export class Suspension {
  readonly #confirm: () => Promise<void>
  readonly #onConfirmed: () => void
  /** The last sign of life, in `performance.now()`'s time. */
  #seenAt = performance.now()
  #isConfirming = false

  /**
   * @param confirm Resolves when Kafka has confirmed that the partitions are ours, or their loss was
   * reported. Never rejects.
   * @param onConfirmed Called when records may be delivered again.
   */
  constructor(confirm: () => Promise<void>, onConfirmed: () => void) {
    this.#confirm = confirm
    this.#onConfirmed = onConfirmed
  }

  /** Whether records must wait until Kafka has confirmed the membership. Also a sign of life. */
  get holdsRecords(): boolean {
    const now = performance.now()
    const isLate = now - this.#seenAt > SUSPENDED_MS
    this.#seenAt = now
    if (isLate && !this.#isConfirming) void this.#ask()
    return this.#isConfirming
  }

  async #ask(): Promise<void> {
    this.#isConfirming = true
    await this.#confirm()
    this.#isConfirming = false
    this.#onConfirmed()
  }
}
