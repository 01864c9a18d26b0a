import { cloudEvent } from './cloud-event.ts'
import type { ConsumedRecord } from './consumed.ts'
import { fieldTexts } from './json-text.ts'
import { quietly, type RecordError } from './prepare.ts'

/** Makes what a client is shown of a record, JSON on one line, of the record's own JSON. */
export type Format = (json: string) => string

/** What a client can ask for by name, wherever records come one by one. */
export const STREAM_FORMATS = ['records', 'value', 'cloudevents'] as const

/** The formats among them; without one a record is shown whole. */
export const FORMATS = {
  /** The value alone. A record with an error is shown whole, so that it is noticed. */
  value(json) {
    const fields = fieldTexts(json)
    return fields.has('error') ? json : (fields.get('value') as string)
  },
  cloudevents: cloudEvent,
} as const satisfies Readonly<Record<string, Format>>

/**
 * Makes what clients are shown of a record, instead of `responseFormat`: as an element of a JSON
 * array by GET, as a line, as the data of an event, or as a frame of a WebSocket.
 *
 * It is called once for each record and all clients that read it at about the same time, and must
 * not wait for anything; use `transform` for that. Numbers beyond 2^53 have lost digits by then.
 *
 * @returns any JSON value; a text is shown as a JSON string.
 * @throws Anything, or returns what is no JSON: the record is shown whole, with the error
 * FORMAT_FAILED.
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
    const complain = quietly()
    made = (json) => shownBy(format, json, complain)
    custom.set(format, made)
  }
  return made
}

function shownBy(format: FormatRecord, json: string, complain: ReturnType<typeof quietly>): string {
  try {
    const made = format(JSON.parse(json) as ConsumedRecord)
    if (made instanceof Promise) throw new Error('the format returned a promise')
    const shown = JSON.stringify(made)
    if (shown !== undefined) return shown
    throw new Error('the format returned what is no JSON')
  } catch (thrown) {
    const { error: _, ...record } = JSON.parse(json) as ConsumedRecord
    complain(record, thrown)
    return JSON.stringify({ ...record, error: FAILED })
  }
}

const FAILED: RecordError = {
  code: 'FORMAT_FAILED',
  message: 'Cannot show the record: the format of this route failed on it',
}
