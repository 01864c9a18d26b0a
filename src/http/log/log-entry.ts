/** The entry of a finished request, field by field as Kong's logs have it. */
import type { Context } from 'hono'
import { requestStatisticsOf } from '../../core/request-statistics.ts'
import { clientOf } from '../request/client.ts'
import { type ForwardedRequest, headerMap, queryMap } from '../request/forwarded-request.ts'
import { logFieldsOf } from '../request/log-fields.ts'

/** Headers whose values no log shows; Kong writes this word in their place. */
const SECRET_HEADERS = ['authorization', 'proxy-authorization']
const REDACTED = 'REDACTED'

/** When a request began. */
export interface RequestStart {
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** By `performance.now()`. */
  readonly began: number
}

export function startRequest(): RequestStart {
  return { startedAt: Date.now(), began: performance.now() }
}

/** A field of an entry may be anything that is JSON. */
export type LogEntry = Record<string, unknown>

/** The end of a request: its answer, and the moment at which that began. */
export interface RequestEnd extends RequestStart {
  readonly response: Response
  /** By `performance.now()`. */
  readonly answeredAt: number
  /** A copy of a short answer whose bytes nobody counts. */
  readonly copy: Response | undefined
}

/** @param request Without credentials. */
export async function logEntry(
  c: Context,
  { method, url, headers }: ForwardedRequest,
  { response, answeredAt, copy, startedAt, began }: RequestEnd,
): Promise<LogEntry> {
  const uri = url.pathname + url.search
  const statistics = requestStatisticsOf(c)
  const ended = performance.now()
  const length = await bodyBytes(response, copy, statistics?.bytes ?? 0)
  return {
    request: {
      id: crypto.randomUUID().replaceAll('-', ''),
      method,
      uri,
      url: url.href,
      size:
        headBytes(`${method} ${uri} HTTP/1.1`, c.req.raw.headers) +
        Number(c.req.header('content-length') ?? 0),
      querystring: queryMap(url),
      headers: headerMap(headers),
    },
    response: {
      status: statistics?.status ?? response.status,
      ...(length !== undefined && {
        size: headBytes(`HTTP/1.1 ${response.status}`, response.headers) + length,
      }),
      headers: headerMap(response.headers),
    },
    latencies: {
      kong: Math.round(answeredAt - began),
      request: Math.round(ended - began),
    },
    started_at: startedAt,
    source: 'kong',
    workspace_name: 'default',
    ...logFieldsOf(c),
  }
}

/** Headers of a request as a log shows them: without values that are secret. */
export function redactedHeaders(c: Context): Headers {
  const headers = new Headers(c.req.raw.headers)
  const { credentialHeaders = [], identityHeaders = {} } = clientOf(c)
  for (const name of [...SECRET_HEADERS, ...credentialHeaders]) {
    if (headers.has(name)) headers.set(name, REDACTED)
  }
  for (const [name, value] of Object.entries(identityHeaders)) {
    if (value !== null) headers.set(name, value)
  }
  return headers
}

/** Bytes of a first line and headers as HTTP/1.1 has them. */
function headBytes(line: string, headers: Headers): number {
  let bytes = line.length + 4
  for (const [name, value] of headers) bytes += name.length + value.length + 4
  return bytes
}

/** Bytes of an answer's body; undefined where that is not known. */
async function bodyBytes(
  response: Response,
  copy: Response | undefined,
  counted: number,
): Promise<number | undefined> {
  if (counted > 0) return counted
  if (response.body === null) return 0
  const length = response.headers.get('content-length')
  if (length !== null) return Number(length)
  try {
    return (await copy?.arrayBuffer())?.byteLength
  } catch {
    return undefined
  }
}
