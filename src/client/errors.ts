import type { ErrorCode } from '../core/errors.ts'

/** A stable code: that of the server's answer, or one of the client's own. */
export type KafkaStreamErrorCode =
  | ErrorCode
  | 'DISCONNECTED'
  | 'SILENT'
  | 'UNEXPECTED_ANSWER'
  | 'EVENT_TOO_LARGE'

/** The fields of an error that the server reported. */
export interface ReportedError {
  readonly code?: string
  readonly message?: string
  readonly retryable?: boolean
}

/** Statuses of servers and proxies that pass with time. */
const PASSING = [408, 425, 429, 500, 502, 503, 504]

interface StreamErrorDetails {
  readonly retryable?: boolean | undefined
  readonly status?: number | undefined
  readonly retryAfter?: number | undefined
  readonly cause?: unknown
}

/**
 * Ends a stream that cannot go on. `onRetry` gets the errors that do not end it.
 *
 * | code | cause |
 * |---|---|
 * | one of docs/protocol.md | the server's own error |
 * | `DISCONNECTED` | the connection failed; the client retries |
 * | `SILENT` | nothing came for `silenceTimeout`; the client retries |
 * | `UNEXPECTED_ANSWER` | the answer is not that of such a route, for example a login page |
 * | `EVENT_TOO_LARGE` | an event has more than 64 Mi characters |
 */
export class KafkaStreamError extends Error {
  override readonly name = 'KafkaStreamError'
  /** The stable code. */
  declare readonly code: KafkaStreamErrorCode
  /** Whether the same request may succeed later. */
  declare readonly retryable: boolean
  /** The HTTP status of the answer, where there was one. */
  declare readonly status: number | undefined
  /** The answer's `Retry-After` in seconds. */
  declare readonly retryAfter: number | undefined

  constructor(code: KafkaStreamErrorCode, message: string, details: StreamErrorDetails = {}) {
    super(message, details)
    Object.assign(this, { ...details, code, retryable: details.retryable === true })
  }
}

/**
 * The JSON that a route of this package sends.
 *
 * @throws KafkaStreamError UNEXPECTED_ANSWER for any other text.
 */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw reportedError('')
  }
}

/** The error that a text of the server describes: an answer's body, or the data of an event. */
export function reportedError(text: string, details: StreamErrorDetails = {}): KafkaStreamError {
  let reported: ReportedError = {}
  try {
    reported = JSON.parse(text) ?? {}
  } catch {
    // A proxy's page: its status says what there is to say.
  }
  const { status = 'without valid JSON' } = details
  return new KafkaStreamError(
    (reported.code as ErrorCode | undefined) ?? 'UNEXPECTED_ANSWER',
    reported.message ?? `Cannot read the stream: the server answered ${status}`,
    { ...details, retryable: reported.retryable ?? details.retryable },
  )
}

/** The error that an answer with this body is, where another answer is expected. */
export function answeredError({ status, headers }: Response, text: string): KafkaStreamError {
  const after = String(headers.get('Retry-After'))
  // A number of seconds, or a date.
  const seconds = Number(after) || Math.ceil((Date.parse(after) - Date.now()) / 1_000)
  return reportedError(text, {
    status,
    retryable: PASSING.includes(status),
    retryAfter: seconds > 0 ? seconds : undefined,
  })
}
