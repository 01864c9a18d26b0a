import { Histogram, type HistogramState } from '../../core/histogram.ts'

/** Ways in which records leave a route: a stream, a read from a position, a read as the group. */
export const READ_KINDS = ['stream', 'read', 'group'] as const

/** One of {@link READ_KINDS}. */
export type ReadKind = (typeof READ_KINDS)[number]

/** Records and bytes sent since the start. */
export interface SentTotals {
  /** Records, counted when they are put into an answer. */
  records: number
  /** Bytes of answers and streams; heartbeats included. */
  bytes: number
}

// From the latency on one machine to that of an outage.
const LATENCY_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
]

/** How far the clock of a record's producer may be ahead of this one. */
const MAX_CLOCK_SKEW_MS = 60_000

/**
 * Counters of a route. They are plain fields, because each write to each stream increments some of
 * them; metrics read them when they are asked for.
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
   * Observes the latency of records that are written now. Records from before their stream was opened
   * are left out, because their age says nothing about latency.
   *
   * @param timestamp The timestamp of the oldest record, in milliseconds since 1970.
   * @param opened When the stream was opened, in milliseconds since 1970.
   */
  observeLatency(timestamp: number, opened: number): void {
    if (timestamp < opened) return
    const latency = Date.now() - timestamp
    // A clock may be somewhat ahead of this one; a larger number is not in milliseconds.
    if (latency > -MAX_CLOCK_SKEW_MS) this.#latency.observe(Math.max(0, latency) / 1_000)
  }

  latency(): HistogramState {
    return this.#latency.state()
  }
}
