import { type ErrorCode, KafkaConsumeError } from '../src/errors.ts'
import type { KafkaProblem } from '../src/stream/source.ts'

/** What Confluent's client throws and calls back with. */
export interface ClientError {
  readonly message: string
  /** librdkafka's `rd_kafka_resp_err_t`: negative ones are its own, positive ones the broker's. */
  readonly code?: number
}

/** A line of librdkafka's log, as the client passes it on. */
export interface LogLine {
  /** What the line is about: FAIL is the end of a connection. */
  readonly fac: string
  readonly message: string
}

export const TOPIC_AUTHORIZATION_FAILED = 29
export const GROUP_AUTHORIZATION_FAILED = 30
/** Of a producer: no ACL allows it to write to any topic. */
const CLUSTER_AUTHORIZATION_FAILED = 31
/** librdkafka's `RD_KAFKA_RESP_ERR__FATAL`. */
export const FATAL = -150

const AUTHENTICATION = new Set([-169, -181, 34, 54, 58])
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

/** What stands between us and a broker. */
export interface Trouble {
  readonly code: KafkaProblem['code']
  /** Completes "Cannot …: ". */
  readonly state: string
  /** librdkafka's own words. */
  readonly detail: string
}

/** Every broker is away. */
export const DOWN = { code: 'KAFKA_UNAVAILABLE', state: 'all brokers are down' } as const

/** What a broker's certificate is when no more is known. */
export const UNTRUSTED = 'the certificate of the broker is not trusted'

/** What is said of a user and a password. */
export const REFUSED = 'it refused the credentials'
/** What Kafka says of a token's id that it does not know is the same as of a wrong HMAC. */
export const REFUSED_DELEGATION_TOKEN =
  'it refused the delegation token, which may have expired or been removed'

const TROUBLES: ReadonlyArray<readonly [words: RegExp, code: Trouble['code'], state: string]> = [
  [/certificate verify failed/i, 'KAFKA_TLS', UNTRUSTED],
  [
    /alert (?:(?:bad|no|unsupported) certificate|certificate|unknown ca|access denied)/i,
    'KAFKA_TLS',
    'it refused our certificate, or that there is none',
  ],
  [/PLAINTEXT broker listener/, 'KAFKA_TLS', 'the broker does not speak TLS there'],
  [/SSL handshake failed: (?!Disconnected)/, 'KAFKA_TLS', 'no TLS connection comes about'],
  [
    /Unsupported SASL mechanism|does not support SASL|SASL .*mechanism handshake failed/i,
    'KAFKA_AUTHENTICATION',
    'it does not offer our SASL mechanism',
  ],
  [/invalid_token/, 'KAFKA_AUTHENTICATION', 'it refused the token'],
  [/authentication (?:error|fail)/i, 'KAFKA_AUTHENTICATION', REFUSED],
  [/Connection refused|Failed to resolve/i, DOWN.code, DOWN.state],
]

/**
 * What a line of librdkafka's log says of reaching Kafka, if it does. Its errors come to us as
 * "ssl error" or "authentication failure", and their codes not at all: only its log has more.
 */
export function troubleIn({ fac, message }: LogLine): Trouble | undefined {
  if (fac !== 'FAIL') return undefined
  const found = TROUBLES.find(([words]) => words.test(message))
  if (!found) return undefined
  const [, code, state] = found
  return { code, state, detail: message.replace(/^\[thrd:.*?\]: /, '') }
}

/** What a line of librdkafka's log says has ended the life of a producer, if it does. */
export function fatalIn({ fac, message }: LogLine): ClientError | undefined {
  if (fac !== 'FATAL') return undefined
  const isUnauthorized = /: Broker: Cluster authorization failed/.test(message)
  return { code: isUnauthorized ? CLUSTER_AUTHORIZATION_FAILED : FATAL, message }
}

/** @param action "Cannot …": the beginning of the message. */
export function troubleError({ code, state, detail }: Trouble, action: string): KafkaConsumeError {
  return new KafkaConsumeError(code, `${action}: ${state}`, { detail })
}

/** Whether the client gets over it without our help. */
export function isPassing({ code }: KafkaConsumeError): boolean {
  return code === 'KAFKA_UNAVAILABLE' || code === 'KAFKA_TIMEOUT'
}

function describe(code: number): [ErrorCode, string] {
  if (AUTHENTICATION.has(code)) return ['KAFKA_AUTHENTICATION', REFUSED]
  if (code === TOPIC_AUTHORIZATION_FAILED) {
    return ['KAFKA_AUTHORIZATION', 'its ACLs do not allow us the topic']
  }
  if (code === GROUP_AUTHORIZATION_FAILED) {
    return ['KAFKA_AUTHORIZATION', 'its ACLs do not allow us the consumer group']
  }
  if (code === CLUSTER_AUTHORIZATION_FAILED) {
    return ['KAFKA_AUTHORIZATION', 'its ACLs do not allow us to write']
  }
  if (code === 53) return ['KAFKA_AUTHORIZATION', 'its ACLs do not allow us the transactional id']
  if (code === 3 || code === -188) return ['UNKNOWN_TOPIC', 'the topic does not exist']
  if (code === -190) return ['UNKNOWN_TOPIC', 'the topic has no such partition']
  if (code === 10) return ['RECORD_TOO_LARGE', 'the record is larger than the topic allows']
  // A timestamp that is too far from now is told by a code of its own.
  if (code === 87 || code === 32) return ['INVALID_RECORD', 'the topic does not take such a record']
  if (code === -187) return ['KAFKA_UNAVAILABLE', 'all brokers are down']
  if (UNAVAILABLE.has(code)) return ['KAFKA_UNAVAILABLE', 'its brokers are not reachable']
  if (TIMED_OUT.has(code)) return ['KAFKA_TIMEOUT', 'it did not answer in time']
  if (REBALANCING.has(code)) return ['KAFKA_UNAVAILABLE', 'the members of the group are changing']
  return ['KAFKA_ERROR', 'it answered with an error']
}
