/** `GET …/offsets`: what each partition has, and how far the route's consumer group has come. */
import type { Context } from 'hono'
import { KafkaConsumeError } from '../../core/errors.ts'
import { partitionKey } from '../../core/topic-partition.ts'
import { clientOf, readablePartitions, urlOf } from '../request/client.ts'
import type { Route } from '../route/route.ts'
import type { PartitionRange } from '../route/route-stats.ts'

/** The offsets of one partition. */
interface ReportedPartition {
  readonly topic: string
  readonly partition: number
  /** The first offset that Kafka keeps. */
  readonly begin: number
  /** The offset after the newest record. */
  readonly end: number
}

/** The offsets of one partition, and how far a group has come there. */
interface ReportedGroupPartition extends ReportedPartition {
  /** The offset at which the group goes on after a restart; null where it has committed none. */
  readonly committed: number | null
  /** Offsets from there to the end; null where the group has committed none. */
  readonly lag: number | null
}

/**
 * Answers with the offsets of each partition that the client may read, as Kafka has them now, and with
 * those that the group has committed on a route that reads as one.
 *
 * @throws KafkaConsumeError
 */
export async function reportOffsets(c: Context, route: Route): Promise<Response> {
  const [unknown] = urlOf(c).searchParams.keys()
  if (unknown !== undefined) {
    throw new KafkaConsumeError(
      'INVALID_PARAMETER',
      `Cannot use parameter "${unknown.slice(0, 40)}": offsets have no parameters`,
    )
  }
  const client = clientOf(c)
  const partitions = readablePartitions(client, await route.partitions())
  c.header('Cache-Control', 'no-store')
  if (route.options.mode === 'server-sent-events') {
    return c.json({ partitions: partitions.map(reportPartition) })
  }
  const group = await route.groupId(client)
  return c.json({ group, partitions: await withProgress(route, group, partitions) })
}

async function withProgress(
  route: Route,
  group: string,
  partitions: readonly PartitionRange[],
): Promise<ReportedGroupPartition[]> {
  const { cluster } = await route.lease()
  const offsets = await cluster.committed(group, partitions)
  const committed = new Map(offsets.map((each) => [partitionKey(each), each.offset]))
  return partitions.map((range) => {
    const offset = committed.get(partitionKey(range)) ?? -1
    const progress =
      offset < 0
        ? { committed: null, lag: null }
        : // Offsets that retention has deleted, or a re-created topic does not have, are not to be read.
          { committed: offset, lag: Math.max(0, range.end - Math.max(offset, range.start)) }
    return { ...reportPartition(range), ...progress }
  })
}

function reportPartition({ topic, partition, start, end }: PartitionRange): ReportedPartition {
  return { topic, partition, begin: start, end }
}
