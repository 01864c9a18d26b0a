export type {
  SchemaFailure,
  SchemaIssue,
  SchemaOutput,
  SchemaResult,
  SchemaSuccess,
  StandardSchema,
  StandardSchemaProperties,
} from '../records/standard-schema.ts'
export { KafkaStreamError, type KafkaStreamErrorCode } from './errors.ts'
export type {
  ReadOptions,
  ReceivedRecord,
  ReceiveOptions,
  RecordBySchema,
  ValueSchemas,
} from './record.ts'
export type { RecordByRoute, RouteParameters, StreamCursor, StreamRoute } from './route.ts'
export { type SharedStreamOptions, sharedStream } from './shared-stream.ts'
export { type RecordSocket, type SocketOptions, type SocketRecord, socket } from './socket.ts'
export { type StreamOptions, stream, streamData } from './stream.ts'
