import { type ErrorCode, KafkaConsumeError } from '../../core/errors.ts'
import { Histogram, type HistogramState } from '../../core/histogram.ts'
import type { ProducerRecord, RecordMetadata } from '../../port/kafka.ts'

/** How a request to write ended: all is confirmed, the client left, or the code of its first error. */
export type WriteOutcome = 'OK' | 'ABORTED' | ErrorCode

// From what a broker beside us takes to beyond the 10 s after which a record counts as not confirmed.
const CONFIRMATION_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15,
]

/** What a handler of `kafkaProduce` counts, since its start. */
export class WriteStatistics {
  /** Records that Kafka has confirmed. */
  records = 0
  /** Bytes of their keys and values. */
  bytes = 0
  readonly #outcomes = new Map<WriteOutcome, number>()
  readonly #confirmation = new Histogram(CONFIRMATION_SECONDS)

  /** A request has ended so. */
  countRequest(outcome: WriteOutcome): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1)
  }

  /** Kafka has answered for all records of a request. */
  countRecords(
    records: readonly ProducerRecord[],
    results: ReadonlyArray<RecordMetadata | KafkaConsumeError>,
    seconds: number,
  ): void {
    this.#confirmation.observe(seconds)
    for (const [index, { key, value }] of records.entries()) {
      if (results[index] instanceof KafkaConsumeError) continue
      this.records++
      this.bytes += (key?.length ?? 0) + (value?.length ?? 0)
    }
  }

  outcomes(): Readonly<Partial<Record<WriteOutcome, number>>> {
    return Object.fromEntries(this.#outcomes)
  }

  confirmation(): HistogramState {
    return this.#confirmation.state()
  }
}
