import { encodeBody, encodePrefix } from './encode.ts'
import { isTooDeep, MAX_DEPTH } from './json-text.ts'
import { type PreparedRecord, type RecordError, RecordFailure } from './prepare.ts'

/** A record as a client sees it: what handlers and transforms get. */
export interface ConsumedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly key: string | null
  /** Text, parsed JSON with `messageDeserializer: 'json'`, or null for a tombstone. */
  readonly value: unknown
  /** A name that is given several times has an array; `null` stands for a header without a value. */
  readonly headers: Readonly<Record<string, string | null | ReadonlyArray<string | null>>>
  /** Which fields are base64, since their bytes are no UTF-8. */
  readonly encoding?: {
    readonly key?: 'base64'
    readonly value?: 'base64'
    readonly headers?: Readonly<Record<string, 'base64'>>
  }
  readonly error?: RecordError
}

/**
 * A record that is not encoded yet as a client would see it; deserializing was a step of its own, if any.
 *
 * @throws RecordFailure where its JSON is too deep to be compared and written again.
 */
export function consumedOf(record: PreparedRecord): ConsumedRecord {
  const { topic, partition } = record
  const json = encodePrefix(topic, partition) + encodeBody(record, 'noop')
  if (isTooDeep(json)) {
    throw new RecordFailure(
      `Cannot transform the record: its JSON is more than ${MAX_DEPTH} levels deep`,
    )
  }
  return JSON.parse(json) as ConsumedRecord
}
