/** The replacement of a text that occurs once in one of librdkafka's sources. */
export interface LibrdkafkaChange {
  /** The source's path in librdkafka's folder. */
  readonly file: string
  readonly from: string
  readonly to: string
}
