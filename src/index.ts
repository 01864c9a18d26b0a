import './runtime.ts'

export type {
  AuthenticationOptions,
  BrokerAddress,
  ConfluentRegistryOptions,
  ConsumerGroupOptions,
  ErrorHandlingOptions,
  FileReference,
  KafkaConsumeOptions,
  KafkaProduceOptions,
  OauthBearerOptions,
  RegistryAuthenticationOptions,
  RegistryBasicOptions,
  RegistryOauth2ClientOptions,
  RegistryOauth2Options,
  SchemaRegistryOptions,
  SecurityOptions,
  TopicOptions,
} from './config/option-types.ts'
export { type ConsoleOptions, kafkaConsole } from './console/console.ts'
export { type DocumentedRoutes, kafkaDocs } from './docs/docs.ts'
export { type ErrorCode, KafkaConsumeError } from './errors.ts'
export { type KafkaMetrics, kafkaMetrics, type MetricsOptions } from './ops/metrics.ts'
export { kafkaStatus } from './ops/status.ts'
export type { KafkaClient } from './plugin/client.ts'
export {
  type KafkaConsumeEnv,
  type KafkaConsumeHandler,
  kafkaConsume,
} from './plugin/kafka-consume.ts'
export {
  type KafkaProduceHandler,
  kafkaProduce,
  type ProduceStats,
} from './plugin/kafka-produce.ts'
export type {
  KafkaReader,
  ReadFrom,
  ReadLimits,
  StreamFrom,
} from './plugin/reader.ts'
export type { PartitionRange, RouteStats } from './plugin/route.ts'
export type { ConsumedRecord } from './record/consumed.ts'
export type { FormatRecord } from './record/format.ts'
export type { RecordError } from './record/prepare.ts'
export type { RecordChange, Transform } from './record/transform.ts'
export type { Gap, KafkaProblem } from './stream/source.ts'
