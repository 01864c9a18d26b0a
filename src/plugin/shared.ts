import { clusterOptions } from '../config/connection.ts'
import type { ResolvedOptions } from '../config/options.ts'
import { Feed } from '../stream/feed.ts'
import type { Source } from '../stream/source.ts'
import { loadKafkaSide } from './kafka-side.ts'
import { preparationFor, preparedBy } from './prepared.ts'

/** What routes on the same cluster have in common. */
interface Shared {
  readonly source: Source
  readonly feeds: Map<string, { readonly feed: Feed; routes: number }>
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
  const { topics, messageDeserializer, ringBytes, maxReplays } = options
  const connection = clusterOptions(options)
  // Holds secrets: it goes nowhere but into the map.
  const cluster = JSON.stringify(connection)
  let shared = clusters.get(cluster)
  if (!shared) {
    shared = { source: kafka.connect(connection), feeds: new Map(), routes: 0 }
    clusters.set(cluster, shared)
  }
  shared.routes++
  const feedOptions = { topics, messageDeserializer, ringBytes, maxReplays }
  const name = JSON.stringify([feedOptions, preparedBy(options)])
  const { source, feeds } = shared
  const shareOfFeed = feeds.get(name) ?? {
    feed: new Feed(source, { ...feedOptions, preparation: preparationFor(options, source) }),
    routes: 0,
  }
  shareOfFeed.routes++
  feeds.set(name, shareOfFeed)
  return {
    source,
    feed: shareOfFeed.feed,
    release: async () => {
      shareOfFeed.routes--
      if (shareOfFeed.routes === 0) {
        feeds.delete(name)
        await shareOfFeed.feed.close()
        await shareOfFeed.feed.preparation?.close()
      }
      shared.routes--
      if (shared.routes > 0) return
      if (clusters.get(cluster) === shared) clusters.delete(cluster)
      await source.close()
    },
  }
}
