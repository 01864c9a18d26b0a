import { asKafkaConsumeError, KafkaConsumeError } from '../../src/core/errors.ts'
import { partitionKey, type TopicPartition } from '../../src/core/topic-partition.ts'
import type { AssignedConsumer, Gap, OffsetQuery, PartitionOffset } from '../../src/port/kafka.ts'
import { type Consumer, call } from '../client/client.ts'
import { type ClusterConnection, REQUEST_TIMEOUT_MS } from './connection.ts'
import { searchTime } from './time-search.ts'
import type { Topics } from './topics.ts'

/** Timestamps by which the protocol's ListOffsets asks for the first offset and for the end. */
const EARLIEST = -2
const LATEST = -1

/** Requests to Kafka about offsets. */
export class OffsetQueries {
  readonly #connection: ClusterConnection
  readonly #topics: Topics
  readonly #openConsumer: (from: readonly PartitionOffset[]) => Promise<AssignedConsumer>

  /** @param openConsumer Reads records for a search by time, where brokers do not support that. */
  constructor(
    connection: ClusterConnection,
    topics: Topics,
    openConsumer: (from: readonly PartitionOffset[]) => Promise<AssignedConsumer>,
  ) {
    this.#connection = connection
    this.#topics = topics
    this.#openConsumer = openConsumer
  }

  /**
   * Offsets of partitions. A partition without a record at or after a queried time has its end.
   *
   * @throws KafkaConsumeError
   */
  async find(
    partitions: readonly TopicPartition[],
    query: OffsetQuery,
  ): Promise<PartitionOffset[]> {
    if (query === 'earliest') return this.#listOffsets(partitions, EARLIEST)
    if (query === 'latest') return this.#listOffsets(partitions, LATEST)
    const found = await this.#listOffsets(partitions, query)
    const ends = await this.#listOffsets(partitions, LATEST)
    const isComplete = found.every(({ offset }) => offset >= 0)
    if (!isComplete && !(await this.#supportsTimes(partitions, ends))) {
      const starts = await this.#listOffsets(partitions, EARLIEST)
      return searchTime(this.#openConsumer, starts, ends, query)
    }
    return found.map((position, index) =>
      position.offset < 0 ? (ends[index] as PartitionOffset) : position,
    )
  }

  /** The gaps that reading begins with: offsets before a partition's first or after its end. */
  async gaps(from: readonly PartitionOffset[]): Promise<Gap[]> {
    const [starts, ends] = await Promise.all([
      this.#listOffsets(from, EARLIEST),
      this.#listOffsets(from, LATEST),
    ])
    return from.flatMap(({ topic, partition, offset }, index): Gap[] => {
      const start = (starts[index] as PartitionOffset).offset
      const end = (ends[index] as PartitionOffset).offset
      if (offset < start)
        return [{ topic, partition, from: offset, to: start, reason: 'retention' }]
      if (offset > end)
        return [{ topic, partition, from: offset, to: start, reason: 'out-of-range' }]
      return []
    })
  }

  /**
   * The offsets that the group of a consumer has committed; -1 for none.
   *
   * @throws KafkaConsumeError
   */
  async committed(
    consumer: Consumer,
    partitions: readonly TopicPartition[],
  ): Promise<PartitionOffset[]> {
    const answer = await call<PartitionOffset[]>('Cannot read committed offsets', (done) =>
      consumer.committed([...partitions], REQUEST_TIMEOUT_MS, done as never),
    )
    if (!hasErrors(answer)) return inOrder(partitions, answer)
    throw new KafkaConsumeError(
      'KAFKA_UNAVAILABLE',
      'Cannot read committed offsets: not of all partitions',
    )
  }

  async #listOffsets(
    partitions: readonly TopicPartition[],
    time: number,
  ): Promise<PartitionOffset[]> {
    const control = await this.#connection.client()
    const action = 'Cannot find offsets'
    // The client passes timestamps on as they are, so EARLIEST and LATEST work as well
    // (ListOffsets in https://kafka.apache.org/protocol).
    const query = partitions.map(({ topic, partition }) => ({ topic, partition, offset: time }))
    return this.#connection.retry(async () => {
      const answer = await call<PartitionOffset[]>(action, (done) =>
        control.offsetsForTimes(query, REQUEST_TIMEOUT_MS, done as never),
      ).catch(async (error) => {
        throw await this.#topics.verify(asKafkaConsumeError(error), partitions, action)
      })
      const found = inOrder(partitions, answer)
      // No offset may be as late as a time, but the first offset and the end always exist.
      const isComplete = time >= 0 || found.every(({ offset }) => offset >= 0)
      if (isComplete && !hasErrors(answer)) return found
      throw new KafkaConsumeError(
        'KAFKA_UNAVAILABLE',
        `${action}: not all partitions have a leader`,
      )
    })
  }

  /** Whether brokers find offsets by time: the embedded broker finds none even for 1970. */
  async #supportsTimes(
    partitions: readonly TopicPartition[],
    ends: readonly PartitionOffset[],
  ): Promise<boolean> {
    const starts = await this.#listOffsets(partitions, EARLIEST)
    const first = starts.findIndex(
      ({ offset }, index) => offset < (ends[index] as PartitionOffset).offset,
    )
    if (first < 0) return true
    const [found] = await this.#listOffsets([partitions[first] as TopicPartition], 0)
    return found !== undefined && found.offset >= 0
  }
}

/** The client puts an error in the place of a partition whose leader it could not ask. */
function hasErrors(answer: readonly PartitionOffset[]): boolean {
  return answer.some((each) => each instanceof Error)
}

/** Offsets in the order of the queried partitions; -1 where there is none. */
function inOrder(
  partitions: readonly TopicPartition[],
  found: ReadonlyArray<TopicPartition & { readonly offset?: number }>,
): PartitionOffset[] {
  const table = new Map(found.map((each) => [partitionKey(each), each.offset]))
  return partitions.map(({ topic, partition }) => ({
    topic,
    partition,
    offset: table.get(partitionKey({ topic, partition })) ?? -1,
  }))
}
