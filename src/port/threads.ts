/** The part of the port that is for several threads which read through one Kafka side. */
import type { EncodingSpec } from './encoding.ts'

/** The use of a consumer, by which consumers of several threads may share their reads. */
export interface ConsumerUse {
  /** How records will be encoded. Absent: not at all. */
  readonly spec: EncodingSpec | undefined
  /** Whether reading may begin at other offsets than those that were asked for. */
  readonly mayBeginElsewhere: boolean
  /**
   * The topic ids (KIP-516) for which the offsets hold, once a topic has been re-created: equal offsets
   * of its former records are others.
   */
  readonly topicIds?: string | undefined
}

/** Places that several threads take and leave. */
export interface SharedPlaces {
  /** The places that are taken, by all threads. */
  readonly taken: number
  /** Since when another thread has waited for a place, in milliseconds since 1970; undefined while none waits. */
  readonly othersWaitSince: number | undefined
  /** Takes places, or leaves them with a negative number. */
  add(places: number): void
  /** Says since when this thread has waited for a place, in whole milliseconds since 1970. */
  waitSince(time: number | undefined): void
  /** Asks other threads to leave a place that they can do without. */
  ask(): void
  /** Called when another thread asks. */
  onAsked(leave: () => void): void
  /** Leaves all places for good. */
  release(): void
}

/** The part of a Kafka side by which threads that read through it share limits. */
export interface ThreadSharing {
  /** The places of a name, which all threads share. Default: each caller counts for itself. */
  sharedPlaces?(name: string): SharedPlaces
}
