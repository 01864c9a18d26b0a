/** The errors of calls to a group, apart from those of Kafka's client. */
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { type ClientError, FATAL } from '../client/errors.ts'

/** The protocol's FENCED_INSTANCE_ID. */
const FENCED = 82

export function joinTimedOut(milliseconds: number): KafkaConsumeError {
  return new KafkaConsumeError(
    'KAFKA_TIMEOUT',
    `Cannot read as a group: Kafka assigned no partitions within ${milliseconds / 1000} s`,
    { retryAfter: 2 },
  )
}

/**
 * Explains a fatal error: it is all that the Kafka client reports when another member has the
 * instance id.
 *
 * @returns GROUP_MEMBER_FENCED for such an error of a member that has an instance id, else the error.
 */
export function explainFenced(
  error: KafkaConsumeError,
  instanceId: string | undefined,
): KafkaConsumeError {
  const cause = error.cause as Partial<ClientError> | undefined
  if (instanceId === undefined || (cause?.code !== FATAL && cause?.code !== FENCED)) return error
  return new KafkaConsumeError(
    'GROUP_MEMBER_FENCED',
    `Cannot read as a group: another member has the group instance id "${instanceId}"`,
    { cause, retryAfter: 5 },
  )
}
