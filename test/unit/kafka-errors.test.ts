import { describe, expect, test } from 'bun:test'
import {
  connectionErrorIn,
  fromClient,
  isPassing,
  isUnknownTopic,
} from '../../kafka/client/errors.ts'

/**
 * The codes that Kafka's protocol marks as retriable, by
 * `org.apache.kafka.common.protocol.Errors` of Kafka 4.3.1: those whose exception is a
 * `RetriableException`.
 */
const RETRIABLE = [
  2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83, 84, 88, 89,
  100, 103, 106, 122, 123, 133,
]
/** UNKNOWN_TOPIC_OR_PARTITION and UNKNOWN_TOPIC_ID: whether they pass, Kafka's metadata tells. */
const DENIALS = [3, 100]
/** CORRUPT_MESSAGE, which may be the answer to a record for good, and the errors of share groups. */
const NOT_PASSING = [2, 122, 123, 133]
/** Errors that librdkafka itself reports while brokers come, go and change leaders. */
const LOCAL = [
  -197, -195, -193, -192, -187, -185, -183, -182, -180, -178, -177, -166, -164, -163, -158, -153,
  -147, -146, -142, -137,
]

const errorOf = (code: number) => fromClient({ code, message: 'a test' }, 'Cannot test')

describe('an error of Kafka', () => {
  test('has its state as a field, for any action', () => {
    expect(errorOf(3).message).toBe('Cannot test: the topic does not exist')
    expect(errorOf(3).state).toBe('the topic does not exist')
    const line = { fac: 'FAIL', message: '[thrd:a]: b: Connection refused' }
    expect(connectionErrorIn(line)).toMatchObject({
      message: 'Cannot connect to Kafka: all brokers are down',
      state: 'all brokers are down',
      detail: 'b: Connection refused',
    })
  })

  test('is retryable if Kafka’s protocol calls it retriable', () => {
    const passing = [...RETRIABLE, ...LOCAL].filter(
      (code) => !DENIALS.includes(code) && !NOT_PASSING.includes(code),
    )
    for (const code of passing) {
      const error = errorOf(code)
      const { retryable } = error
      expect({ code, passes: isPassing(error), retryable }).toEqual({
        code,
        passes: true,
        retryable: true,
      })
    }
  })

  test('of an unknown topic or partition has its own code', () => {
    for (const code of [...DENIALS, -188, -190]) {
      expect([code, isUnknownTopic(errorOf(code)), errorOf(code).status]).toEqual([code, true, 404])
    }
  })

  test('about a timestamp names the timestamp', () => {
    expect(errorOf(32)).toMatchObject({
      code: 'INVALID_RECORD',
      state: "the record's timestamp is further from the present time than the topic allows",
    })
    expect(errorOf(87).state).not.toContain('timestamp')
  })

  test('without a code of ours is KAFKA_ERROR, with Kafka’s message in detail', () => {
    for (const code of [...NOT_PASSING, 42, 0]) {
      expect(errorOf(code)).toMatchObject({
        code: 'KAFKA_ERROR',
        message: 'Cannot test: it answered with an error',
        detail: 'a test',
        retryable: false,
      })
    }
  })
})
