import type { KafkaOutage } from '../../port/kafka.ts'

/** The methods of handlers that write. They connect with their first request. */
export interface WriterControls<Stats> {
  /**
   * Connects, so that the first request is quick, and looks whether the topic can be written to. Calling
   * it is optional.
   *
   * @throws KafkaConsumeError when Kafka cannot be reached or refuses, UNKNOWN_TOPIC where it does not
   *   have the topic; later calls try again.
   */
  start(): Promise<void>
  /** The reason why Kafka cannot be reached now; `undefined` while it can. Kafka is not asked. */
  outage(): KafkaOutage | undefined
  /** Statistics of the handler: numbers as they are now, or since it was made. */
  stats(): Stats
  /**
   * Sends what is buffered or in flight, for some seconds at most, and disconnects. Later requests are
   * not written: `kafkaProduce` answers them with 503 `SHUTTING_DOWN`, `kafkaUpstream` with 502.
   */
  close(): Promise<void>
}
