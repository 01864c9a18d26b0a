/** The entry of a finished request, field by field as Kong's logs have it. */
import type { Context } from 'hono'
import { requestStatisticsOf } from '../../core/request-statistics.ts'
import { type ForwardedRequest, headerMap, queryMap } from '../request/forwarded-request.ts'
import { logFieldsOf } from '../request/log-fields.ts'

/** When a request began. */
export interface RequestStart {
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** By `performance.now()`. */
  readonly began: number
}

/** A field of an entry may be anything that is JSON. */
export type LogEntry = Record<string, unknown>

/** The end of a request: its answer, and the moment at which that began. */
export interface RequestEnd extends RequestStart {
  readonly response: Response
  /** By `performance.now()`. */
  readonly answeredAt: number
  /** By `performance.now()`. */
  readonly endedAt: number
  /** Bytes of its body; undefined where they are not known. */
  readonly bytes: number | undefined
}

/** @param request Without credentials. */
export function logEntry(
  c: Context,
  { method, url, headers }: ForwardedRequest,
  { response, answeredAt, endedAt, bytes, startedAt, began }: RequestEnd,
): LogEntry {
  const uri = url.pathname + url.search
  const statistics = requestStatisticsOf(c)
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
      ...(bytes !== undefined && {
        size: headBytes(`HTTP/1.1 ${response.status}`, response.headers) + bytes,
      }),
      headers: headerMap(response.headers),
    },
    latencies: {
      kong: Math.round(answeredAt - began),
      request: Math.round(endedAt - began),
    },
    started_at: startedAt,
    source: 'kong',
    ...logFieldsOf(c),
  }
}

/** Bytes of a first line and headers as HTTP/1.1 has them. */
function headBytes(line: string, headers: Headers): number {
  let bytes = line.length + 4
  for (const [name, value] of headers) bytes += name.length + value.length + 4
  return bytes
}
