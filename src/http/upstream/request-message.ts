/** The message of a request: the JSON object that Kong's `kafka-upstream` sends. */
import type { Context } from 'hono'
import { toBase64 } from '../../core/bytes.ts'
import type { ResolvedUpstreamOptions } from '../../options/upstream-options.ts'
import { jsonOf, textOf } from '../../records/encode.ts'
import {
  type ForwardedRequest,
  grouped,
  headerMap,
  queryMap,
} from '../request/forwarded-request.ts'
import { readRequestBody, unreadable, WHOLE_REQUEST } from '../request/request-body.ts'

/** Kong sends bodies of these types as they are, and all others as base64. */
const TEXT_TYPES: readonly string[] = [
  'text/plain',
  'text/html',
  'text/xml',
  'application/xml',
  'application/soap+xml',
]

type MessageFields = Pick<
  ResolvedUpstreamOptions,
  'forwardMethod' | 'forwardUri' | 'forwardHeaders' | 'forwardBody'
>

/** A request's message, as JSON, and the body as it came. */
export interface RequestMessage {
  readonly json: string
  /** The field `body` of the JSON. */
  readonly shownBody: string | undefined
  readonly body: Uint8Array<ArrayBuffer>
}

/** Reads a request. @throws KafkaConsumeError for a body that is too large, did not arrive or cannot be parsed. */
export async function readMessage(
  c: Context,
  { method, url, headers }: ForwardedRequest,
  forwarding: MessageFields,
): Promise<RequestMessage> {
  const body = await readRequestBody(c, WHOLE_REQUEST)
  const parts = forwarding.forwardBody ? await bodyParts(body, headers.get('content-type')) : {}
  const { body: shownBody, bodyArgs, ...rest } = parts
  const fields = {
    ...(forwarding.forwardMethod && { method }),
    ...(forwarding.forwardUri && { uri: url.pathname, uri_args: queryMap(url) }),
    ...(forwarding.forwardHeaders && { headers: headerMap(headers) }),
    ...(shownBody !== undefined && { body: shownBody }),
    ...rest,
  }
  const json = JSON.stringify(fields)
  if (bodyArgs === undefined) return { json, shownBody, body }
  // The arguments are JSON already, whose numbers have all their digits.
  const comma = json === '{}' ? '' : ','
  return { json: `${json.slice(0, -1)}${comma}"body_args":${bodyArgs}}`, shownBody, body }
}

interface BodyParts {
  readonly body?: string
  /** JSON. */
  readonly bodyArgs?: string
  readonly body_base64?: true
}

async function bodyParts(
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string | null,
): Promise<BodyParts> {
  const type = contentType?.split(';')[0]?.trim().toLowerCase() ?? ''
  const bodyArgs = await argumentsOf(bytes, type, contentType ?? '')
  // A text that is not UTF-8 would lose bytes.
  const text = TEXT_TYPES.includes(type) ? textOf(bytes) : undefined
  return text === undefined
    ? { body: toBase64(bytes), bodyArgs, body_base64: true }
    : { body: text, bodyArgs }
}

/** The arguments of a body, as JSON: its own, or those of a form. Empty for other types. */
async function argumentsOf(
  bytes: Uint8Array<ArrayBuffer>,
  type: string,
  contentType: string,
): Promise<string> {
  if (bytes.length === 0) return '{}'
  if (type === 'application/json') {
    const json = jsonOf(textOf(bytes) ?? '')
    if (json === undefined) throw unreadable('its body is not valid JSON')
    return json
  }
  if (type !== 'application/x-www-form-urlencoded' && type !== 'multipart/form-data') return '{}'
  try {
    const headers = { 'content-type': contentType }
    const form = await new Response(bytes, { headers }).formData()
    const fields: Array<readonly [string, string]> = []
    for (const [name, value] of form) {
      fields.push([name, typeof value === 'string' ? value : await value.text()])
    }
    return JSON.stringify(grouped(fields))
  } catch {
    throw unreadable(`its body is not valid ${type}`)
  }
}
