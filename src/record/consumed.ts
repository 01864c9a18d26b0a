import { encodeBody, encodePrefix } from './encode.ts'
import type { PreparedRecord, RecordError } from './prepare.ts'

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
  /** A name that is given several times has an array. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  /** Which fields are base64, since their bytes are no UTF-8. */
  readonly encoding?: {
    readonly key?: 'base64'
    readonly value?: 'base64'
    readonly headers?: Readonly<Record<string, 'base64'>>
  }
  readonly error?: RecordError
}

/** The same of a record that is not encoded yet; deserializing was a step of its own, if any. */
export function consumedOf(record: PreparedRecord): ConsumedRecord {
  const { topic, partition } = record
  return JSON.parse(encodePrefix(topic, partition) + encodeBody(record, 'noop')) as ConsumedRecord
}
