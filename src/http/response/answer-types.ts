/** The types of answers, by which `hc` of Hono types responses. */
import type { MiddlewareHandler, TypedResponse } from 'hono'
import type { JSONParsed } from 'hono/utils/types'
import type { ErrorCode, KafkaConsumeError } from '../../core/errors.ts'
import type { Gap } from '../../port/kafka.ts'
import type {
  AnyRecord,
  FailedRecord,
  RecordHeaders,
  ValidRecord,
} from '../../records/consumed-record.ts'

/** The body of an answer that reports an error. */
export interface ErrorAnswer {
  /** Reads "Cannot <action>: <state>", for people. */
  readonly message: string
  /** A stable code, for programs. */
  readonly code: ErrorCode
  /** Whether the same request may succeed later. */
  readonly retryable?: boolean
  /** The Kafka client's own words, where the route shows them. */
  readonly error?: string
}

/** The statuses of answers that report an error. */
export type ErrorStatus = KafkaConsumeError['status']

/** An answer with a typed body. */
export type Answer<
  Body,
  Status extends 200 | ErrorStatus = 200,
  Form extends string = 'json',
> = HonoResponse & TypedResponse<Body, Status, Form>

/** `Response`, by way of Hono: these types need no DOM library beyond what Hono's own need. */
type HonoResponse = Exclude<Awaited<ReturnType<MiddlewareHandler>>, void>

/** An answer with `format=records`. */
export interface RecordsAnswer<Received extends AnyRecord> {
  /** In the order of each partition. */
  readonly records: Received[]
  /** The position after the records; absent for a read as the consumer group. */
  readonly cursor?: string
  /** Offsets that Kafka no longer has; absent where there are none. */
  readonly gaps?: Gap[]
}

/** An answer in Kong's form: records by topic and partition. */
export type KongAnswer<Received extends AnyRecord> = {
  readonly [Topic in Received['topic']]: KongTopic<RecordInPartition<OfTopic<Received, Topic>>>
}

/** A topic in Kong's form. */
export interface KongTopic<Received> {
  /** The partitions by their numbers. */
  readonly partitions: Readonly<Record<string, KongPartition<Received>>>
}

/** A partition in Kong's form. */
export interface KongPartition<Received> {
  /** Always 0. */
  readonly errcode: 0
  /** The offset after the newest record; -1 where it is not known. */
  readonly high_watermark: number
  /** The offset of the first undecided transaction, or the high watermark; -1 where it is not known. */
  readonly last_stable_offset: number
  /** Always empty. */
  readonly aborted_transactions: never[]
  /** The records of the partition. */
  readonly records: Received[]
}

/** A record as JSON gives it: a `Date` that a schema returns is a text. */
export type JsonRecord<Received extends AnyRecord> =
  Received extends ValidRecord<infer Topic, infer Value, infer Key, infer Headers>
    ? ValidRecord<
        Topic,
        JSONParsed<Value>,
        JSONParsed<Key>,
        RecordHeaders extends Headers ? Headers : JSONParsed<Headers>
      >
    : Received

/** An element of an answer with `format=value`: a value, or whole a record that failed. */
export type ValueOf<Received extends AnyRecord> = Received extends FailedRecord
  ? Received
  : Received extends ValidRecord<string, infer Value, unknown, unknown>
    ? Value
    : unknown

type OfTopic<Received extends AnyRecord, Topic> =
  Received extends Readonly<Record<'topic', Topic>>
    ? Received
    : Received & Readonly<Record<'topic', Topic>>

type RecordInPartition<Received> = Received extends unknown
  ? Omit<Received, 'topic' | 'partition'>
  : never
