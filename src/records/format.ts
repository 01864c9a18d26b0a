import { cloudEvent } from './cloud-event.ts'
import type { ConsumedRecord } from './consumed-record.ts'
import { fieldTexts, isTooDeep, MAX_DEPTH } from './json-fields.ts'
import { type RecordError, throttledWarning } from './pipeline.ts'

const FAILED: RecordError = {
  code: 'FORMAT_FAILED',
  message: 'Cannot show the record: the format of this route failed on it',
}
const FAILED_JSON = JSON.stringify(FAILED)

/** Converts a record's JSON to the JSON that clients get, on one line. */
export type Format = (json: string) => string

/**
 * A format that shows a record whole, with the error FORMAT_FAILED, when the format fails on it. If the
 * whole batch failed, it would be read and fail again for ever.
 */
function withFallback(format: Format): Format {
  const warn = throttledWarning()
  return (json) => {
    try {
      return format(json)
    } catch (thrown) {
      const fields = fieldTexts(json)
      const read = (name: string) => JSON.parse(fields.get(name) as string)
      const [topic, partition, offset] = [read('topic'), read('partition'), read('offset')]
      warn({ topic, partition, offset }, thrown)
      return wholeWithError(fields)
    }
  }
}

/** The record's JSON with the error. It is built of the fields' texts: the JSON may be too deep to be parsed. */
function wholeWithError(fields: Map<string, string>): string {
  fields.set('error', FAILED_JSON)
  return `{${[...fields].map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`
}

/** The conversion of each format. `records` has none: a record is shown whole. */
export const FORMATS = {
  /** The value alone. A record with an error is shown whole, so that clients notice it. */
  value: withFallback((json) => {
    const fields = fieldTexts(json)
    return fields.has('error') ? json : (fields.get('value') as string)
  }),
  cloudevents: withFallback(cloudEvent),
} as const satisfies Readonly<Record<string, Format>>

/**
 * Converts a record to the JSON value that clients get, in place of `responseFormat`: an element of a
 * JSON array by GET, a line, the data of an event, or a frame of a WebSocket.
 *
 * It is called once for each record and all clients that read the record at about that time. It must be
 * synchronous; a `transform` may wait. Numbers beyond 2^53 have lost digits before it is called.
 *
 * @returns Any JSON value. A string becomes a JSON string.
 * @throws Anything: the record is shown whole, with the error FORMAT_FAILED, as it is when the result is
 * not valid JSON, or the record's JSON is more than 1,000 levels deep.
 *
 * @example
 * ```ts
 * import { type FormatRecord, kafkaConsume } from 'hono-kafka-consume'
 *
 * const brief: FormatRecord = ({ offset, key, value }) => ({ at: offset, [key ?? 'none']: value })
 * const orders = kafkaConsume({ bootstrapServers: 'localhost:9092', topics: ['orders'], format: brief })
 * await orders.close()
 * ```
 */
export type FormatRecord<Formatted = unknown> = (record: ConsumedRecord) => Formatted

const formats = new WeakMap<FormatRecord, Format>()

/** The format of an embedder's function. A function always has one format, so that batches are shared. */
export function customFormat(format: FormatRecord): Format {
  const known = formats.get(format)
  if (known) return known
  const created = withFallback((json) => applyCustom(format, json))
  formats.set(format, created)
  return created
}

/** @throws Error where the embedder's function throws, or returns what is not JSON. */
function applyCustom(format: FormatRecord, json: string): string {
  if (isTooDeep(json)) throw new Error(`its JSON is more than ${MAX_DEPTH} levels deep`)
  const result = format(JSON.parse(json) as ConsumedRecord)
  if (result instanceof Promise) {
    // Nothing awaits the promise: its rejection must not end the process as an unhandled one.
    result.catch(() => {})
    throw new Error('the format returned a promise')
  }
  const formatted = JSON.stringify(result)
  if (formatted === undefined) throw new Error('the format returned a value that is not valid JSON')
  return formatted
}
