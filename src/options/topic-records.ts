/** The types of records, by the schemas that the option `topics` gives for them. */
import type {
  ConsumedRecord,
  FailedRecord,
  PlainRecord,
  RecordHeaders,
  ValidRecord,
} from '../records/consumed-record.ts'
import type { SchemaOutput, StandardSchema } from '../records/standard-schema.ts'
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
