import type { BatchForm } from '../records/batch-form.ts'
import type { PartitionTable } from '../records/cursor.ts'
import type { MessageDeserializer } from '../records/encode.ts'
import type { Filter } from '../records/filter.ts'
import type { RecordProcessor } from '../records/record-processor.ts'
import type { CatchUpPool } from './catch-up-pool.ts'
import type { LiveConsumer } from './live-consumer.ts'

/** How long to search for records that pass the filter. */
export interface SearchLimits {
  /** Milliseconds that the filter may take in all, for all that the subscription has read. */
  readonly filterTime: number
  /** The end of the search, in `performance.now()`'s time. */
  readonly until: number
}

export const UNLIMITED: SearchLimits = { filterTime: Infinity, until: Infinity }

/** The subscription has left the ring buffer with its cursor only, since the client takes nothing. */
export interface Parked {
  readonly kind: 'parked'
}

export const PARKED: Parked = { kind: 'parked' }

/** A stream that takes from a subscription. */
export interface SubscriptionListener {
  /** Called when there may be more to take, or when there will be no more. */
  onRecords(): void
}

/** How a subscription is created. */
export interface SubscriptionSetup {
  readonly liveConsumer: LiveConsumer
  readonly catchUpPool: CatchUpPool
  /** Where reading begins. */
  readonly vector: Float64Array
  /** The offsets before which reading ends, of the live consumer's partitions. Default: it has no end. */
  readonly end?: Float64Array | undefined
  /** False for a cursor beyond the end: Kafka decides where reading goes on, and what the gap is. */
  readonly isCertain: boolean
  readonly deserializer: MessageDeserializer
  /** Absent: records are encoded as they are. */
  readonly processor?: RecordProcessor | undefined
  /** The form of records that a catch-up read encodes. The ring buffer has events. Default: events. */
  readonly form?: BatchForm | undefined
  /** Creates the filter for the present partitions. It throws for a partition that does not exist. */
  readonly filter: (table: PartitionTable) => Filter | undefined
  /** Called once, when a subscription that was opened is closed. */
  readonly onClose: () => void
}
