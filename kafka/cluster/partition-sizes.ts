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
  const { topics, replicas } = questionOf(partitions)
  const [bytes, error] = await call<ReplicaSizes>(ACTION, (done) =>
    describeReplicaSizes()(client.getClient(), topics, replicas, TIMEOUT_MS, done),
  )
  const sizes = new Float64Array(bytes)
  let begin = 0
  return {
    partitions: partitions.map(({ topic, partition, leader, replicas: brokers }) => {
      const ofLeader = leader === undefined ? -1 : brokers.indexOf(leader)
      const size = {
        topic,
        partition,
        bytes: ofLeader < 0 ? undefined : known(sizes[begin + ofLeader]),
        replicaBytes: sumOf(sizes, begin, begin + brokers.length),
      }
      begin += brokers.length
      return size
    }),
    unknown: error ? reasonOf(error) : undefined,
  }
}

/** The question as the addon takes it, in loops: a cluster may have some ten thousand partitions. */
function questionOf(partitions: readonly PartitionReplicas[]) {
  const places = new Map<string, number>()
  let count = 0
  for (const { topic, replicas } of partitions) {
    if (!places.has(topic)) places.set(topic, places.size)
    count += replicas.length
  }
  const replicas = new Int32Array(3 * count)
  let at = 0
  for (const { topic, partition, replicas: brokers } of partitions) {
    const place = places.get(topic) ?? 0
    for (const broker of brokers) {
      replicas[at] = broker
      replicas[at + 1] = place
      replicas[at + 2] = partition
      at += 3
    }
  }
  return { topics: [...places.keys()], replicas }
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

/** Undefined where a size is unknown, or there is none. */
function sumOf(sizes: Float64Array, begin: number, end: number): number | undefined {
  let sum = 0
  for (let at = begin; at < end; at++) {
    const size = known(sizes[at])
    if (size === undefined) return undefined
    sum += size
  }
  return begin < end ? sum : undefined
}

function reasonOf(error: ClientError): UnknownSizes {
  if (error.code === CLUSTER_AUTHORIZATION_FAILED) {
    const message = `${ACTION}: Kafka's ACLs do not allow this user to describe the cluster`
    return { code: 'KAFKA_AUTHORIZATION', message }
  }
  if (error.code === UNSUPPORTED_FEATURE) {
    return { code: 'KAFKA_ERROR', message: `${ACTION}: the brokers do not support this request` }
  }
  const { code, message } = fromClient(error, ACTION)
  return { code, message }
}
