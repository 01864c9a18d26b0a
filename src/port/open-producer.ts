/** Producers with settings of their own. */
import type { KafkaConsumeError } from '../core/errors.ts'
import type { Acknowledgement, Producer, ProducerRecord, RecordMetadata } from './producer.ts'

/** How a producer of its own batches, retries and waits. Times are milliseconds. */
export interface ProducerSettings {
  /** `none`: a record counts as written once it was sent. Retries double no record with `all` only. */
  readonly acks: Acknowledgement | 'none'
  /** For a broker's answer to one Produce request. */
  readonly requestTimeout: number
  /** After which an unanswered request of any other kind fails. */
  readonly socketTimeout: number
  /** How often a Produce request is sent again at most. */
  readonly retries: number
  readonly retryBackoff: number
  /** Records of one partition in a Produce request at most. */
  readonly batchRecords: number
  /** Bytes of one partition in a Produce request at most; a larger record goes alone. */
  readonly batchBytes: number
  /** For which a record waits for others that are sent with it. */
  readonly batchWait: number
  /** Records that wait for Kafka at most. */
  readonly maxPending: number
  /** Whether records wait for Kafka during an outage, too. Otherwise an outage refuses them at once. */
  readonly waitsInOutage: boolean
}

/** Records that a producer has accepted. */
export interface AcceptedRecords {
  /** The outcome of each record. It rejects when Kafka cannot be reached. */
  readonly outcome: Promise<ReadonlyArray<RecordMetadata | KafkaConsumeError>>
}

/** A producer that is closed by whoever opened it. */
export interface OpenProducer extends Producer {
  /**
   * As `send`, but it tells that too many records wait before it tells their outcome.
   *
   * @throws KafkaConsumeError TOO_MANY_RECORDS or SHUTTING_DOWN.
   */
  accept(records: readonly ProducerRecord[]): AcceptedRecords | Promise<AcceptedRecords>
  /** Sends what waits, for some seconds at most, and disconnects. */
  close(): Promise<void>
}
