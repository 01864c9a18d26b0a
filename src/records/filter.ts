import { KafkaConsumeError } from '../core/errors.ts'
import type { PartitionTable } from './cursor.ts'
import type { EncodedBatch } from './encoded-batch.ts'
import { type Expression, expressionOf } from './expression.ts'
import type { FilterAnchor } from './expression-anchor.ts'
import { KEY_PROPERTY, PARTITION_PROPERTY } from './record-property.ts'
import { keyTextOf, viewsOf } from './record-view.ts'

/** Which records a reader wants. */
export interface Filter {
  /** Whether a record passes. */
  matches(batch: EncodedBatch, index: number): boolean
  /** Whether records of each partition may pass, by its index. Absent: those of all partitions may. */
  readonly partitions?: readonly boolean[]
  /** Whether the time for a few small records is not worth measuring. */
  readonly isQuick?: boolean
  /** How an index serves the filter; absent where only {@link matches} tells. */
  readonly plan?: FilterPlan | undefined
}

/** A filter as an index of many filters sees it. */
export interface FilterPlan {
  /** Equal for filters that let the same records pass. */
  readonly id: string
  /** A condition that all passing records meet; undefined where each record must be examined. */
  readonly anchor: FilterAnchor | undefined
  /** Whether all records that meet the condition pass. */
  readonly isExact: boolean
}

/** The records that a client asks for. An empty list asks for all. */
export interface RequestedFilters {
  /** Names of topics. */
  readonly topics: readonly string[]
  /** Numbers of partitions, of any topic. */
  readonly partitions: readonly number[]
  /** Keys of records, as text. */
  readonly keys: readonly string[]
  /** CEL expressions over a record's fields, which must all be true. */
  readonly filters: readonly string[]
}

/** Whether a client asks for less than all records. */
export function isFiltered({ topics, partitions, keys, filters }: RequestedFilters): boolean {
  return topics.length + partitions.length + keys.length + filters.length > 0
}

/**
 * Which records of a batch pass; undefined when all do.
 *
 * @throws KafkaConsumeError INVALID_PARAMETER when a partition is named that no wanted topic has, or
 * a filter is none.
 */
export function filterFor(
  wanted: RequestedFilters,
  table: PartitionTable,
): RecordFilter | undefined {
  if (!isFiltered(wanted)) return undefined
  const asked = table.partitions.filter(
    ({ topic }) => wanted.topics.length === 0 || wanted.topics.includes(topic),
  )
  for (const wantedPartition of wanted.partitions) {
    if (!asked.some(({ partition }) => partition === wantedPartition)) {
      const highest = Math.max(...asked.map(({ partition }) => partition))
      throw new KafkaConsumeError(
        'INVALID_PARAMETER',
        `Cannot use parameter "partition": there is no partition ${wantedPartition}, they go from 0 to ${highest}`,
      )
    }
  }
  const partitions = table.partitions.map(
    ({ topic, partition }) =>
      (wanted.topics.length === 0 || wanted.topics.includes(topic)) &&
      (wanted.partitions.length === 0 || wanted.partitions.includes(partition)),
  )
  const keys = wanted.keys.length > 0 ? new Set<string | null>(wanted.keys) : undefined
  return new RecordFilter(partitions, keys, wanted.filters.map(expressionOf))
}

/** Conditions on the partition, the key and the fields of a record, which must all be met. */
export class RecordFilter implements Filter {
  /** Whether records of each partition of the table pass. */
  readonly partitions: readonly boolean[]
  readonly #keys: ReadonlySet<string | null> | undefined
  readonly #expressions: readonly Expression[]

  /** @param keys Undefined: all keys pass. */
  constructor(
    partitions: readonly boolean[],
    keys: ReadonlySet<string | null> | undefined,
    expressions: readonly Expression[],
  ) {
    this.partitions = partitions
    this.#keys = keys
    this.#expressions = expressions
  }

  /** Lets no record pass. */
  static none(table: PartitionTable): RecordFilter {
    return new RecordFilter(
      table.partitions.map(() => false),
      undefined,
      [],
    )
  }

  get isQuick(): boolean {
    return this.#expressions.length === 0
  }

  matches(batch: EncodedBatch, index: number): boolean {
    if (!this.partitions[batch.partitions[index] as number]) return false
    if (this.#keys && !this.#keys.has(keyTextOf(batch, index))) return false
    if (this.#expressions.length === 0) return true
    const views = viewsOf(batch)
    return this.#expressions.every((expression) => views.passes(expression, index))
  }

  /** Lets records pass that both filters let pass. */
  and(other: RecordFilter): RecordFilter {
    const partitions = this.partitions.map((passes, index) => {
      return passes && (other.partitions[index] as boolean)
    })
    const keys =
      this.#keys && other.#keys ? this.#keys.intersection(other.#keys) : (this.#keys ?? other.#keys)
    return new RecordFilter(partitions, keys, [...this.#expressions, ...other.#expressions])
  }

  get plan(): FilterPlan {
    const isEvery = this.partitions.every((passes) => passes)
    const passing = this.partitions.flatMap((passes, index) => (passes ? [String(index)] : []))
    const keys = this.#keys && ([...this.#keys] as string[]).sort()
    const texts = [...new Set(this.#expressions.map(({ canonical }) => canonical))].sort()
    const byKey = keys && { property: KEY_PROPERTY, values: keys }
    const byPartition = isEvery ? undefined : { property: PARTITION_PROPERTY, values: passing }
    const byField = this.#expressions.map(({ anchor }) => anchor).find((anchor) => anchor)
    return {
      id: JSON.stringify([isEvery ? null : passing, keys, texts]),
      anchor: byKey ?? byField ?? byPartition,
      isExact: texts.length === 0 && (isEvery || !byKey),
    }
  }
}
