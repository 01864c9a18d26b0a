/** The settings of producers by librdkafka's names, and their limits. */

import type { ProducerSettings } from '../src/port/open-producer.ts'
import type { ProducerProfile } from '../src/port/producer.ts'
import type { Settings } from './client/client.ts'
import type { PendingLimits } from './producer.ts'

const MIB = 1024 * 1024

/** Milliseconds for Kafka to confirm a record of a profile, all retries included. */
const DELIVERY_TIMEOUT_MS = 10_000
/** Milliseconds within which a delivery timeout must lie that follows from settings. */
const MIN_DELIVERY_TIMEOUT_MS = 1_000
const MAX_DELIVERY_TIMEOUT_MS = 300_000
/** Bytes that wait for Kafka at most in a producer with settings of its own. */
const MAX_PENDING_BYTES = 64 * MIB

const COMMON: Settings = {
  // The topic's limit decides, which may be higher than the client's default.
  'message.max.bytes': 512 * MIB,
  // Milliseconds for which an unknown topic may be new.
  'topic.metadata.propagation.max.ms': 2_000,
  dr_cb: true,
}

/**
 * Settings of the producer of a profile. It is idempotent except with `leader`: a retry neither
 * doubles a record nor changes the order within a partition.
 */
export function profileSettings(profile: ProducerProfile): Settings {
  const needsAll = profile !== 'leader'
  return {
    ...COMMON,
    'enable.idempotence': needsAll,
    acks: needsAll ? -1 : 1,
    ...(profile === 'each' && { 'batch.num.messages': 1 }),
    'message.timeout.ms': DELIVERY_TIMEOUT_MS,
    'request.timeout.ms': DELIVERY_TIMEOUT_MS / 2,
    // Java clients choose partitions in this way. librdkafka's default, the CRC32 of the key, would
    // put records of one key into two partitions where both kinds of clients write.
    partitioner: 'murmur2_random',
    'linger.ms': 2,
  }
}

/** Settings of a producer of its own, within the ranges of librdkafka. */
export function ownSettings(settings: ProducerSettings): Settings {
  const { acks, requestTimeout, socketTimeout, retries, retryBackoff, batchWait } = settings
  const backoff = within(retryBackoff, 1, 300_000)
  return {
    ...COMMON,
    // Without a retry there is nothing to double, and librdkafka refuses both together.
    'enable.idempotence': acks === 'all' && retries > 0,
    acks: { all: -1, leader: 1, none: 0 }[acks],
    'request.timeout.ms': within(requestTimeout, 1, 900_000),
    'socket.timeout.ms': within(socketTimeout, 10, 300_000),
    retries,
    'retry.backoff.ms': backoff,
    'retry.backoff.max.ms': Math.max(backoff, 1_000),
    'batch.num.messages': within(settings.batchRecords, 1, 1_000_000),
    'batch.size': settings.batchBytes,
    'linger.ms': within(batchWait, 0, 900_000),
    'message.timeout.ms': deliveryTimeout(settings),
    'queue.buffering.max.messages': within(settings.maxPending, 100_000, 10_000_000),
    partitioner: 'consistent_random',
  }
}

/** The limits of records that wait for Kafka in a producer with settings of its own. */
export function ownLimits(settings: ProducerSettings): PendingLimits {
  return {
    records: settings.maxPending,
    bytes: MAX_PENDING_BYTES,
    patience: settings.waitsInOutage ? deliveryTimeout(settings) : undefined,
  }
}

/** Milliseconds in which all attempts at a record may run out, after it has waited for others. */
function deliveryTimeout(settings: ProducerSettings): number {
  const { requestTimeout, retries, retryBackoff, batchWait } = settings
  const attempts = (retries + 1) * (requestTimeout + retryBackoff)
  const bounded = within(attempts, MIN_DELIVERY_TIMEOUT_MS, MAX_DELIVERY_TIMEOUT_MS)
  return within(batchWait, 0, 900_000) + bounded
}

function within(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max)
}
