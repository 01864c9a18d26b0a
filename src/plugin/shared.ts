import type { ResolvedOptions } from '../config/options.ts'
import { Feed } from '../stream/feed.ts'
import type { Source } from '../stream/source.ts'
import { loadKafkaSide } from './kafka-side.ts'

/** What routes on the same cluster have in common. */
interface Shared {
  readonly source: Source
  readonly feeds: Map<string, Feed>
  routes: number
}

const clusters = new Map<string, Shared>()

/** A route's share in a cluster and in the feed of its topics. */
export interface Lease {
  readonly source: Source
  readonly feed: Feed
  /** Gives it back; the last one closes what is behind it. */
  release(): Promise<void>
}

/** Connects to a route's cluster, or joins the routes that are connected to it already. */
export async function lease(options: ResolvedOptions): Promise<Lease> {
  const kafka = await loadKafkaSide()
  const { bootstrapServers, clusterName, topics, messageDeserializer, ringBytes, maxReplays } =
    options
  const cluster = JSON.stringify([bootstrapServers, clusterName])
  let shared = clusters.get(cluster)
  if (!shared) {
    shared = {
      source: kafka.connect({ bootstrapServers, name: clusterName }),
      feeds: new Map(),
      routes: 0,
    }
    clusters.set(cluster, shared)
  }
  shared.routes++
  const feedOptions = { topics, messageDeserializer, ringBytes, maxReplays }
  const name = JSON.stringify(feedOptions)
  let feed = shared.feeds.get(name)
  if (!feed) {
    feed = new Feed(shared.source, feedOptions)
    shared.feeds.set(name, feed)
  }
  const { source, feeds } = shared
  return {
    source,
    feed,
    release: async () => {
      shared.routes--
      if (shared.routes > 0) return
      if (clusters.get(cluster) === shared) clusters.delete(cluster)
      await Promise.all([...feeds.values()].map((each) => each.close()))
      await source.close()
    },
  }
}
