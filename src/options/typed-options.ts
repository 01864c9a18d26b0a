/** Options whose types decide the types of records and answers. Functions infer them. */
import type { FormatRecord } from '../records/format.ts'
import type { KafkaConsumeOptions, KafkaProduceOptions, KafkaTopics } from './option-types.ts'

/** How records are delivered. */
export type DeliveryMode = 'http-get' | 'server-sent-events' | 'websocket' | 'auto'

/** The form of answers. */
export type ResponseFormat = 'kong' | 'records' | 'value' | 'cloudevents'

/** Options of `kafkaReader`, with the type of its topics. */
export interface KafkaReaderOptions<Topics extends KafkaTopics> extends KafkaConsumeOptions {
  /** @inheritDoc */
  readonly topics: Topics
}

/** Options of `kafkaConsume`, with the types that decide its answers. */
export interface KafkaRouteOptions<
  Topics extends KafkaTopics,
  Mode extends DeliveryMode,
  Form extends ResponseFormat,
  Formatted,
> extends KafkaReaderOptions<Topics> {
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
  readonly topics: Topics
}
