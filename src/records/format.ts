import { cloudEvent } from './cloud-event.ts'
import type { ConsumedRecord } from './consumed-record.ts'
import { fieldTexts, isTooDeep, MAX_DEPTH } from './json-fields.ts'
import { type RecordError, throttledWarning } from './pipeline.ts'

const FAILED: RecordError = {
  code: 'FORMAT_FAILED',
  message: 'Cannot show the record: the format of this route failed on it',
}
const FAILED_JSON = JSON.stringify(FAILED)

/** Makes what a client is shown of a record, JSON on one line, of the record's own JSON. */
export type Format = (json: string) => string

/** What a client can ask for by name, wherever records come one by one. */
export const STREAM_FORMATS = ['records', 'value', 'cloudevents'] as const

/**
 * A format whose failure is the record's alone: the record is shown whole then, with the error
 * FORMAT_FAILED. A batch that failed with it would come again and fail again, for ever.
 */
function contained(format: Format): Format {
  const complain = throttledWarning()
  return (json) => {
    try {
      return format(json)
    } catch (thrown) {
      const fields = fieldTexts(json)
      const read = (name: string) => JSON.parse(fields.get(name) as string)
      const [topic, partition, offset] = [read('topic'), read('partition'), read('offset')]
      complain({ topic, partition, offset }, thrown)
      return wholeWithError(fields)
    }
  }
}

/** Made of the fields' texts: what a format failed on may be more than a parser takes. */
function wholeWithError(fields: Map<string, string>): string {
  fields.set('error', FAILED_JSON)
  return `{${[...fields].map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`
}

/** The formats among them; without one a record is shown whole. */
export const FORMATS = {
  /** The value alone. A record with an error is shown whole, so that it is noticed. */
  value: contained((json) => {
    const fields = fieldTexts(json)
    return fields.has('error') ? json : (fields.get('value') as string)
  }),
  cloudevents: contained(cloudEvent),
} as const satisfies Readonly<Record<string, Format>>

/**
 * Makes what clients are shown of a record, instead of `responseFormat`: as an element of a JSON
 * array by GET, as a line, as the data of an event, or as a frame of a WebSocket.
 *
 * It is called once for each record and all clients that read it at about the same time, and must
 * not wait for anything; use `transform` for that. Numbers beyond 2^53 have lost digits by then.
 *
 * @returns any JSON value; a text is shown as a JSON string.
 * @throws Anything, or returns what is not JSON: the record is shown whole, with the error
 * FORMAT_FAILED. So is a record whose JSON is more than 1,000 deep.
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
export type FormatRecord = (record: ConsumedRecord) => unknown

const custom = new WeakMap<FormatRecord, Format>()

/** A function of an embedder as a format, the same each time. */
export function formatBy(format: FormatRecord): Format {
  let made = custom.get(format)
  if (!made) {
    made = contained((json) => shownBy(format, json))
    custom.set(format, made)
  }
  return made
}

/** @throws Error where the embedder's function throws, or returns what is not JSON. */
function shownBy(format: FormatRecord, json: string): string {
  if (isTooDeep(json)) throw new Error(`its JSON is more than ${MAX_DEPTH} deep`)
  const made = format(JSON.parse(json) as ConsumedRecord)
  if (made instanceof Promise) {
    // Nobody waits for it: its own failure must not end the process as an unhandled rejection.
    made.catch(() => {})
    throw new Error('the format returned a promise')
  }
  const shown = JSON.stringify(made)
  if (shown === undefined) throw new Error('the format returned what is not JSON')
  return shown
}
