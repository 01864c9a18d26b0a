import { type ErrorCode, KafkaConsumeError } from '../../src/core/errors.ts'
import type { KafkaOutage } from '../../src/port/kafka.ts'

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

const TOPIC_AUTHORIZATION_FAILED = 29
export const GROUP_AUTHORIZATION_FAILED = 30
/** Of a producer: no ACL allows it to write to any topic. */
const CLUSTER_AUTHORIZATION_FAILED = 31
/** librdkafka's `RD_KAFKA_RESP_ERR__FATAL`. */
export const FATAL = -150

/** Every broker is away. */
export const DOWN = { code: 'KAFKA_UNAVAILABLE', state: 'all brokers are down' } as const

/** What is said of a user and a password. */
export const REFUSED = 'it refused the credentials'

/**
 * What the error codes of Kafka's protocol (https://kafka.apache.org/protocol#protocol_error_codes)
 * and of librdkafka (`rd_kafka_resp_err_t` in its `rdkafka.h`; these are negative) mean to a client
 * of ours: the code of the answer, and the text that completes "Cannot …: ".
 *
 * Every code that the protocol marks as retriable passes by itself, as while a broker starts or
 * ends, so it is KAFKA_UNAVAILABLE or KAFKA_TIMEOUT. Three are exceptions:
 * - UNKNOWN_TOPIC_OR_PARTITION (3), UNKNOWN_TOPIC_ID (100) and librdkafka's own two: see
 *   {@link isUnknownTopic}, which tells how to find out whether that passes.
 * - CORRUPT_MESSAGE (2): older brokers say so of a record without a key in a compacted topic.
 * - SHARE_SESSION_… (122, 123, 133): librdkafka reads no share groups here.
 */
const MEANINGS: ReadonlyArray<readonly [code: ErrorCode, state: string, codes: readonly number[]]> =
  [
    // __AUTHENTICATION, __SSL, ILLEGAL_SASL_STATE, SECURITY_DISABLED, SASL_AUTHENTICATION_FAILED
    ['KAFKA_AUTHENTICATION', REFUSED, [-169, -181, 34, 54, 58]],
    ['KAFKA_AUTHORIZATION', 'its ACLs do not allow us the topic', [TOPIC_AUTHORIZATION_FAILED]],
    [
      'KAFKA_AUTHORIZATION',
      'its ACLs do not allow us the consumer group',
      [GROUP_AUTHORIZATION_FAILED],
    ],
    ['KAFKA_AUTHORIZATION', 'its ACLs do not allow us to write', [CLUSTER_AUTHORIZATION_FAILED]],
    ['KAFKA_AUTHORIZATION', 'its ACLs do not allow us the transactional id', [53]],
    // __UNKNOWN_TOPIC, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID
    ['UNKNOWN_TOPIC', 'the topic does not exist', [-188, 3, 100]],
    // __UNKNOWN_PARTITION
    ['UNKNOWN_TOPIC', 'the topic has no such partition', [-190]],
    ['RECORD_TOO_LARGE', 'the record is larger than the topic allows', [10]],
    // INVALID_RECORD; INVALID_TIMESTAMP is of a timestamp that is too far from now.
    ['INVALID_RECORD', 'the topic does not take such a record', [87, 32]],
    // __ALL_BROKERS_DOWN
    [DOWN.code, DOWN.state, [-187]],
    [
      'KAFKA_UNAVAILABLE',
      'its brokers are not reachable',
      [
        -197, // __DESTROY
        -195, // __TRANSPORT
        -193, // __RESOLVE
        -182, // __NODE_UPDATE
        -166, // __TIMED_OUT_QUEUE
        -146, // __UNKNOWN_BROKER
        -137, // __DESTROY_BROKER
        7, // REQUEST_TIMED_OUT
        8, // BROKER_NOT_AVAILABLE, which the protocol does not mark as retriable
        13, // NETWORK_EXCEPTION
        72, // LISTENER_NOT_FOUND
      ],
    ],
    [
      'KAFKA_UNAVAILABLE',
      'a partition has no leader that answers',
      [
        -164, // __WAIT_CACHE
        5, // LEADER_NOT_AVAILABLE
        6, // NOT_LEADER_OR_FOLLOWER
        9, // REPLICA_NOT_AVAILABLE
        41, // NOT_CONTROLLER
        56, // KAFKA_STORAGE_ERROR
        74, // FENCED_LEADER_EPOCH
        75, // UNKNOWN_LEADER_EPOCH
        78, // OFFSET_NOT_AVAILABLE
        80, // PREFERRED_LEADER_NOT_AVAILABLE
        83, // ELIGIBLE_LEADERS_NOT_AVAILABLE
        84, // ELECTION_NOT_NEEDED
        103, // INCONSISTENT_TOPIC_ID
        106, // FETCH_SESSION_TOPIC_ID_ERROR
      ],
    ],
    [
      'KAFKA_UNAVAILABLE',
      'the coordinator of the group is not ready',
      [
        -180, // __WAIT_COORD
        14, // COORDINATOR_LOAD_IN_PROGRESS
        15, // COORDINATOR_NOT_AVAILABLE
        16, // NOT_COORDINATOR
        88, // UNSTABLE_OFFSET_COMMIT
      ],
    ],
    [
      'KAFKA_UNAVAILABLE',
      'too few replicas are in sync',
      [
        -183, // __ISR_INSUFF
        19, // NOT_ENOUGH_REPLICAS
        20, // NOT_ENOUGH_REPLICAS_AFTER_APPEND
      ],
    ],
    [
      'KAFKA_UNAVAILABLE',
      'the members of the group are changing',
      [
        -147, // __MAX_POLL_EXCEEDED: the group has given up a member that was away for long
        -142, // __ASSIGNMENT_LOST
        22, // ILLEGAL_GENERATION
        25, // UNKNOWN_MEMBER_ID
        27, // REBALANCE_IN_PROGRESS
        110, // FENCED_MEMBER_EPOCH
        111, // UNRELEASED_INSTANCE_ID
        113, // STALE_MEMBER_EPOCH
      ],
    ],
    [
      'KAFKA_UNAVAILABLE',
      'it is busy',
      [
        -178, // __IN_PROGRESS
        -177, // __PREV_IN_PROGRESS
        -163, // __INTR
        -158, // __PARTIAL
        -153, // __RETRY
        51, // CONCURRENT_TRANSACTIONS
        70, // FETCH_SESSION_ID_NOT_FOUND
        71, // INVALID_FETCH_SESSION_EPOCH
        89, // THROTTLING_QUOTA_EXCEEDED
      ],
    ],
    // __TIMED_OUT, __MSG_TIMED_OUT
    ['KAFKA_TIMEOUT', 'it did not answer in time', [-185, -192]],
  ]

/** What other codes mean: nothing that a client could act upon, but the log has more. */
const UNCLASSIFIED = ['KAFKA_ERROR', 'it answered with an error'] as const

const MEANING_BY_CODE = new Map(
  MEANINGS.flatMap(([code, state, codes]) => codes.map((each) => [each, [code, state]] as const)),
)

/**
 * An error of the client, in our terms. Its own words become `detail`, which is for logs.
 *
 * @param action "Cannot …": the beginning of the message.
 */
export function fromClient(error: ClientError, action: string): KafkaConsumeError {
  if (error instanceof KafkaConsumeError) return error
  const [code, state] = MEANING_BY_CODE.get(error.code ?? 0) ?? UNCLASSIFIED
  return new KafkaConsumeError(code, `${action}: ${state}`, { cause: error, detail: error.message })
}

/** What stands between us and a broker. */
export interface ClientTrouble {
  readonly code: KafkaOutage['code']
  /** Completes "Cannot …: ". */
  readonly state: string
  /** librdkafka's own words. */
  readonly detail: string
}

/** What a broker's certificate is when no more is known. */
export const UNTRUSTED = 'the certificate of the broker is not trusted'

/** What Kafka says of a token's id that it does not know is the same as of a wrong HMAC. */
export const REFUSED_DELEGATION_TOKEN =
  'it refused the delegation token, which may have expired or been removed'

const TROUBLES: ReadonlyArray<
  readonly [words: RegExp, code: ClientTrouble['code'], state: string]
> = [
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
export function troubleIn({ fac, message }: LogLine): ClientTrouble | undefined {
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
export function troubleError(
  { code, state, detail }: ClientTrouble,
  action: string,
): KafkaConsumeError {
  return new KafkaConsumeError(code, `${action}: ${state}`, { detail })
}

/** Whether the client gets over it without our help. */
export function isPassing({ code }: KafkaConsumeError): boolean {
  return code === 'KAFKA_UNAVAILABLE' || code === 'KAFKA_TIMEOUT'
}

/**
 * Whether Kafka says that a topic or a partition does not exist. Only its metadata is to be believed
 * in this (`Cluster.partitions`): a broker that has just started says so of every partition that it
 * has not loaded yet, for seconds where there are many.
 */
export function isUnknownTopic({ code }: KafkaConsumeError): boolean {
  return code === 'UNKNOWN_TOPIC'
}

/**
 * What a broker means that says that a topic does not exist which Kafka's metadata has.
 *
 * @param action "Cannot …": the beginning of the message.
 */
export function notLoaded(action: string, cause: KafkaConsumeError): KafkaConsumeError {
  const { detail } = cause
  return new KafkaConsumeError(
    'KAFKA_UNAVAILABLE',
    `${action}: a broker has not loaded the topic yet`,
    { cause, ...(detail !== undefined && { detail }) },
  )
}
