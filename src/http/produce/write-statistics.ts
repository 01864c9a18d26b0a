import { type ErrorCode, KafkaConsumeError } from '../../core/errors.ts'
import { Histogram, type HistogramState } from '../../core/histogram.ts'
import type { ProducerRecord, RecordMetadata } from '../../port/producer.ts'

/** The outcome of a request: all is confirmed, the client disconnected, or the code of its first error. */
export type WriteOutcome = 'OK' | 'ABORTED' | ErrorCode

// From the time of a broker on this machine to beyond the 10 s after which a write has failed.
const CONFIRMATION_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15,
]

/** Statistics of a handler of `kafkaProduce`, since its start. */
export class WriteStatistics {
  /** Records that Kafka has confirmed. */
  records = 0
  /** Bytes of their keys and values. */
  bytes = 0
  readonly #outcomes = new Map<WriteOutcome, number>()
  readonly #confirmation = new Histogram(CONFIRMATION_SECONDS)

  /** Counts a request by its outcome. */
  countRequest(outcome: WriteOutcome): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1)
  }

  /** Counts the records of a request, when Kafka has answered for all of them. */
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
