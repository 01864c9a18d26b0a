/**
 * What routes of a process share: the connection to a cluster, the feeds of its topics and the
 * memberships of its consumer groups. The registry is the map below, one for each evaluation of
 * this module; what it holds is counted by the routes that use it.
 */

import { previousEvaluationClosed } from '../../core/hot-reload.ts'
import { Feed } from '../../feed/feed.ts'
import { clusterOptions } from '../../options/connection.ts'
import type { ResolvedOptions } from '../../options/consume-options.ts'
import type { ClusterOptions, KafkaCluster } from '../../port/kafka.ts'
import { loadKafkaSide } from './load-kafka.ts'
import { Memberships } from './memberships.ts'
import { pipelineKey, processorFor } from './pipeline-of-options.ts'

/** What routes on the same cluster have in common. */
interface SharedCluster {
  readonly cluster: KafkaCluster
  readonly feeds: Map<string, { readonly feed: Feed; routes: number }>
  readonly memberships: Memberships
  routes: number
}

const clusters = new Map<string, SharedCluster>()

/** A share in a cluster. */
export interface Connection {
  readonly cluster: KafkaCluster
  /** Gives it back; the last one closes what is behind it. */
  release(): Promise<void>
}

/** A route's share in a cluster and in the feed of its topics. */
export interface Lease extends Connection {
  readonly feed: Feed
  /** Those of the cluster: a share that a route takes is to be closed before the lease is released. */
  readonly memberships: Memberships
}

/** Connects to a cluster, or joins those that are connected to it already. */
export async function connect(connection: ClusterOptions): Promise<Connection> {
  const { cluster, release } = await acquireCluster(connection)
  return { cluster, release }
}

/** A route's share of its cluster and of what it has in common with routes on the same topics. */
export async function lease(options: ResolvedOptions): Promise<Lease> {
  const { topics, messageDeserializer, ringBytes, maxReplays } = options
  const { cluster, feeds, memberships, release } = await acquireCluster(clusterOptions(options))
  const feedOptions = { topics, messageDeserializer, ringBytes, maxReplays }
  const name = JSON.stringify([feedOptions, pipelineKey(options)])
  const shareOfFeed = feeds.get(name) ?? {
    feed: new Feed(cluster, { ...feedOptions, preparation: processorFor(options, cluster) }),
    routes: 0,
  }
  shareOfFeed.routes++
  feeds.set(name, shareOfFeed)
  return {
    cluster,
    feed: shareOfFeed.feed,
    memberships,
    release: async () => {
      shareOfFeed.routes--
      if (shareOfFeed.routes === 0) {
        feeds.delete(name)
        await shareOfFeed.feed.close()
        await shareOfFeed.feed.processor?.close()
      }
      await release()
    },
  }
}

async function acquireCluster(
  connection: ClusterOptions,
): Promise<Connection & Pick<SharedCluster, 'feeds' | 'memberships'>> {
  const [kafka] = await Promise.all([loadKafkaSide(), previousEvaluationClosed])
  // The key holds secrets, so it is used for nothing but the map.
  const key = JSON.stringify(connection)
  const shared = clusters.get(key) ?? connectFirst(key, kafka.connect(connection))
  shared.routes++
  const { cluster, feeds, memberships } = shared
  return {
    cluster,
    feeds,
    memberships,
    release: async () => {
      shared.routes--
      if (shared.routes > 0) return
      if (clusters.get(key) === shared) clusters.delete(key)
      await cluster.close()
    },
  }
}

function connectFirst(key: string, cluster: KafkaCluster): SharedCluster {
  const shared = { cluster, feeds: new Map(), memberships: new Memberships(cluster), routes: 0 }
  clusters.set(key, shared)
  return shared
}
