import { type ErrorCode, KafkaConsumeError } from '../src/errors.ts'

/** What Confluent's client throws and calls back with. */
export interface ClientError {
  readonly message: string
  /** librdkafka's `rd_kafka_resp_err_t`: negative ones are its own, positive ones the broker's. */
  readonly code?: number
}

const AUTHENTICATION = new Set([-169, -181, 31, 34, 54, 58])
const AUTHORIZATION = new Set([29, 30, 53])
const UNAVAILABLE = new Set([-195, -193, -187, -166, 5, 6, 7, 8, 13, 14, 15, 16])
const TIMED_OUT = new Set([-185, -192])
/** A member whose group shares out partitions anew, or has given it up since it was away for long. */
const REBALANCING = new Set([-147, 22, 25, 27, 113])

/**
 * An error of the client, in our terms. Its own words become `detail`, which is for logs.
 *
 * @param action "Cannot …": the beginning of the message.
 */
export function fromClient(error: ClientError, action: string): KafkaConsumeError {
  if (error instanceof KafkaConsumeError) return error
  const [code, state] = describe(error.code ?? 0)
  return new KafkaConsumeError(code, `${action}: ${state}`, { cause: error, detail: error.message })
}

/**
 * What an `event.error` of the client is about, if it is about reaching Kafka. The client passes on
 * librdkafka's words without its code.
 */
export function troubleOf(message: string): 'down' | 'authentication' | undefined {
  if (/all broker connections are down/i.test(message)) return 'down'
  return /authenticat|sasl|invalid credentials/i.test(message) ? 'authentication' : undefined
}

/** Whether the client gets over it without our help. */
export function isPassing({ code }: KafkaConsumeError): boolean {
  return code === 'KAFKA_UNAVAILABLE' || code === 'KAFKA_TIMEOUT'
}

function describe(code: number): [ErrorCode, string] {
  if (AUTHENTICATION.has(code)) return ['KAFKA_AUTHENTICATION', 'it refused the credentials']
  if (AUTHORIZATION.has(code)) return ['KAFKA_AUTHORIZATION', 'access is not allowed']
  if (code === 3 || code === -188) return ['UNKNOWN_TOPIC', 'the topic does not exist']
  if (code === -190) return ['UNKNOWN_TOPIC', 'the topic has no such partition']
  if (code === 10) return ['RECORD_TOO_LARGE', 'the record is larger than the topic allows']
  if (code === 87) return ['INVALID_RECORD', 'the topic does not take such a record']
  if (code === -187) return ['KAFKA_UNAVAILABLE', 'all brokers are down']
  if (UNAVAILABLE.has(code)) return ['KAFKA_UNAVAILABLE', 'its brokers are not reachable']
  if (TIMED_OUT.has(code)) return ['KAFKA_TIMEOUT', 'it did not answer in time']
  if (REBALANCING.has(code)) return ['KAFKA_UNAVAILABLE', 'the members of the group are changing']
  return ['KAFKA_ERROR', 'it answered with an error']
}
