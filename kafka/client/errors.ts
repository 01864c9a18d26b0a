import { type ErrorCode, KafkaConsumeError } from '../../src/core/errors.ts'

/** An error that Confluent's client throws or calls back with. */
export interface ClientError {
  readonly message: string
  /** librdkafka's `rd_kafka_resp_err_t`: its own codes are negative, a broker's positive. */
  readonly code?: number
}

/** A line of librdkafka's log, as the client passes it on. */
export interface LogLine {
  /** librdkafka's facility: FAIL reports the end of a connection, FATAL the end of a producer. */
  readonly fac: string
  readonly message: string
}

const TOPIC_AUTHORIZATION_FAILED = 29
export const GROUP_AUTHORIZATION_FAILED = 30
/** The code without a right to the cluster. A producer gets it when no ACL allows it to write to any topic. */
export const CLUSTER_AUTHORIZATION_FAILED = 31
/** librdkafka's `RD_KAFKA_RESP_ERR__FATAL`. */
export const FATAL = -150

export const ALL_BROKERS_DOWN = 'all brokers are down'
/** The state when the name of a broker has no address. */
export const UNRESOLVED = 'the host name of a broker does not resolve'
/** The state when Kafka refuses a user and a password. */
export const REFUSED = 'it refused the credentials'
/** The state when a broker's certificate cannot be verified and no more is known. */
export const UNTRUSTED = 'the certificate of the broker is not trusted'
/** The state when Kafka refuses a delegation token: it answers an unknown id like a wrong HMAC. */
export const REFUSED_DELEGATION_TOKEN =
  'it refused the delegation token, which may have expired or been removed'

/**
 * The error codes of Kafka's protocol (https://kafka.apache.org/protocol#protocol_error_codes) and of
 * librdkafka (`rd_kafka_resp_err_t` in its `rdkafka.h`, which are negative) as the code of our answer
 * and the state that completes "Cannot <action>: ".
 *
 * The protocol marks some codes as retriable: such an error passes by itself, as while a broker
 * starts or ends, so it becomes KAFKA_UNAVAILABLE or KAFKA_TIMEOUT. Three are exceptions:
 * - UNKNOWN_TOPIC_OR_PARTITION (3), UNKNOWN_TOPIC_ID (100) and librdkafka's own two:
 *   {@link isUnknownTopic} explains how to find out whether the error passes.
 * - CORRUPT_MESSAGE (2): older brokers answer a record without a key in a compacted topic with it.
 * - SHARE_SESSION_… (122, 123, 133): the project does not read as a share group.
 */
const MEANINGS: ReadonlyArray<readonly [code: ErrorCode, state: string, codes: readonly number[]]> =
  [
    // __AUTHENTICATION, __SSL, ILLEGAL_SASL_STATE, SECURITY_DISABLED, SASL_AUTHENTICATION_FAILED
    ['KAFKA_AUTHENTICATION', REFUSED, [-169, -181, 34, 54, 58]],
    [
      'KAFKA_AUTHORIZATION',
      "Kafka's ACLs do not allow this user to use the topic",
      [TOPIC_AUTHORIZATION_FAILED],
    ],
    [
      'KAFKA_AUTHORIZATION',
      "Kafka's ACLs do not allow this user to use the consumer group",
      [GROUP_AUTHORIZATION_FAILED],
    ],
    [
      'KAFKA_AUTHORIZATION',
      "Kafka's ACLs do not allow this user to write",
      [CLUSTER_AUTHORIZATION_FAILED],
    ],
    [
      'KAFKA_AUTHORIZATION',
      "Kafka's ACLs do not allow this user to use the transactional id",
      [53],
    ],
    // __UNKNOWN_TOPIC, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID
    ['UNKNOWN_TOPIC', 'the topic does not exist', [-188, 3, 100]],
    // __UNKNOWN_PARTITION
    ['UNKNOWN_TOPIC', 'the topic has no such partition, or does not exist any more', [-190]],
    ['RECORD_TOO_LARGE', 'the record is larger than the topic allows', [10]],
    // INVALID_RECORD
    ['INVALID_RECORD', 'the topic does not take such a record', [87]],
    // INVALID_TIMESTAMP: message.timestamp.before.max.ms or message.timestamp.after.max.ms of the topic
    [
      'INVALID_RECORD',
      "the record's timestamp is further from the present time than the topic allows",
      [32],
    ],
    // __ALL_BROKERS_DOWN
    ['KAFKA_UNAVAILABLE', ALL_BROKERS_DOWN, [-187]],
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
        -147, // __MAX_POLL_EXCEEDED: the group has removed a member that did not poll for long
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
    ['KAFKA_TIMEOUT', 'Kafka did not answer in time', [-185, -192]],
  ]

/** All other codes: a client of ours cannot act upon them; the log has the details. */
const UNCLASSIFIED = ['KAFKA_ERROR', 'it answered with an error'] as const

const MEANING_BY_CODE = new Map(
  MEANINGS.flatMap(([code, state, codes]) => codes.map((each) => [each, [code, state]] as const)),
)

/**
 * Translates an error of Confluent's client. Its message becomes `detail`, which is for logs.
 *
 * @param action "Cannot …": the beginning of the message.
 */
export function fromClient(error: ClientError, action: string): KafkaConsumeError {
  if (error instanceof KafkaConsumeError) return error
  const [code, state] = MEANING_BY_CODE.get(error.code ?? 0) ?? UNCLASSIFIED
  return new KafkaConsumeError(code, `${action}: ${state}`, { cause: error, detail: error.message })
}

/** The error of an operation on a topic that ACLs do not allow, where no request was refused yet. */
export function topicNotAllowed(action: string): KafkaConsumeError {
  return fromClient(
    { code: TOPIC_AUTHORIZATION_FAILED, message: 'Topic authorization failed' },
    action,
  )
}

/** An error of connecting to Kafka. */
export function connectionError(code: ErrorCode, state: string, detail: string): KafkaConsumeError {
  return new KafkaConsumeError(code, `Cannot connect to Kafka: ${state}`, { detail })
}

const CONNECTION_LOG: ReadonlyArray<readonly [line: RegExp, code: ErrorCode, state: string]> = [
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
  [/Failed to resolve/i, 'KAFKA_UNAVAILABLE', UNRESOLVED],
  [/Connection refused/i, 'KAFKA_UNAVAILABLE', ALL_BROKERS_DOWN],
]

/**
 * The error of connecting that a line of librdkafka's log reports, if it reports one. The client's
 * own error says only "ssl error" or "authentication failure", without a code.
 */
export function connectionErrorIn({ fac, message }: LogLine): KafkaConsumeError | undefined {
  if (fac !== 'FAIL') return undefined
  const found = CONNECTION_LOG.find(([line]) => line.test(message))
  if (!found) return undefined
  const [, code, state] = found
  return connectionError(code, state, message.replace(/^\[thrd:.*?\]: /, ''))
}

/** The fatal error of a producer that a line of librdkafka's log reports, if it reports one. */
export function fatalIn({ fac, message }: LogLine): ClientError | undefined {
  if (fac !== 'FATAL') return undefined
  const isUnauthorized = /: Broker: Cluster authorization failed/.test(message)
  return { code: isUnauthorized ? CLUSTER_AUTHORIZATION_FAILED : FATAL, message }
}

/** Whether an error passes by itself: the client goes on trying. */
export function isPassing({ code }: KafkaConsumeError): boolean {
  return code === 'KAFKA_UNAVAILABLE' || code === 'KAFKA_TIMEOUT'
}

/**
 * Whether Kafka answered that a topic or a partition does not exist. Only its metadata can be
 * believed in this (`kafka/cluster/topics.ts`): a broker that has just started gives this answer for
 * every partition that it has not loaded yet, for seconds where there are many.
 */
export function isUnknownTopic({ code }: KafkaConsumeError): boolean {
  return code === 'UNKNOWN_TOPIC'
}

/**
 * The error in place of {@link isUnknownTopic} for a topic that exists by Kafka's metadata.
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
