import type { Settings } from '../client/client.ts'

const MIB = 1024 * 1024

/**
 * Settings of consumers that are assigned partitions and never join a group.
 *
 * @param isEmbedded Whether the broker is the embedded one, which answers a waiting fetch only when
 * its wait is over, even if new records arrive.
 */
export function consumerSettings(purpose: 'live' | 'catch-up', isEmbedded = false): Settings {
  const isLive = purpose === 'live'
  return {
    // librdkafka requires the name of a group even where no group is joined.
    'group.id': 'hono-kafka-consume-reader',
    'enable.auto.commit': false,
    'enable.auto.offset.store': false,
    'enable.partition.eof': true,
    // The broker holds an empty answer for this time, so the end of a partition is known after it. A
    // catch-up consumer that is used again waits for its last fetch first. With the embedded broker a
    // catch-up read must not see new records before the live consumer does: it would end among them.
    'fetch.wait.max.ms': isEmbedded ? 50 : isLive ? 500 : 10,
    // Limits of what is fetched ahead. Each fetched record costs the client some 400 bytes beside its
    // own, and each catch-up read has a consumer.
    'queued.max.messages.kbytes': isLive ? 32 * 1024 : 4 * 1024,
    'queued.min.messages': isLive ? 50_000 : 5_000,
    'fetch.max.bytes': isLive ? 32 * MIB : 4 * MIB,
    // With the default of 1 s, a queue that was full stays empty for up to a second.
    'fetch.queue.backoff.ms': 5,
    'fetch.error.backoff.ms': 100,
    // After this time librdkafka gives up a broker that does not answer, for the partition's next leader.
    'socket.timeout.ms': 10_000,
    'topic.metadata.refresh.interval.ms': 30_000,
  }
}

/**
 * When Kafka no longer has the wanted offset, librdkafka goes on at the first one that it has. The
 * consumer then finds the gap and reports it.
 */
export const CONSUMER_TOPIC_SETTINGS: Settings = { 'auto.offset.reset': 'earliest' }
