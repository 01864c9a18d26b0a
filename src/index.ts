import './core/runtime.ts'

export { type ErrorCode, type ErrorDetails, KafkaConsumeError } from './core/errors.ts'
export type { HistogramState } from './core/histogram.ts'
export type { FinishedRequest, RequestObserver } from './core/request-statistics.ts'
export type { FeedStats } from './feed/feed-stats.ts'
export { type ConsoleOptions, kafkaConsole } from './gateway/console/console.ts'
export type { ConsoleAccount } from './gateway/console/page.ts'
export { type KafkaConsumeHandler, kafkaConsume } from './http/kafka-consume.ts'
export {
  type KafkaReaderEnv,
  type KafkaReaderMiddleware,
  kafkaReader,
} from './http/kafka-reader.ts'
export { type KafkaLogMiddleware, kafkaLog } from './http/log/kafka-log.ts'
export type { LogStats } from './http/log/request-log.ts'
export {
  type KafkaProduceHandler,
  kafkaProduce,
  type ProduceStats,
} from './http/produce/kafka-produce.ts'
export type { BufferedStats } from './http/produce/record-sender.ts'
export type {
  NewRecords,
  NotWrittenAnswer,
  ProduceHandler,
  WriteFailure,
  WrittenAnswer,
} from './http/produce/typed-records.ts'
export type { WriterControls } from './http/produce/writer-controls.ts'
export type {
  KafkaReader,
  PolledRecords,
  ReadFrom,
  ReadLimits,
  ReadRecords,
  StreamedRecord,
  StreamFrom,
  StreamPosition,
} from './http/reader-types.ts'
export type { KafkaClient } from './http/request/client.ts'
export type { LogFields } from './http/request/log-fields.ts'
export type {
  BodyInput,
  FilterQuery,
  QueryInput,
  ReadQuery,
  SocketInput,
  SocketQuery,
  StreamQuery,
  WriteQuery,
} from './http/request/query-types.ts'
export type {
  Answer,
  ErrorAnswer,
  ErrorStatus,
  JsonRecord,
  KongAnswer,
  KongPartition,
  KongTopic,
  RecordsAnswer,
  ValueOf,
} from './http/response/answer-types.ts'
export type { KafkaControls } from './http/route/handler-controls.ts'
export type {
  ClusterStats,
  GroupStats,
  PartitionRange,
  RouteStats,
} from './http/route/route-stats.ts'
export type { PartitionDetails, TopicDetails } from './http/route/topic-details.ts'
export type { ConsumeHandler } from './http/typed-routes.ts'
export {
  type KafkaUpstreamHandler,
  kafkaUpstream,
  type UpstreamStats,
} from './http/upstream/kafka-upstream.ts'
export { kafkaStatus } from './observability/kafka-status.ts'
export {
  type KafkaMetrics,
  kafkaMetrics,
  type MetricsOptions,
  type MetricsRegistry,
} from './observability/metrics.ts'
export { type DocumentedRoutes, kafkaDocs } from './observability/openapi/docs.ts'
export type { MeasuredRoutes } from './observability/route-metrics.ts'
export { kafkaTopics } from './observability/topics.ts'
export type {
  AuthenticationOptions,
  BrokerAddress,
  ConfluentRegistryOptions,
  ConsumerGroupOptions,
  ErrorHandlingOptions,
  FileReference,
  KafkaConnectionOptions,
  KafkaConsumeOptions,
  KafkaLogOptions,
  KafkaProduceOptions,
  KafkaProducerOptions,
  KafkaTopics,
  KafkaUpstreamOptions,
  OauthBearerOptions,
  ProducerConfluentRegistryOptions,
  ProducerRegistryOptions,
  RecordHeadersOptions,
  RegistryAuthenticationOptions,
  RegistryBasicOptions,
  RegistryOauth2ClientOptions,
  RegistryOauth2Options,
  RegistrySubjectOptions,
  SchemaRegistryOptions,
  SecurityOptions,
  TopicOptions,
} from './options/option-types.ts'
export type { NewRecord, RecordOf, RecordToWrite } from './options/topic-records.ts'
export type {
  DeliveryMode,
  KafkaReaderOptions,
  KafkaRouteOptions,
  KafkaWriterOptions,
  ResponseFormat,
} from './options/typed-options.ts'
export type { BrokerState, Gap, KafkaOutage } from './port/kafka.ts'
export type {
  GroupProgress,
  GroupState,
  PartitionReplicas,
  PartitionSize,
  PartitionSizes,
  TopicSetting,
  UnknownSizes,
} from './port/topic-details.ts'
export type {
  AnyRecord,
  ConsumedRecord,
  EventStreamText,
  FailedRecord,
  PlainRecord,
  RecordHeaders,
  TypedRecord,
  ValidRecord,
} from './records/consumed-record.ts'
export type { FormatRecord } from './records/format.ts'
export type { RecordError } from './records/pipeline.ts'
export type {
  SchemaFailure,
  SchemaInput,
  SchemaIssue,
  SchemaOfTopic,
  SchemaOutput,
  SchemaResult,
  SchemaSuccess,
  StandardSchema,
  StandardSchemaProperties,
} from './records/standard-schema.ts'
export type { SchemasByTopic, TopicSchemas } from './records/topic-schemas.ts'
export type { RecordChange, Transform } from './records/transform.ts'
