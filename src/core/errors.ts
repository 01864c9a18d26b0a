import type { HTTPResponseError } from 'hono/types'

/**
 * The HTTP status of every error that this project reports, by its stable code. Codes and statuses
 * are promises: `docs/protocol.md` lists them.
 */
const STATUS = {
  INVALID_OPTIONS: 500,
  INVALID_PARAMETER: 400,
  INVALID_CURSOR: 400,
  INVALID_RECORD: 400,
  INVALID_HANDSHAKE: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  UNKNOWN_TOPIC: 404,
  METHOD_NOT_ALLOWED: 405,
  NOT_ACCEPTABLE: 406,
  RECORD_TOO_LARGE: 413,
  UPGRADE_REQUIRED: 426,
  RATE_LIMITED: 429,
  TOO_MANY_STREAMS: 429,
  INTERNAL: 500,
  KAFKA_AUTHENTICATION: 502,
  KAFKA_TLS: 502,
  KAFKA_TOKEN: 502,
  KAFKA_AUTHORIZATION: 502,
  KAFKA_ERROR: 502,
  SCHEMA_REGISTRY_REFUSED: 502,
  KAFKA_UNAVAILABLE: 503,
  SCHEMA_REGISTRY_UNAVAILABLE: 503,
  KAFKA_TIMEOUT: 504,
  TOO_MANY_SUBSCRIBERS: 503,
  TOO_MANY_CATCH_UP_READS: 503,
  TOO_MANY_POLLS: 503,
  TOO_MANY_GROUPS: 503,
  AUTHENTICATION_UNAVAILABLE: 503,
  TOO_MANY_RECORDS: 503,
  TOO_MANY_ANSWERS: 503,
  GROUP_MEMBER_FENCED: 503,
  SHUTTING_DOWN: 503,
} as const

/** The HTTP status of each code. */
export const ERROR_STATUSES: Readonly<Record<ErrorCode, number>> = STATUS
/** All codes. */
export const ERROR_CODES = Object.keys(STATUS) as readonly ErrorCode[]

/** A stable error code; an exhaustive `switch` over it is safe. */
export type ErrorCode = keyof typeof STATUS

/** The fields of an error besides its code and message. */
export interface ErrorDetails {
  /** The underlying error, for logs. */
  readonly cause?: unknown
  /** The Kafka client's own words: shown to HTTP clients only with `errorHandling.returnErrorMessage`. */
  readonly detail?: string
  /** Seconds after which a retry may succeed. Default: 2 for 503 and 504, else undefined. */
  readonly retryAfter?: number
  /** Whether the same request may succeed later. Default: true for 429, 503, 504 and KAFKA_TOKEN. */
  readonly retryable?: boolean
  /** The methods that are allowed where METHOD_NOT_ALLOWED refuses another one. Default: none. */
  readonly allow?: readonly string[]
}

/** `Response`, by way of Hono: these types need no DOM library beyond what Hono's own need. */
type ErrorResponse = ReturnType<HTTPResponseError['getResponse']>

/**
 * The one error class of the project. Its message reads "Cannot <action>: <state>" and is safe to
 * show to an HTTP client; the Kafka client's own words are kept apart in `detail`.
 *
 * @example
 * ```ts
 * import { KafkaConsumeError } from 'hono-kafka-consume'
 *
 * const error = new KafkaConsumeError('KAFKA_UNAVAILABLE', 'Cannot read from Kafka: all brokers are down')
 * if (error.status !== 503 || !error.retryable) throw new Error('unexpected')
 * ```
 */
export class KafkaConsumeError extends Error {
  override readonly name = 'KafkaConsumeError'
  /** The stable code, which answers and events show as `code`. */
  readonly code: ErrorCode
  /** The HTTP status that this error becomes. */
  readonly status: (typeof STATUS)[ErrorCode]
  /** Whether the same request may succeed later. */
  readonly retryable: boolean
  /** Seconds after which a retry may succeed: the header `Retry-After`. */
  readonly retryAfter: number | undefined
  /** The Kafka client's own words: shown to HTTP clients only with `errorHandling.returnErrorMessage`. */
  readonly detail: string | undefined
  /** The methods that are allowed where METHOD_NOT_ALLOWED refuses another one: the header `Allow`. */
  readonly allow: readonly string[]

  /** @param message Reads "Cannot <action>: <state>"; HTTP clients see it. */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.status = STATUS[code]
    this.retryable =
      details.retryable ?? ([429, 503, 504].includes(this.status) || code === 'KAFKA_TOKEN')
    this.retryAfter = details.retryAfter ?? ([503, 504].includes(this.status) ? 2 : undefined)
    this.detail = details.detail
    this.allow = details.allow ?? []
  }

  /**
   * The answer to a request whose handler throws this error: JSON with `message`, `code`, and
   * `retryable` if it is, the header `Retry-After` if the error names a time, and `Allow` if it names
   * methods. It never shows `detail`. Hono's default error handler calls it, as it does for Hono's own
   * `HTTPException`; an `app.onError` of your own may.
   *
   * @example
   * ```ts
   * import { Hono } from 'hono'
   * import { KafkaConsumeError } from 'hono-kafka-consume'
   *
   * const app = new Hono().get('/count', () => {
   *   throw new KafkaConsumeError('KAFKA_UNAVAILABLE', 'Cannot read from Kafka: all brokers are down')
   * })
   * app.onError((error, c) => {
   *   if ('getResponse' in error) return error.getResponse()
   *   return c.text('Something went wrong', 500)
   * })
   *
   * const response = await app.request('/count')
   * if (response.status !== 503) throw new Error('the status of the error')
   * if (response.headers.get('retry-after') !== '2') throw new Error('the time until a retry')
   * ```
   */
  getResponse(): ErrorResponse {
    return Response.json(describeError(this, false), {
      status: this.status,
      headers: {
        ...(this.retryAfter !== undefined && { 'Retry-After': String(this.retryAfter) }),
        ...(this.allow.length > 0 && { Allow: this.allow.join(', ') }),
      },
    })
  }

  /** The message without its action: "<state>" of "Cannot <action>: <state>". */
  get state(): string {
    return this.message.slice(this.message.indexOf(': ') + 2)
  }
}

/** An error as JSON for clients: a body, or the data of `event: error`. */
export function describeError(error: KafkaConsumeError, showDetail: boolean) {
  return {
    message: error.message,
    code: error.code,
    ...(error.retryable ? { retryable: true } : {}),
    ...(showDetail && error.detail !== undefined ? { error: error.detail } : {}),
  }
}

/** Any thrown value as a `KafkaConsumeError`. An unexpected error becomes INTERNAL, and its text is kept from clients. */
export function asKafkaConsumeError(thrown: unknown): KafkaConsumeError {
  if (thrown instanceof KafkaConsumeError) return thrown
  return new KafkaConsumeError('INTERNAL', 'Cannot answer: an unexpected error occurred', {
    cause: thrown,
    detail: thrown instanceof Error ? thrown.message : String(thrown),
  })
}

/**
 * The error of a request to a server that is shutting down.
 *
 * @param action What the request wanted, for the message: "read from Kafka".
 */
export function shuttingDownError(action: string): KafkaConsumeError {
  return new KafkaConsumeError('SHUTTING_DOWN', `Cannot ${action}: the server is shutting down`)
}

/**
 * The error of an outage.
 *
 * @param retryable Whether the same request may succeed later. Default: depends on the code.
 */
export function outageError(
  { code, message, detail }: Pick<KafkaConsumeError, 'code' | 'message' | 'detail'>,
  retryable?: boolean,
): KafkaConsumeError {
  return new KafkaConsumeError(code, message, {
    ...(detail !== undefined && { detail }),
    ...(retryable !== undefined && { retryable }),
  })
}
