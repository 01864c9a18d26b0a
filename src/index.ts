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
export { type ErrorCode, type ErrorDetails, KafkaConsumeError } from './errors.ts'
export type { HistogramState } from './ops/histogram.ts'
export {
  type KafkaMetrics,
  kafkaMetrics,
  type MetricsOptions,
  type MetricsRegistry,
} from './ops/metrics.ts'
export type { FinishedRequest, RequestObserver } from './ops/requests.ts'
export type { MeasuredRoutes } from './ops/route-figures.ts'
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
  PolledRecords,
  ReadFrom,
  ReadLimits,
  ReadRecords,
  StreamedRecord,
  StreamFrom,
} from './plugin/reader.ts'
export type { ClusterStats, GroupStats, PartitionRange, RouteStats } from './plugin/route.ts'
export type { ConsumedRecord } from './record/consumed.ts'
export type { FormatRecord } from './record/format.ts'
export type { RecordError } from './record/prepare.ts'
export type { RecordChange, Transform } from './record/transform.ts'
export type { FeedStats } from './stream/feed.ts'
export type { BrokerState, Gap, KafkaProblem } from './stream/source.ts'
