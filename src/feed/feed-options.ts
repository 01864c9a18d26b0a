import type { SharedPlaces } from '../port/threads.ts'
import type { MessageDeserializer } from '../records/encode.ts'
import type { RecordProcessor } from '../records/record-processor.ts'

/** The options that two routes must have in common to share a feed. */
export interface FeedOptions {
  readonly topics: readonly string[]
  readonly messageDeserializer: MessageDeserializer
  /** Absent: records are encoded as they are, without waiting. */
  readonly processor?: RecordProcessor | undefined
  readonly ringBytes: number
  readonly maxCatchUpReads: number
  /** The places of catch-up reads, where other threads take them, too. */
  readonly places?: SharedPlaces | undefined
}

/** Durations of a feed, in milliseconds. */
export const FEED_TIMES = {
  /** How long a live consumer goes on without subscribers, for clients that reconnect or poll. */
  idleTimeout: 30_000,
  /** How old end offsets may be for a read of old records while no live consumer follows. */
  maxEndsAge: 1_000,
  /** Between two checks of the topics, while there are subscribers. */
  checkInterval: 10_000,
  /** The least time between a check and the next one that a request asks for. */
  minCheckInterval: 1_000,
  /** How long topics may be missing before a check reports them gone. */
  grace: 8_000,
  /** How long a catch-up read is kept for a client that asks for its next page. */
  suspendedRead: 3_000,
  /** How long the ring buffer of a live consumer is kept for its subscribers after a handover. */
  drain: 30_000,
}
