/** Statistics of a live consumer and its ring buffer, as they are now or since its start. */
export interface FeedStats {
  /** Number of the live consumer within this process: routes that share one show one number. */
  readonly id: number
  /** The topics that it reads. */
  readonly topics: readonly string[]
  /** Streams, single reads from a position, and reads kept for a next page. */
  readonly readers: number
  /** 1 while the live consumer runs; 0 while only old records are read, or nothing. */
  readonly liveConsumers: number
  /** Bytes of records in the ring buffer; 0 while nobody reads. */
  readonly ringBytes: number
  /** The option `ringBytes`. */
  readonly maxRingBytes: number
  /** Catch-up reads in progress, each with a consumer of its own. */
  readonly catchUpReads: number
  /** The option `maxCatchUpReads`. */
  readonly maxCatchUpReads: number
  /** Streams that wait for a catch-up read to end. */
  readonly waiting: number
  /** Streams that fell behind the ring buffer, since the start. */
  readonly fallenBehind: number
  /** Consumers replaced because they brought nothing although Kafka had more, since the start. */
  readonly rebuilt: number
  /** Records that could not be deserialized, transformed or validated, at each reading of them, since the start. */
  readonly failed: number
  /** Failed records that went to the dead letter topic instead of to clients, since the start. */
  readonly deadLetters: number
  /** Dead letters written with parts left out, because the topic rejected them, since the start. */
  readonly reducedDeadLetters: number
}
