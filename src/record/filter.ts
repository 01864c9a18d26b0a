import { KafkaConsumeError } from '../errors.ts'
import type { Chunk } from '../stream/chunk.ts'
import type { PartitionTable } from '../stream/cursor.ts'
import type { Filter } from '../stream/subscription.ts'

/** Which records a client wants; an empty list wants all. */
export interface Wanted {
  readonly topics: readonly string[]
  readonly partitions: readonly number[]
  readonly keys: readonly string[]
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const keys = new WeakMap<Chunk, ReadonlyArray<string | null>>()

/**
 * Which records of a chunk pass; undefined when all do.
 *
 * @throws KafkaConsumeError INVALID_PARAMETER when a partition is named that no wanted topic has.
 */
export function filterFor(wanted: Wanted, table: PartitionTable): Filter | undefined {
  if (wanted.topics.length + wanted.partitions.length + wanted.keys.length === 0) return undefined
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
  const wantedKeys = new Set(wanted.keys)
  return (chunk, index) => {
    if (!passes[chunk.partitions[index] as number]) return false
    if (wantedKeys.size === 0) return true
    const key = keysOf(chunk)[index]
    return key !== null && wantedKeys.has(key as string)
  }
}

/** The keys of a chunk, found once for all filters that look at it. */
function keysOf(chunk: Chunk): ReadonlyArray<string | null> {
  let found = keys.get(chunk)
  if (!found) {
    found = Array.from(chunk.offsets, (_, index) => {
      const begin = chunk.json[index] as number
      const end = (chunk.starts[index + 1] as number) - 2
      return (
        JSON.parse(decoder.decode(chunk.bytes.subarray(begin, end))) as { key: string | null }
      ).key
    })
    keys.set(chunk, found)
  }
  return found
}
