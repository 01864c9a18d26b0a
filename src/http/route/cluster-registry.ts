/**
 * Routes of a process share the connection to a cluster, the feeds of its topics and the memberships
 * of its consumer groups. The registry counts the routes that use each, and closes it with the last.
 * Each evaluation of this module has a registry of its own.
 *
 * Handlers import this module when they connect, so that an app starts without the feeds and what
 * processes records.
 */

import { shortHash } from '../../core/hash.ts'
import { previousEvaluationClosed } from '../../core/hot-reload.ts'
import { inTurn } from '../../core/in-turn.ts'
import { Feed } from '../../feed/feed.ts'
import type { FeedOptions } from '../../feed/feed-options.ts'
import { clusterOptions } from '../../options/connection.ts'
import type { ResolvedOptions } from '../../options/consume-options.ts'
import type { ClusterOptions } from '../../port/cluster-options.ts'
import type { KafkaCluster, KafkaSide } from '../../port/kafka.ts'
import type { OpenProducer, ProducerSettings } from '../../port/open-producer.ts'
import type { SharedPlaces } from '../../port/threads.ts'
import type { RecordProcessor } from '../../records/record-processor.ts'
import { loadKafkaSide } from './load-kafka.ts'
import { Memberships } from './memberships.ts'
import { pipelineKey, processorFor } from './pipeline-of-options.ts'

/** A feed, and the number of routes that use it. */
interface SharedFeed {
  readonly feed: Feed
  /** The places of its catch-up reads, where other threads take them, too. */
  readonly places: SharedPlaces | undefined
  routes: number
}

/** A connected cluster, and what its routes share. */
interface SharedCluster {
  readonly cluster: KafkaCluster
  readonly feeds: Map<string, SharedFeed>
  readonly memberships: Memberships
  readonly producers: Map<string, { readonly producer: OpenProducer; routes: number }>
  routes: number
}

const clusters = new Map<string, SharedCluster>()

/** A share in a connected cluster. */
export interface Connection {
  readonly cluster: KafkaCluster
  /** Releases the share; the last release disconnects. */
  release(): Promise<void>
}

/** A route's share in a cluster and in the feed of its topics. */
export interface Lease extends Connection {
  readonly feed: Feed
  /** Processes the feed's records and those of groups; undefined where records are encoded as they are. */
  readonly processor: RecordProcessor | undefined
  /** Memberships of the cluster. A route closes its own before it releases the lease. */
  readonly memberships: Memberships
}

/** A share in a connected cluster and in the memberships of its groups. */
export interface GroupConnection extends Connection {
  readonly memberships: Memberships
}

/** Connects to a cluster, or shares the connection that exists. */
export async function connect(connection: ClusterOptions): Promise<GroupConnection> {
  const { cluster, memberships, release } = await acquireCluster(connection)
  return { cluster, memberships, release }
}

/** A route's share in its cluster, and in the feed that routes with equal topics and options share. */
export async function lease(options: ResolvedOptions): Promise<Lease> {
  const { topics, messageDeserializer, ringBytes, maxCatchUpReads } = options
  const kafka = await loadKafkaSide()
  const connection = clusterOptions(options)
  const { cluster, feeds, memberships, release } = await acquireCluster(connection)
  const feedOptions = { topics, messageDeserializer, ringBytes, maxCatchUpReads }
  const key = JSON.stringify([feedOptions, pipelineKey(options)])
  const name = () => shortHash(JSON.stringify([connection, key]))
  const shared = feeds.get(key) ?? newFeed(name, options, feedOptions, cluster, kafka)
  shared.routes++
  feeds.set(key, shared)
  return {
    cluster,
    feed: shared.feed,
    processor: shared.feed.processor,
    memberships,
    release: async () => {
      shared.routes--
      if (shared.routes > 0) return release()
      feeds.delete(key)
      await inTurn(
        () => shared.feed.close(),
        () => shared.places?.release(),
        () => shared.feed.processor?.close(),
        release,
      )
    },
  }
}

/** @param name Makes the name of the feed in all threads. It holds no secret, unlike what it is made of. */
function newFeed(
  name: () => string,
  options: ResolvedOptions,
  feedOptions: FeedOptions,
  cluster: KafkaCluster,
  kafka: KafkaSide,
): SharedFeed {
  const places = kafka.sharedPlaces?.(`catch-up reads ${name()}`)
  const processor = processorFor(options, cluster)
  return { feed: new Feed(cluster, { ...feedOptions, processor, places }), places, routes: 0 }
}

/** A route's share in a producer, which routes of a cluster with equal settings share. */
export interface ProducerLease extends Connection {
  readonly producer: OpenProducer
}

/** Opens a producer, or shares the one that exists. The last release sends what waits in it. */
export async function leaseProducer(
  connection: ClusterOptions,
  settings: ProducerSettings,
): Promise<ProducerLease> {
  const { cluster, producers, release } = await acquireCluster(connection)
  const key = JSON.stringify(settings)
  const shared = producers.get(key) ?? { producer: cluster.openProducer(settings), routes: 0 }
  shared.routes++
  producers.set(key, shared)
  return {
    cluster,
    producer: shared.producer,
    release: async () => {
      shared.routes--
      if (shared.routes > 0) return release()
      producers.delete(key)
      await inTurn(() => shared.producer.close(), release)
    },
  }
}

async function acquireCluster(
  connection: ClusterOptions,
): Promise<Connection & Pick<SharedCluster, 'feeds' | 'memberships' | 'producers'>> {
  const [kafka] = await Promise.all([loadKafkaSide(), previousEvaluationClosed])
  // The key holds secrets, so it is used for nothing but the map.
  const key = JSON.stringify(connection)
  const shared = clusters.get(key) ?? connectFirst(key, kafka.connect(connection))
  shared.routes++
  const { cluster, feeds, memberships, producers } = shared
  return {
    cluster,
    feeds,
    memberships,
    producers,
    release: async () => {
      shared.routes--
      if (shared.routes > 0) return
      if (clusters.get(key) === shared) clusters.delete(key)
      await cluster.close()
    },
  }
}

function connectFirst(key: string, cluster: KafkaCluster): SharedCluster {
  const shared = {
    cluster,
    feeds: new Map(),
    memberships: new Memberships(cluster),
    producers: new Map(),
    routes: 0,
  }
  clusters.set(key, shared)
  return shared
}
