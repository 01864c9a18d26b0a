/** Records as CloudEvents 1.0 in structured JSON (https://github.com/cloudevents/spec). */
import { fieldTexts } from './json-fields.ts'

const STRUCTURED = /^application\/cloudevents\+json\b/i
const JSON_TYPE = /^[a-z]+\/(?:[\w.-]+\+)?json\b/i
/** A header with an attribute of a CloudEvent, whose name may have letters and digits only. */
const ATTRIBUTE = /^ce_([a-z0-9]+)$/
/**
 * The newest timestamp that a `time` may have, the end of the year 9999: RFC 3339 has four digits for
 * a year. Topics whose timestamps are microseconds or nanoseconds have later ones.
 */
const MAX_TIME_MS = Date.UTC(10_000, 0) - 1
/** Attributes that are derived from the value, and never from headers. */
const DATA_ATTRIBUTES = ['data', 'data_base64', 'datacontenttype']

interface Headers {
  readonly [name: string]: string | readonly string[]
}

/**
 * Converts a record's JSON to a CloudEvent. A record that is a CloudEvent already, by either mode of
 * CloudEvents' Kafka protocol binding, becomes that event. For other records the source is the topic,
 * the id is partition and offset, and the subject is the key. Numbers keep their digits.
 */
export function cloudEvent(json: string): string {
  const fields = fieldTexts(json)
  const headers = JSON.parse(fields.get('headers') as string) as Headers
  const value = fields.get('value') as string
  const contentType = one(headers['content-type'])
  const isFaulty = fields.has('error')
  const isBinary = isValueBase64(fields)
  if (!isFaulty && !isBinary && STRUCTURED.test(contentType ?? '')) {
    const event = structuredModeEvent(value)
    if (event !== undefined) return event
  }
  const attributes = isFaulty ? undefined : binaryModeAttributes(headers)
  const event = attributes ?? recordAttributes(fields, headers)
  if (isFaulty) {
    const { code, message } = JSON.parse(fields.get('error') as string) as Record<string, string>
    event['errorcode'] = code
    event['errormessage'] = message
  }
  const head = JSON.stringify(event).slice(0, -1)
  return `${head}${dataOf(value, contentType, isBinary)}}`
}

/** The event in the value of a record in structured mode, which is text, or JSON if it was deserialized. */
function structuredModeEvent(value: string): string | undefined {
  const text = value.startsWith('"') ? (JSON.parse(value) as string) : value
  try {
    const event: unknown = JSON.parse(text)
    if (typeof event !== 'object' || event === null || !('specversion' in event)) return undefined
  } catch {
    return undefined
  }
  return text.replace(/[\r\n]/g, ' ')
}

/** The attributes of a record in binary mode: headers whose names begin with `ce_`. */
function binaryModeAttributes(headers: Headers): Record<string, unknown> | undefined {
  const attributes: Record<string, unknown> = {}
  for (const [name, given] of Object.entries(headers)) {
    const attribute = ATTRIBUTE.exec(name)?.[1]
    if (attribute && !DATA_ATTRIBUTES.includes(attribute)) attributes[attribute] = one(given)
  }
  const isEvent = ['specversion', 'id', 'source', 'type'].every((name) => attributes[name])
  return isEvent ? attributes : undefined
}

/** The attributes of a record that is not a CloudEvent. */
function recordAttributes(fields: ReadonlyMap<string, string>, headers: Headers) {
  const read = (name: string): unknown => JSON.parse(fields.get(name) as string)
  const [topic, partition, offset] = [read('topic'), read('partition'), fields.get('offset')]
  const timestamp = read('timestamp') as number
  const key = read('key')
  const event: Record<string, unknown> = {
    specversion: '1.0',
    id: `${partition}:${offset}`,
    source: `/topics/${topic}`,
    type: 'org.apache.kafka.record',
  }
  if (timestamp >= 0 && timestamp <= MAX_TIME_MS) event['time'] = new Date(timestamp).toISOString()
  if (key !== null) {
    const text = typeof key === 'string' ? key : (fields.get('key') as string)
    // CloudEvents allows no empty subject. `partitionkey` is the Kafka binding's name of a record's key.
    if (text !== '') event['subject'] = text
    event['partitionkey'] = text
  }
  for (const name of ['traceparent', 'tracestate']) {
    const given = one(headers[name])
    if (given) event[name] = given
  }
  return event
}

function dataOf(value: string, contentType: string | undefined, isBinary: boolean): string {
  if (value === 'null') return ''
  const type = (name: string) => `,"datacontenttype":${JSON.stringify(contentType ?? name)}`
  if (isBinary) return `${type('application/octet-stream')},"data_base64":${value}`
  // A deserialized value is JSON, whatever `content-type` says about its bytes.
  if (!value.startsWith('"')) return `,"datacontenttype":"application/json","data":${value}`
  const inner = JSON_TYPE.test(contentType ?? '') ? jsonIn(JSON.parse(value) as string) : undefined
  if (inner !== undefined) return `${type('')},"data":${inner}`
  return `${type('text/plain')},"data":${value}`
}

function jsonIn(text: string): string | undefined {
  try {
    JSON.parse(text)
  } catch {
    return undefined
  }
  return text.replace(/[\r\n]/g, ' ')
}

function isValueBase64(fields: ReadonlyMap<string, string>): boolean {
  const encoding = fields.get('encoding')
  return encoding !== undefined && 'value' in (JSON.parse(encoding) as object)
}

/** The text of a header, or the first of several. */
function one(given: string | readonly string[] | undefined): string | undefined {
  const first: unknown = Array.isArray(given) ? given[0] : given
  return typeof first === 'string' ? first : undefined
}
