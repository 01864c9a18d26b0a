import { type ConsumedRecord, consumedOf } from './consumed-record.ts'
import { type PipelineStep, type ProcessedRecord, RecordFailure } from './pipeline.ts'
import { withinLimit } from './within-limit.ts'

/** The fields of a record that a transform may change. An absent field stays as it is. */
export interface RecordChange {
  /** The new key: any JSON value. A string is written as text. */
  readonly key?: unknown
  /** The new value: any JSON value. A string is written as text, `null` is a tombstone. */
  readonly value?: unknown
  /** Texts by name. An array repeats the name; `null` stands for a header without a value. */
  readonly headers?: Readonly<Record<string, string | null | ReadonlyArray<string | null>>>
}

/**
 * Changes each record on its way to clients.
 *
 * It is called once each time a record is read. An asynchronous transform is called with up to 16
 * records at a time; clients still get the records in Kafka's order. It may change its record in place
 * and return it, or return a new one. Only `key`, `value` and `headers` are taken from the result. In a
 * field that does not change, numbers beyond 2^53 keep their digits.
 *
 * @returns The record, or null to drop it: no client gets it, and its offset counts as delivered.
 * @throws Anything: the record is delivered unchanged with the error TRANSFORM_FAILED, or becomes a
 * dead letter if the route has a topic for them. A transform that takes more than 30 s fails, too.
 *
 * @example
 * ```ts
 * import { kafkaConsume, type Transform } from 'hono-kafka-consume'
 *
 * const withoutEmail: Transform = (record) => {
 *   const { email, ...value } = record.value as { email?: string; test?: boolean }
 *   return value.test ? null : { ...record, value }
 * }
 * const customers = kafkaConsume({
 *   bootstrapServers: 'localhost:9092',
 *   topics: ['customers'],
 *   messageDeserializer: 'json',
 *   transform: withoutEmail,
 * })
 * await customers.close()
 * ```
 */
export type Transform = (
  record: ConsumedRecord,
) => RecordChange | null | Promise<RecordChange | null>

/** The pipeline step that calls a transform. */
export function transformStep(transform: Transform): PipelineStep {
  return {
    code: 'TRANSFORM_FAILED',
    run(record) {
      const view = consumedOf(record)
      const before = snapshotOf(view)
      const result = transform(view)
      if (!(result instanceof Promise)) return changed(record, before, result)
      const timely = withinLimit(result, 'Cannot transform the record: the transform')
      return timely.then((change) => changed(record, before, change))
    },
  }
}

type RecordSnapshot = Readonly<Record<'key' | 'value' | 'headers', string | undefined>>

/** Copies a record's fields as JSON, to be compared later: a transform may change them in place. */
function snapshotOf({ key, value, headers }: RecordChange): RecordSnapshot {
  return {
    key: JSON.stringify(key),
    value: JSON.stringify(value),
    headers: JSON.stringify(headers),
  }
}

/**
 * Applies the result of a transform to a record.
 *
 * @returns undefined for a dropped record.
 * @throws RecordFailure when the result is not a record, or a field of it is not valid.
 */
function changed(
  record: ProcessedRecord,
  before: RecordSnapshot,
  change: RecordChange | null,
): ProcessedRecord | undefined {
  if (change === null) return undefined
  if (typeof change !== 'object' || Array.isArray(change)) {
    throw new RecordFailure(
      'Cannot transform the record: the transform returned neither a record nor null',
    )
  }
  const after = snapshotOf(change)
  const next: { -readonly [K in keyof ProcessedRecord]: ProcessedRecord[K] } = { ...record }
  for (const field of ['key', 'value'] as const) {
    if (!(field in change) || after[field] === before[field]) continue
    const json = after[field]
    if (json === undefined) {
      throw new RecordFailure(
        `Cannot transform the record: the ${field} that the transform returned is not valid JSON`,
      )
    }
    next[`${field}Json`] = json
  }
  if (change.headers !== undefined && after.headers !== before.headers) {
    next.headers = headersOf(change.headers)
  }
  return next
}

const encoder = new TextEncoder()

/**
 * Converts headers that a transform or a Lua function returned.
 *
 * @throws RecordFailure unless they are an object of texts, arrays of texts, or nulls.
 */
export function headersOf(headers: unknown): NonNullable<ProcessedRecord['headers']> {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) {
    throw invalidHeaders()
  }
  return Object.entries(headers).flatMap(([name, given]: [string, unknown]) =>
    (Array.isArray(given) ? given : [given]).map((text: unknown) => {
      if (typeof text !== 'string' && text !== null) throw invalidHeaders()
      return { [name]: text === null ? null : encoder.encode(text) }
    }),
  )
}

function invalidHeaders(): RecordFailure {
  return new RecordFailure(
    'Cannot transform the record: the headers that were returned are not an object of texts',
  )
}
