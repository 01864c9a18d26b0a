/** Options whose types decide the types of records and answers. Functions infer them. */
import type { FormatRecord } from '../records/format.ts'
import type {
  KafkaConsumeOptions,
  KafkaProduceOptions,
  KafkaTopics,
  TopicOptions,
} from './option-types.ts'
import type { AnswerOption } from './reader-options.ts'

/**
 * Topics without unknown fields. The compiler looks for these in object literals, but not where a type
 * is inferred from the literal.
 */
type WithoutUnknownFields<Topics extends KafkaTopics> = Topics &
  (Topics extends ReadonlyArray<string | TopicOptions>
    ? { readonly [Place in keyof Topics]: KnownFields<Topics[Place]> }
    : unknown)

/** The type of an unknown field is the text of the error. */
type KnownFields<Topic> = Topic extends string
  ? unknown
  : {
      readonly [Field in Exclude<keyof Topic, keyof TopicOptions> &
        string]: `${Field} is not a field of a topic, see TopicOptions`
    }

/** How records are delivered. */
export type DeliveryMode = 'http-get' | 'server-sent-events' | 'websocket' | 'auto'

/** The form of answers. */
export type ResponseFormat = 'kong' | 'records' | 'value' | 'cloudevents'

/** Options of `kafkaReader`, with the type of its topics: those of `kafkaConsume` that concern reading. */
export interface KafkaReaderOptions<Topics extends KafkaTopics>
  extends Omit<KafkaConsumeOptions, AnswerOption> {
  /** @inheritDoc */
  readonly topics: WithoutUnknownFields<Topics>
}

/** Options of `kafkaConsume`, with the types that decide its answers. */
export interface KafkaRouteOptions<
  Topics extends KafkaTopics,
  Mode extends DeliveryMode,
  Form extends ResponseFormat,
  Formatted,
> extends KafkaConsumeOptions {
  /** @inheritDoc */
  readonly topics: WithoutUnknownFields<Topics>
  /** @inheritDoc */
  readonly mode?: Mode | undefined
  /** @inheritDoc */
  readonly responseFormat?: Form | undefined
  /** @inheritDoc */
  readonly format?: FormatRecord<Formatted> | undefined
}

/** Options of `kafkaProduce`, with the type of its topics. */
export interface KafkaWriterOptions<Topics extends KafkaTopics> extends KafkaProduceOptions {
  /** @inheritDoc */
  readonly topics: WithoutUnknownFields<Topics>
}
