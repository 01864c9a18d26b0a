import type { Delivery } from '../../port/kafka.ts'

/** A delivery with gaps that its client has not confirmed. */
interface SentGap {
  readonly delivery: Delivery
  /** `performance.now()` when they were sent. */
  readonly since: number
  /** Acks the records of the delivery that the client does not get. */
  ackOthers(): void
}

/**
 * Gaps that were sent to a client. It counts as told of them when it acknowledges any record afterwards, or
 * stays for a while; else the next client is told.
 */
export class SentGaps {
  readonly #sent: SentGap[] = []

  /**
   * @param delivery It has gaps. The records that the client gets are requeued elsewhere.
   * @param ackOthers Acks the other records, or the whole delivery where the client gets none. An ack
   * confirms the gaps.
   */
  add(delivery: Delivery, ackOthers: () => void): void {
    this.#sent.push({ delivery, since: performance.now(), ackOthers })
  }

  /** The client has had what was sent until some time, in `performance.now()`'s time. */
  confirm(until: number): void {
    while (this.#sent[0] && this.#sent[0].since <= until) this.#sent.shift()?.ackOthers()
  }

  /** The client left: the next one is told of what it has not confirmed. */
  requeue(): void {
    for (const { delivery } of this.#sent.splice(0)) delivery.requeue()
  }
}
