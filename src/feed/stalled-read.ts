import { KafkaConsumeError } from '../core/errors.ts'

/** Milliseconds without a record, although there are records, after which a read of one request gives up. */
const STALL_MS = 10_000

/** @param since When records were due last, in `performance.now()`'s time. */
export function hasStalled(since: number): boolean {
  return performance.now() - since > STALL_MS
}

/** The error of a read that has stalled before a first record. */
export function stalledError(): KafkaConsumeError {
  return new KafkaConsumeError(
    'KAFKA_TIMEOUT',
    'Cannot read from Kafka: Kafka did not answer in time',
  )
}
