import { type ConsumedRecord, consumedOf } from './consumed-record.ts'
import { type PipelineStep, type ProcessedRecord, RecordFailure } from './pipeline.ts'

/** Milliseconds that a transform may take for one record. */
const LIMIT_MS = 30_000

/** What may be changed of a record. A field that is left out stays as it is. */
export interface RecordChange {
  /** The new key, any JSON value; a string is text. */
  readonly key?: unknown
  /** The new value, any JSON value; a string is text, `null` a tombstone. */
  readonly value?: unknown
  /** Text, or an array where a name is to be given several times. */
  readonly headers?: Readonly<Record<string, string | null | ReadonlyArray<string | null>>>
}

/**
 * Changes each record on its way to clients.
 *
 * It is called with every record once per reading of it, up to 16 of them at a time where it is
 * asynchronous; clients get the records in Kafka's order all the same. What it returns may be the
 * record that it was given, changed in place or not, or a new one; of that `key`, `value` and
 * `headers` count, and the rest stays Kafka's. A number beyond 2^53 keeps its digits in a field that
 * is not changed.
 *
 * @returns The record, or null to drop it: no client gets it, and its offset counts as delivered.
 * @throws Anything: the record is delivered as it was, with the error TRANSFORM_FAILED, or becomes a
 * dead letter where the route keeps those. So it does when it takes more than 30 s.
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

/** A transform as a step. */
export function transformStep(transform: Transform): PipelineStep {
  return {
    code: 'TRANSFORM_FAILED',
    run(record) {
      const view = consumedOf(record)
      const before = snapshotOf(view)
      const result = transform(view)
      if (!(result instanceof Promise)) return changed(record, before, result)
      return inTime(result).then((late) => changed(record, before, late))
    },
  }
}

type RecordSnapshot = Readonly<Record<'key' | 'value' | 'headers', string | undefined>>

/** What a record's fields are, to be compared later: a transform may change them in place. */
function snapshotOf({ key, value, headers }: RecordChange): RecordSnapshot {
  return {
    key: JSON.stringify(key),
    value: JSON.stringify(value),
    headers: JSON.stringify(headers),
  }
}

/**
 * A record with what was changed of it.
 *
 * @throws RecordFailure when a field is nothing that a record can have.
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
      throw new RecordFailure(`Cannot transform the record: the ${field} that it got is no JSON`)
    }
    next[`${field}Json`] = json
  }
  if (change.headers !== undefined && after.headers !== before.headers) {
    next.headers = headersOf(change.headers)
  }
  return next
}

const encoder = new TextEncoder()

/** @throws RecordFailure for what is not an object of texts, or of null for a header without a value. */
export function headersOf(headers: unknown): NonNullable<ProcessedRecord['headers']> {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) throw noHeaders()
  return Object.entries(headers).flatMap(([name, given]: [string, unknown]) =>
    (Array.isArray(given) ? given : [given]).map((text: unknown) => {
      if (typeof text !== 'string' && text !== null) throw noHeaders()
      return { [name]: text === null ? null : encoder.encode(text) }
    }),
  )
}

function noHeaders(): RecordFailure {
  return new RecordFailure(
    'Cannot transform the record: the headers that it got are no object of texts',
  )
}

/** @throws RecordFailure when it takes too long; what comes later is of no effect. */
async function inTime<T>(result: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new RecordFailure(
            `Cannot transform the record: the transform took more than ${LIMIT_MS / 1000} s`,
          ),
        ),
      LIMIT_MS,
    )
  })
  try {
    return await Promise.race([result, limit])
  } finally {
    clearTimeout(timer)
  }
}
