/** Text of one of librdkafka's sources, which stands there once, and what takes its place. */
export interface LibrdkafkaChange {
  /** Its path in librdkafka's folder. */
  readonly file: string
  readonly from: string
  readonly to: string
}
