/** The producer as the HTTP side sees it: records to write, and where they were written. */
import type { KafkaConsumeError } from '../core/errors.ts'
import type { KafkaRecord, PartitionOffset } from './kafka.ts'

/** A record to write. */
export interface ProducerRecord {
  readonly topic: string
  /** Absent: chosen by the key as Java's clients do, or at random for a record without a key. */
  readonly partition?: number | undefined
  /** Milliseconds since 1970. Absent or not above 0: now. */
  readonly timestamp?: number | undefined
  readonly key: Uint8Array | null
  /** `null` is a tombstone. */
  readonly value: Uint8Array | null
  readonly headers?: KafkaRecord['headers']
  /** Records of one text are written once, whichever threads send them. Default: each is written. */
  readonly once?: string | undefined
}

/** The `acks` level: all in-sync replicas have the record, or their leader has it. */
export type Acknowledgement = 'all' | 'leader'

/**
 * How records are written: the `acks` level, or `each`, which is `all` with a batch for each record.
 * A topic limits the size of batches, so that with `each` no record is rejected for its neighbours.
 */
export type ProducerProfile = Acknowledgement | 'each'

/**
 * Where a record was written. The offset is null when Kafka says only that it has the record: its
 * first answer was lost, as when a broker fails, and the record was sent again.
 */
export interface RecordMetadata extends Omit<PartitionOffset, 'offset'> {
  /** The offset of the record; `null` where Kafka does not say it. */
  readonly offset: number | null
}

/** Writes records: each once and in the given order within its partition, except with `leader`. */
export interface Producer {
  /**
   * Resolves when Kafka has answered for every record: with its place, or with why it was not
   * confirmed. A record that was not confirmed in time may have been written all the same.
   *
   * @throws KafkaConsumeError when no record was accepted: TOO_MANY_RECORDS while too many others
   * wait, or why Kafka cannot be reached.
   */
  send(records: readonly ProducerRecord[]): Promise<Array<RecordMetadata | KafkaConsumeError>>
}
