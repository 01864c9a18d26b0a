/** The two sides of a stream that depend on its form: what encodes frames, and what writes them. */
import type { KafkaConsumeError } from '../../core/errors.ts'
import type { SubscriptionPart } from '../../feed/pending-records.ts'
import type { Gap } from '../../port/kafka.ts'

/** Where a stream's frames are written. */
export interface StreamWriter<Frames> {
  /** Resolves when more may be written; returns undefined if that is now. Never rejects. */
  write(frames: Frames): Promise<unknown> | undefined
  /** Ends the connection in the middle. */
  abort(): void
}

/** Encodes records, gaps, errors and heartbeats for the client. */
export interface StreamEncoder<Frames> {
  /** @param cursor Where the stream begins; undefined when a gap is announced first. */
  preamble(cursor: string | undefined): Frames | undefined
  records(part: Extract<SubscriptionPart, { batch: unknown }>): Frames
  /** @param cursor Where reading continues: a client that resumes there does not get the gap again. */
  gap(gap: Gap, cursor: string): Frames
  /** @param cursor The end that the client gave, before which there are no more records. */
  end(cursor: string): Frames
  error(error: KafkaConsumeError, showDetail: boolean): Frames
  /** @param cursor The position of the stream, if no frame has named it. */
  heartbeat(cursor: string | undefined): Frames
  /** The size of frames in bytes. */
  bytes(frames: Frames): number
}
