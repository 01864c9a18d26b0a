import { Histogram, type HistogramState } from '../../core/histogram.ts'

/** Ways in which records leave a route: a stream, a read from a position, a read as the group. */
export const READ_KINDS = ['stream', 'read', 'group'] as const

/** One of {@link READ_KINDS}. */
export type ReadKind = (typeof READ_KINDS)[number]

/** What was sent, since the start. */
export interface SentTotals {
  /** Records, counted when they are put into an answer. */
  records: number
  /** Bytes of answers; of streams with their heartbeats. */
  bytes: number
}

// From what a client on the same machine sees to what an outage makes of it.
const LATENCY_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
]

/** By how much the clock of a record's producer may be ahead of this one. */
const MAX_CLOCK_SKEW_MS = 60_000

/**
 * What a route counts, in plain fields: some of it at every write, so that counting has to cost
 * nothing. Whoever shows it asks for it.
 */
export class RouteStatistics {
  readonly sent: Readonly<Record<ReadKind, SentTotals>> = {
    stream: { records: 0, bytes: 0 },
    read: { records: 0, bytes: 0 },
    group: { records: 0, bytes: 0 },
  }
  /** Streams closed because their client read nothing for `writeDeadline`. */
  silent = 0
  /** Gaps announced. */
  gaps = 0
  /** Answers that were not compressed, because too many were being compressed. */
  uncompressed = 0
  readonly #latency = new Histogram(LATENCY_SECONDS)

  /**
   * Records that came while their stream was open are written now. Older ones say nothing of how
   * quick we are.
   *
   * @param timestamp Of the oldest of them, in milliseconds since 1970.
   * @param opened When the stream was opened, the same.
   */
  observeLatency(timestamp: number, opened: number): void {
    if (timestamp < opened) return
    const latency = Date.now() - timestamp
    // A clock may be a little ahead of this one; further ahead the number is not milliseconds.
    if (latency > -MAX_CLOCK_SKEW_MS) this.#latency.observe(Math.max(0, latency) / 1_000)
  }

  latency(): HistogramState {
    return this.#latency.state()
  }
}
