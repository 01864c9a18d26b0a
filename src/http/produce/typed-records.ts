/** The type of a route of `kafkaProduce`, by its topics: what `hc` of Hono knows of it. */
import type { Handler } from 'hono'
import type { KafkaTopics } from '../../options/option-types.ts'
import type { NewRecord } from '../../options/topic-records.ts'
import type { RecordMetadata } from '../../port/producer.ts'
import type { BodyInput, WriteQuery } from '../request/query-types.ts'
import type { Answer, ErrorAnswer, ErrorStatus } from '../response/answer-types.ts'

/** The body of a request that writes. */
export interface NewRecords<New> {
  /** The records, which are written in this order within each partition. */
  readonly records: readonly New[]
}

/** The body of an answer to records of which Kafka has confirmed all. */
export interface WrittenAnswer {
  /** Where each record is, in the order of the request. */
  readonly records: RecordMetadata[]
}

/** The body of an answer to records of which some were not written. */
export interface NotWrittenAnswer extends ErrorAnswer {
  /** The outcome of each record; absent where none was sent to Kafka. */
  readonly records?: Array<RecordMetadata | WriteFailure>
}

/** A record that was not written. */
export interface WriteFailure {
  /** Why it was not written. */
  readonly failure: ErrorAnswer
}

/** The handler of a route that writes: its parameters, its body, its answers and its errors. */
export type ProduceHandler<Topics extends KafkaTopics> = Handler<
  // biome-ignore lint/suspicious/noExplicitAny: a handler fits any environment and any path.
  any,
  // biome-ignore lint/suspicious/noExplicitAny: a handler fits any environment and any path.
  any,
  BodyInput<NewRecords<NewRecord<Topics>>, WriteQuery<NewRecord<Topics>['topic'] & string>>,
  Promise<Answer<WrittenAnswer> | Answer<NotWrittenAnswer, ErrorStatus>>
>
