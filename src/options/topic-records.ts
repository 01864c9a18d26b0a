/** The types of records, by the schemas that the option `topics` gives for them. */
import type {
  ConsumedRecord,
  FailedRecord,
  PlainRecord,
  RecordHeaders,
  ValidRecord,
} from '../records/consumed-record.ts'
import type { SchemaInput, SchemaOutput, StandardSchema } from '../records/standard-schema.ts'
import type { KafkaTopics } from './option-types.ts'

/**
 * The records of topics: a union that `topic` discriminates. The records of a topic with a schema are
 * valid, or have an `error`. Where no topic has a schema, it is {@link ConsumedRecord}.
 *
 * @example
 * ```ts
 * import type { RecordOf } from 'hono-kafka-consume'
 * import * as v from 'valibot'
 *
 * const topics = { orders: v.object({ total: v.number() }), payments: v.object({ paid: v.boolean() }) }
 *
 * function summary(record: RecordOf<typeof topics>): string {
 *   if (record.error) return record.error.message
 *   return record.topic === 'orders' ? `${record.value.total} EUR` : `paid: ${record.value.paid}`
 * }
 * ```
 */
export type RecordOf<Topics extends KafkaTopics> = Topics extends string
  ? ConsumedRecord
  : Topics extends ReadonlyArray<infer Topic>
    ? [Extract<Topic, WithSchema>] extends [never]
      ? ConsumedRecord
      : RecordOfTopic<Topic>
    : RecordOfMap<Topics>

type RecordOfTopic<Topic> = Topic extends string
  ? PlainRecord<Topic>
  : Topic extends Readonly<Record<'name', infer Name extends string>>
    ? RecordByName<Name, Topic>
    : never

type RecordOfMap<Topics> = string extends keyof Topics
  ? ConsumedRecord
  : {
      [Name in keyof Topics & string]:
        | ValidRecord<Name, OutputOf<Topics, Name, unknown>>
        | FailedRecord<Name>
    }[keyof Topics & string]

type RecordByName<Name extends string, Topic> = Topic extends WithSchema
  ?
      | ValidRecord<
          Name,
          OutputOf<Topic, 'schema', unknown>,
          OutputOf<Topic, 'key', string | null>,
          OutputOf<Topic, 'headers', RecordHeaders>
        >
      | FailedRecord<Name>
  : PlainRecord<Name>

/** A topic with a schema for one of its fields at least. */
type WithSchema =
  | Readonly<Record<'schema', StandardSchema>>
  | Readonly<Record<'key', StandardSchema>>
  | Readonly<Record<'headers', StandardSchema>>

/** The output of the schema that a field has, or the type of a field without one. */
type OutputOf<Fields, Field extends string, Otherwise> =
  Fields extends Readonly<Record<Field, infer Schema extends StandardSchema>>
    ? SchemaOutput<Schema>
    : Otherwise

/** A record to write. Its `value`, `key` and `headers` have the types that the topic's schemas accept. */
export interface RecordToWrite<Topic extends string, Value, Key, Headers> {
  /** Name of the topic; not needed where the handler has one, or the query names it. */
  readonly topic?: Topic | undefined
  /** The value; `null` is a tombstone, which a schema must allow. */
  readonly value: Value
  /** The key. */
  readonly key?: Key | undefined
  /** The headers. */
  readonly headers?: Headers | undefined
  /** Number of the partition. Default: Kafka's choice, by the key. */
  readonly partition?: number | undefined
  /** Milliseconds since 1970, from 1 to 2^53-1. Default: now. */
  readonly timestamp?: number | undefined
  /** The fields that are base64. */
  readonly encoding?: ConsumedRecord['encoding'] | undefined
}

/** The records that can be written to topics: a union that `topic` discriminates. */
export type NewRecord<Topics extends KafkaTopics> = Topics extends string
  ? PlainRecordToWrite<string>
  : Topics extends ReadonlyArray<infer Topic>
    ? NewRecordOfTopic<Topic, IsSeveral<NameOf<Topic>>>
    : NewRecordOfMap<Topics>

type PlainRecordToWrite<Topic extends string> = RecordToWrite<
  Topic,
  unknown,
  string | null,
  RecordHeaders
>

type NewRecordOfTopic<Topic, Several> = Topic extends string
  ? Named<PlainRecordToWrite<Topic>, Several>
  : Topic extends Readonly<Record<'name', infer Name extends string>>
    ? Named<
        RecordToWrite<
          Name,
          InputOf<Topic, 'schema', unknown>,
          InputOf<Topic, 'key', string | null>,
          InputOf<Topic, 'headers', RecordHeaders>
        >,
        Several
      >
    : never

type NewRecordOfMap<Topics> = string extends keyof Topics
  ? PlainRecordToWrite<string>
  : {
      [Name in keyof Topics & string]: Named<
        RecordToWrite<Name, InputOf<Topics, Name, unknown>, string | null, RecordHeaders>,
        IsSeveral<keyof Topics & string>
      >
    }[keyof Topics & string]

type NameOf<Topic> = Topic extends string
  ? Topic
  : Topic extends Readonly<Record<'name', infer Name extends string>>
    ? Name
    : never

/** A record must name its topic where there are several. */
type Named<New extends Partial<Record<'topic', unknown>>, Several> = Several extends true
  ? New & Readonly<Record<'topic', NonNullable<New['topic']>>>
  : New

/** Whether a union of names has more than one. */
type IsSeveral<Names, Each = Names> = (
  Names extends unknown
    ? [Each] extends [Names]
      ? true
      : false
    : never
) extends true
  ? false
  : true

/** The input of the schema that a field has, or the type of a field without one. */
type InputOf<Fields, Field extends string, Otherwise> =
  Fields extends Readonly<Record<Field, infer Schema extends StandardSchema>>
    ? SchemaInput<Schema>
    : Otherwise
