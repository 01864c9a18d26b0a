/** A position in a partition, and the end of the partition as it was then. */
export interface Progress {
  readonly position: number
  readonly end: number
}

/**
 * Compares from time to time how far a consumer has read with what Kafka has. A stalled consumer must
 * be detected, because its clients would only wait.
 */
export class StallDetector<Partition> {
  #last: ReadonlyMap<Partition, Progress> = new Map()

  /**
   * @param progress Each partition that is read, with an end that was asked for after the position.
   * @returns the partitions that have not moved since the last check, although Kafka had more then.
   */
  check(progress: ReadonlyMap<Partition, Progress>): Partition[] {
    const last = this.#last
    this.#last = progress
    return [...progress].flatMap(([partition, { position }]) => {
      const before = last.get(partition)
      return before?.position === position && position < before.end ? [partition] : []
    })
  }

  /** Forgets the last check, as when the consumer has waited for its clients since. */
  reset(): void {
    this.#last = new Map()
  }
}
