/** The sizes of partitions on the disks of brokers. */
import type {
  PartitionReplicas,
  PartitionSizes,
  UnknownSizes,
} from '../../src/port/topic-details.ts'
import { addon } from '../client/addon.ts'
import { type Consumer, call } from '../client/client.ts'
import { CLUSTER_AUTHORIZATION_FAILED, type ClientError, fromClient } from '../client/errors.ts'

/** Milliseconds that brokers may take. A client that asks for topics waits for their sizes, too. */
const TIMEOUT_MS = 2_000
/** librdkafka's `RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE`. */
const UNSUPPORTED_FEATURE = -165

const ACTION = 'Cannot read the sizes of partitions'

/**
 * Asks each broker for the sizes of its replicas, all brokers at the same time (Kafka's DescribeLogDirs,
 * KIP-113). A broker that is away or refuses leaves the sizes of its own replicas unknown.
 *
 * @param client The client whose connections are used.
 * @throws KafkaConsumeError when the client is not connected.
 */
export async function partitionSizes(
  client: Consumer,
  partitions: readonly PartitionReplicas[],
): Promise<PartitionSizes> {
  const topics = [...new Set(partitions.map(({ topic }) => topic))]
  const places = new Map(topics.map((topic, index) => [topic, index]))
  const replicas = partitions.flatMap(({ topic, partition, replicas: brokers }) =>
    brokers.flatMap((broker) => [broker, places.get(topic) ?? 0, partition]),
  )
  const [bytes, error] = await call<ReplicaSizes>(ACTION, (done) =>
    describeReplicaSizes()(client.getClient(), topics, Int32Array.from(replicas), TIMEOUT_MS, done),
  )
  const sizes = new Float64Array(bytes)
  let at = 0
  return {
    partitions: partitions.map(({ topic, partition, leader, replicas: brokers }) => {
      const own = sizes.subarray(at, at + brokers.length)
      at += brokers.length
      const isWhole = own.length > 0 && own.every((size) => size >= 0)
      return {
        topic,
        partition,
        bytes: leader === undefined ? undefined : known(own[brokers.indexOf(leader)]),
        replicaBytes: isWhole ? own.reduce((sum, size) => sum + size, 0) : undefined,
      }
    }),
    unknown: error ? reasonOf(error) : undefined,
  }
}

/** The sizes in bytes as doubles, -1 where unknown, and the first error of a broker. */
type ReplicaSizes = readonly [bytes: ArrayBuffer, error: ClientError | null]

/**
 * The addon's own function: the client has none. `replicas` has the broker's id, the index of the topic
 * and the partition of each replica in turn.
 */
function describeReplicaSizes() {
  return addon()['describeReplicaSizes'] as (
    client: object,
    topics: readonly string[],
    replicas: Int32Array,
    timeout: number,
    done: (error: ClientError | null | undefined, sizes: ReplicaSizes) => void,
  ) => void
}

function known(size: number | undefined): number | undefined {
  return size === undefined || size < 0 ? undefined : size
}

function reasonOf(error: ClientError): UnknownSizes {
  if (error.code === CLUSTER_AUTHORIZATION_FAILED) {
    const message = `${ACTION}: its ACLs do not allow us to describe the cluster`
    return { code: 'KAFKA_AUTHORIZATION', message }
  }
  if (error.code === UNSUPPORTED_FEATURE) {
    return { code: 'KAFKA_ERROR', message: `${ACTION}: its brokers do not tell them` }
  }
  const { code, message } = fromClient(error, ACTION)
  return { code, message }
}
