import { getLogger } from '@logtape/logtape'
import { partitionKey, type TopicPartition } from '../../src/core/topic-partition.ts'
import type { Gap, KafkaRecord } from '../../src/port/kafka.ts'
import { gapIn } from '../consumer/gaps.ts'
import { OwnedPartition } from './owned-partition.ts'
import type { ReadyRecords } from './ready-records.ts'

const log = getLogger(['hono-kafka-consume', 'group'])

/** The partitions that a member owns: how far each is read, and the gaps that the group missed. */
export class OwnedPartitions {
  readonly #groupId: string
  readonly #ready: ReadyRecords
  readonly #byKey = new Map<string, OwnedPartition>()
  /** Gaps to be reported with the next delivery. */
  #gaps: Gap[] = []

  /** @param ready Where records of the partitions wait to be delivered. */
  constructor(groupId: string, ready: ReadyRecords) {
    this.#groupId = groupId
    this.#ready = ready
  }

  get(partition: TopicPartition): OwnedPartition | undefined {
    return this.#byKey.get(partitionKey(partition))
  }

  [Symbol.iterator](): IterableIterator<OwnedPartition> {
    return this.#byKey.values()
  }

  /** The partitions' names only, as the client takes them. */
  places(): TopicPartition[] {
    return [...this].map(({ topic, partition }) => ({ topic, partition }))
  }

  /** Whether clients have records that are neither delivered nor requeued. */
  get isHeld(): boolean {
    for (const { held } of this) if (held > 0) return true
    return false
  }

  add(owned: OwnedPartition): void {
    this.#byKey.set(partitionKey(owned), owned)
  }

  /**
   * Gives partitions up: their records that wait, and their gaps, are left to the next owner.
   *
   * @returns the partitions among them that were owned.
   */
  remove(partitions: readonly TopicPartition[]): OwnedPartition[] {
    const gone = partitions.flatMap((partition) => this.get(partition) ?? [])
    for (const owned of gone) {
      owned.state = 'leaving'
      this.#byKey.delete(partitionKey(owned))
    }
    this.#gaps = this.#gaps.filter((gap) => this.get(gap))
    this.#ready.drop((record) => !this.get(record))
    return gone
  }

  /** Takes in records that the client has read, in the client's order. */
  push(records: readonly KafkaRecord[], lowOffset: (of: OwnedPartition) => number): void {
    let owned: OwnedPartition | undefined
    for (const record of records) {
      if (!owned?.is(record)) owned = this.get(record)
      // Records that were on their way when their partition was revoked are delivered by its next owner.
      if (!owned) continue
      if (record.offset !== owned.position)
        owned = this.jump(owned, record.offset, lowOffset(owned))
      owned.answered = true
      owned.position = record.offset + 1
      this.#ready.push(record)
    }
  }

  /**
   * The client goes on at another offset than the expected one.
   *
   * @param low The first offset that the partition keeps; -1 if unknown.
   * @returns the partition to go on with: a new one where its topic was re-created.
   */
  jump(owned: OwnedPartition, offset: number, low: number): OwnedPartition {
    const { topic, partition, position: from } = owned
    const gap = gapIn({ topic, partition, from, to: offset, low })
    if (!gap) return owned
    if (gap.reason === 'out-of-range') return this.reset(owned, offset)
    this.recordGap(gap)
    return owned
  }

  /** Begins with a partition whose topic was re-created: records of the old topic cannot be committed. */
  reset(owned: OwnedPartition, to: number): OwnedPartition {
    const { topic, partition, position } = owned
    const dropped = this.#ready.drop((record) => owned.is(record))
    owned.state = 'released'
    const recreated = new OwnedPartition(topic, partition, to)
    this.add(recreated)
    const from = Math.min(position, ...dropped.map(({ offset }) => offset))
    if (from !== to) this.recordGap({ topic, partition, from, to, reason: 'out-of-range' })
    return recreated
  }

  recordGap(gap: Gap): void {
    log.warn('Group {group} missed {from} to {to} of {topic}:{partition}: {reason}', {
      group: this.#groupId,
      ...gap,
    })
    this.#gaps.push(gap)
  }

  /** The gaps to be reported with the next delivery. */
  takeGaps(): readonly Gap[] {
    return this.#gaps.splice(0)
  }

  /** Gaps that did not reach their client. */
  returnGaps(gaps: readonly Gap[]): void {
    this.#gaps.unshift(...gaps.filter((gap) => this.get(gap)))
  }
}
