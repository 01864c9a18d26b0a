import { KafkaConsumeError } from '../core/errors.ts'
import type { PartitionTable } from './cursor.ts'
import type { EncodedBatch } from './encoded-batch.ts'
import { expressionOf } from './expression.ts'
import { viewsOf } from './record-view.ts'

/** Which records a reader wants. */
export interface Filter {
  (batch: EncodedBatch, index: number): boolean
  /** Whether the time for a few small records is not worth measuring. */
  readonly isQuick?: boolean
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
export function filterFor(wanted: RequestedFilters, table: PartitionTable): Filter | undefined {
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
  const passes = table.partitions.map(
    ({ topic, partition }) =>
      (wanted.topics.length === 0 || wanted.topics.includes(topic)) &&
      (wanted.partitions.length === 0 || wanted.partitions.includes(partition)),
  )
  const wantedKeys = new Set<string | null>(wanted.keys)
  const expressions = wanted.filters.map(expressionOf)
  if (wantedKeys.size + expressions.length === 0) {
    const filter: Filter = (batch, index) => passes[batch.partitions[index] as number] as boolean
    return Object.assign(filter, { isQuick: true })
  }
  const filter: Filter = (batch, index) => {
    if (!passes[batch.partitions[index] as number]) return false
    const views = viewsOf(batch)
    if (wantedKeys.size > 0 && !wantedKeys.has(views.keyText(index))) return false
    return expressions.every((expression) => views.passes(expression, index))
  }
  return Object.assign(filter, { isQuick: expressions.length === 0 })
}
