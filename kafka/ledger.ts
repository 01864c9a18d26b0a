/**
 * Which records of a group are delivered, and up to where that may be committed: an offset is
 * committed only when every record below it was delivered.
 */
export class Ledger {
  readonly #partitions = new Map<string, Account>()

  /** A record is handed out; again, if it was handed out before and came back. */
  take(topic: string, partition: number, offset: number): void {
    const name = `${topic}:${partition}`
    let account = this.#partitions.get(name)
    if (!account) {
      account = { topic, partition, undelivered: new Set(), next: offset, committable: offset }
      this.#partitions.set(name, account)
    }
    account.undelivered.add(offset)
    if (offset >= account.next) account.next = offset + 1
  }

  /**
   * A record was delivered.
   *
   * @returns false when the partition is no longer ours: another member will deliver it again.
   */
  settle(topic: string, partition: number, offset: number): boolean {
    return this.#partitions.get(`${topic}:${partition}`)?.undelivered.delete(offset) ?? false
  }

  /** The offset below which every record of a partition was delivered; none is known before the first. */
  delivered(topic: string, partition: number): number | undefined {
    const account = this.#partitions.get(`${topic}:${partition}`)
    return account && deliveredOf(account)
  }

  /** Offsets that may be committed and were not returned before. */
  committable(): Array<{ topic: string; partition: number; offset: number }> {
    const offsets = []
    for (const account of this.#partitions.values()) {
      const offset = deliveredOf(account)
      if (offset <= account.committable) continue
      account.committable = offset
      offsets.push({ topic: account.topic, partition: account.partition, offset })
    }
    return offsets
  }

  /** What was told of a partition could not be committed: it is told again. */
  uncommit(topic: string, partition: number): void {
    const account = this.#partitions.get(`${topic}:${partition}`)
    if (account) account.committable = -1
  }

  /** The partition went to another member. */
  forget(topic: string, partition: number): void {
    this.#partitions.delete(`${topic}:${partition}`)
  }
}

function deliveredOf({ undelivered, next }: Account): number {
  // A set keeps the order of insertion, and offsets are first taken in ascending order: the first
  // one is the lowest.
  const [lowest] = undelivered
  return lowest ?? next
}

interface Account {
  readonly topic: string
  readonly partition: number
  /** Offsets handed out or handed back, and not delivered yet. */
  readonly undelivered: Set<number>
  /** The offset after the highest one handed out. */
  next: number
  committable: number
}
