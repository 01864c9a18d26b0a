export { KafkaStreamError, type KafkaStreamErrorCode } from './errors.ts'
export type { ReadOptions, ReceivedRecord, ReceiveOptions } from './record.ts'
export type {
  RecordBySchema,
  SchemaIssue,
  SchemaOutput,
  ValueSchema,
  ValueSchemas,
} from './schema.ts'
export { type SharedStreamOptions, sharedStream } from './shared-stream.ts'
export { type RecordSocket, type SocketOptions, type SocketRecord, socket } from './socket.ts'
export { type StreamOptions, stream, streamData } from './stream.ts'
