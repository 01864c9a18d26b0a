import { filterTurns, type TurnTask } from '../core/turn-queue.ts'
import type { EncodedBatch } from '../records/encoded-batch.ts'
import type { Filter, FilterPlan } from '../records/filter.ts'
import type { RecordProperty } from '../records/record-property.ts'
import { FilterGroup } from './filter-group.ts'
import { FilterSlices } from './filter-slices.ts'
import { IndexedRead } from './indexed-read.ts'
import type { LiveConsumer } from './live-consumer.ts'
import type { RingBufferReader } from './pacing.ts'

/** The most bytes of the filters in an index, as {@link bytesOf} estimates them. */
const MAX_BYTES = 16 * 1024 * 1024

/** A place in the ring buffer. */
export interface RingPlace {
  /** The sequence number of the next batch to take. */
  readonly sequence: number
  /** The offsets before that batch; undefined where the cursor has them. */
  readonly vector: Float64Array | undefined
}

/** The groups whose records have one of some values of a property. */
interface IndexedProperty {
  readonly property: RecordProperty
  readonly groups: Map<string, Set<FilterGroup>>
}

/**
 * Finds the filtered subscribers that are to get records of a batch, so that the others cost nothing.
 * A filter is found by an equality that each record has which passes it: of the key, the partition or a
 * field. Only filters without one examine each record. Subscribers with equal filters are one group,
 * whose filter is evaluated once for each record.
 *
 * Overflow policy: when the index is full, a further filter is not indexed, and its subscriber examines
 * each record by itself.
 */
export class FilterIndex implements RingBufferReader, TurnTask {
  isQueued = false
  readonly liveConsumer: LiveConsumer
  /** Groups by the id of their filter. */
  readonly #groups = new Map<string, FilterGroup>()
  readonly #properties = new Map<string, IndexedProperty>()
  /** Groups whose filter has no equality to be found by. */
  readonly #unanchored = new Set<FilterGroup>()
  readonly #work = new FilterSlices()
  #bytes = 0
  #readers = 0
  /** The sequence number of the next batch to look through. */
  #sequence = 0
  /** Where the last batch ended that was looked through. */
  #lastEnd: Float64Array | undefined
  /** Progress in the next batch: the next record, and the records found for each group. */
  #next = 0
  #found = new Map<FilterGroup, number[]>()

  constructor(liveConsumer: LiveConsumer) {
    this.liveConsumer = liveConsumer
  }

  /** The number of subscribers in the index. */
  get readers(): number {
    return this.#readers
  }

  /** The number of different filters in the index. */
  get filters(): number {
    return this.#groups.size
  }

  get sequence(): number {
    return this.#sequence
  }

  /** Where the last batch ended that was looked through, if there was one. */
  get lastEnd(): Float64Array | undefined {
    return this.#lastEnd
  }

  /**
   * Takes in a subscriber whose cursor is at the end of the ring buffer.
   *
   * @returns undefined when there is no room.
   */
  enter(filter: Filter, plan: FilterPlan, subscriber: RingBufferReader): IndexedRead | undefined {
    const group = this.#groups.get(plan.id) ?? this.#add(filter, plan)
    if (!group) return undefined
    const { ring, pacing } = this.liveConsumer
    if (this.#readers === 0) {
      this.#sequence = ring.end
      this.#lastEnd = undefined
      pacing.attach(this)
    }
    this.#readers++
    const read = new IndexedRead(this, group, subscriber, ring.end)
    group.join(read)
    return read
  }

  leave(group: FilterGroup, read: IndexedRead): void {
    if (!group.leave(read)) return
    this.#readers--
    if (group.size === 0) this.#remove(group)
    if (this.#readers > 0) return
    this.#next = 0
    this.#found.clear()
    this.liveConsumer.pacing.detach(this)
  }

  /** The place from which on no record has been looked at, for a subscriber that began at a batch. */
  placeFrom(begin: number): RingPlace {
    const { ring, head } = this.liveConsumer
    const sequence = Math.max(begin, this.#sequence)
    // A gap at the end is announced before the cursor moves behind it.
    const isAtHead = sequence === ring.end && ring.gapsBefore(sequence).length === 0
    if (isAtHead) return { sequence, vector: head }
    return { sequence, vector: this.#sequence > begin ? this.#lastEnd : undefined }
  }

  wake(): void {
    const { handover, failure, ring } = this.liveConsumer
    if (handover || failure) this.#release()
    else if (this.#sequence < ring.end) filterTurns.runOrQueue(this)
  }

  advance(): void {
    const { ring } = this.liveConsumer
    while (this.#sequence < ring.end && this.#readers > 0 && !filterTurns.isOver) {
      const batch = ring.batch(this.#sequence)
      if (batch && ring.gapsBefore(this.#sequence).length === 0) this.#lookThrough(batch)
      // Each subscriber announces the gap, or goes on by a catch-up read.
      else this.#release()
    }
    if (this.#sequence < ring.end && this.#readers > 0) filterTurns.queue(this)
  }

  #lookThrough(batch: EncodedBatch): void {
    this.#next = this.#work.run(this.#next, batch.length, (begin, end) => {
      for (let index = begin; index < end; index++) this.#lookAt(batch, index)
    })
    if (this.#next < batch.length) return
    const place = { sequence: this.#sequence, batch }
    const found = this.#found
    this.#next = 0
    this.#found = new Map()
    this.#sequence++
    this.#lastEnd = batch.to
    this.liveConsumer.pacing.markTaken(this.#sequence)
    for (const [group, indexes] of found) group.examine(place, indexes)
    for (const group of this.#unanchored) group.examine(place, undefined)
  }

  #lookAt(batch: EncodedBatch, index: number): void {
    for (const { property, groups } of this.#properties.values()) {
      const text = property.textOf(batch, index)
      const wanting = text === undefined ? undefined : groups.get(text)
      if (!wanting) continue
      for (const group of wanting) {
        const indexes = this.#found.get(group)
        if (indexes) indexes.push(index)
        else this.#found.set(group, [index])
      }
    }
  }

  #add(filter: Filter, plan: FilterPlan): FilterGroup | undefined {
    const bytes = bytesOf(plan)
    if (this.#bytes + bytes > MAX_BYTES) return undefined
    this.#bytes += bytes
    const group = new FilterGroup(filter, plan)
    this.#groups.set(plan.id, group)
    const { anchor } = plan
    if (!anchor) {
      this.#unanchored.add(group)
      return group
    }
    const { property } = anchor
    const indexed = this.#properties.get(property.id) ?? { property, groups: new Map() }
    this.#properties.set(property.id, indexed)
    for (const value of anchor.values) {
      const wanting = indexed.groups.get(value)
      if (wanting) wanting.add(group)
      else indexed.groups.set(value, new Set([group]))
    }
    return group
  }

  #remove(group: FilterGroup): void {
    const { id, anchor } = group.plan
    this.#bytes -= bytesOf(group.plan)
    this.#groups.delete(id)
    this.#unanchored.delete(group)
    this.#found.delete(group)
    const indexed = anchor && this.#properties.get(anchor.property.id)
    if (!indexed) return
    for (const value of anchor.values) {
      const wanting = indexed.groups.get(value)
      wanting?.delete(group)
      if (wanting?.size === 0) indexed.groups.delete(value)
    }
    if (indexed.groups.size === 0) this.#properties.delete(anchor.property.id)
  }

  /** Makes all subscribers test their records by themselves. */
  #release(): void {
    for (const group of [...this.#groups.values()]) group.release()
  }
}

/** Bytes that a filter takes in the index, more or less. */
function bytesOf({ id, anchor }: FilterPlan): number {
  const values = anchor?.values ?? []
  return values.reduce((sum, value) => sum + 2 * value.length + 200, 2 * id.length + 500)
}
