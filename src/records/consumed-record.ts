import { encodeBody, encodePrefix } from './encode.ts'
import { isTooDeep, MAX_DEPTH } from './json-fields.ts'
import { type ProcessedRecord, type RecordError, RecordFailure } from './pipeline.ts'

/** A record as a client sees it: what handlers and transforms get. */
export interface ConsumedRecord {
  /** Name of the topic. */
  readonly topic: string
  /** Number of the partition, from 0. */
  readonly partition: number
  /** Offset in the partition. */
  readonly offset: number
  /** Milliseconds since 1970; -1 where the topic keeps no timestamps. */
  readonly timestamp: number
  /** Text, or base64 where `encoding` says so; `null` for a record without a key. */
  readonly key: string | null
  /**
   * Text (or base64 where `encoding` says so), parsed JSON with `messageDeserializer: 'json'` or a
   * schema registry, or `null` for a tombstone.
   */
  readonly value: unknown
  /** Texts by name. A repeated name has an array; `null` stands for a header without a value. */
  readonly headers: Readonly<Record<string, string | null | ReadonlyArray<string | null>>>
  /** The fields that are base64, since their bytes are not UTF-8. */
  readonly encoding?: {
    readonly key?: 'base64'
    readonly value?: 'base64'
    readonly headers?: Readonly<Record<string, 'base64'>>
  }
  /** Why the record is not what it should be; absent where it is. */
  readonly error?: RecordError
}

/**
 * A record that is not encoded yet as a client would see it; deserializing was a step of its own, if any.
 *
 * @throws RecordFailure where its JSON is too deep to be compared and written again.
 */
export function consumedOf(record: ProcessedRecord): ConsumedRecord {
  const { topic, partition } = record
  const json = encodePrefix(topic, partition) + encodeBody(record, 'noop')
  if (isTooDeep(json)) {
    throw new RecordFailure(
      `Cannot transform the record: its JSON is more than ${MAX_DEPTH} levels deep`,
    )
  }
  return JSON.parse(json) as ConsumedRecord
}
