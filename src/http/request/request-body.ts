/** The body of a request, which may have several readers: an access plugin, then the route itself. */
import type { Context } from 'hono'
import { KafkaConsumeError } from '../../core/errors.ts'
import { type Gauge, LocalGauge } from '../../core/gauge.ts'
import { readLimited } from '../../core/read-limited.ts'

/** The purpose of reading a body, and how much of it may come. */
interface BodyPurpose {
  /** The action that the request wants, for messages: "write records". */
  readonly action: string
  /** Bytes of a body at most. */
  readonly maxBytes: number
}

/** A request that is read whole, with Kong's limit. */
export const WHOLE_REQUEST: BodyPurpose = { action: 'read the request', maxBytes: 1024 * 1024 }

/**
 * Bytes of bodies that are read at a time in a process. Overflow policy: more requests are refused,
 * but a single one is read whatever its size.
 */
const MAX_READING_BYTES = 64 * 1024 * 1024

const VARIABLE = 'kafkaRequestBody'

/** The body as its next reader gets it: what was read before, or what still arrives. */
export function bodyOf(c: Context): ReadableStream<Uint8Array<ArrayBuffer>> | null {
  const read = c.get(VARIABLE) as Uint8Array<ArrayBuffer> | undefined
  return read === undefined ? c.req.raw.body : new Blob([read]).stream()
}

/** Gives later readers another body. */
export function replaceBody(c: Context, body: Uint8Array<ArrayBuffer>): void {
  c.set(VARIABLE, body)
}

/**
 * Reads a body. It may be read again.
 *
 * @throws KafkaConsumeError RECORD_TOO_LARGE for a body beyond its limit, whatever else arrives,
 *   INVALID_RECORD for a body that does not arrive, or TOO_MANY_RECORDS when other bodies take all the
 *   memory there is for them.
 */
export async function readRequestBody(
  c: Context,
  purpose: BodyPurpose,
): Promise<Uint8Array<ArrayBuffer>> {
  const present = c.get(VARIABLE) as Uint8Array<ArrayBuffer> | undefined
  const length = present?.length ?? Number(c.req.header('Content-Length') ?? 0)
  if (length > purpose.maxBytes) throw tooLarge(purpose)
  if (present) return present
  const body = await read(c, purpose)
  replaceBody(c, body)
  return body
}

/** The bytes of the bodies that are being read. */
let reading: Gauge = new LocalGauge()

/** Counts the bodies of all threads by a gauge that they share. */
export function countBodiesBy(gauge: Gauge): void {
  reading = gauge
}

async function read(c: Context, purpose: BodyPurpose): Promise<Uint8Array<ArrayBuffer>> {
  const hasLength = c.req.header('Content-Length') !== undefined
  let length = 0
  let held = 0
  let isRefused = false
  const hold = (bytes: number) => {
    held += bytes
    reading.add(bytes)
  }
  const keep = (bytes: number) => {
    length += bytes
    if (length > purpose.maxBytes || isRefused) return false
    hold(bytes)
    if (reading.value <= MAX_READING_BYTES || reading.value === held) return true
    if (hasLength) throw tooManyAtATime(purpose)
    // Only its end tells whether a body without a length is too large, so that another attempt would
    // not help: the rest is read, but not kept.
    isRefused = true
    hold(-held)
    return false
  }
  try {
    const body = await readLimited(c.req.raw.body, purpose.maxBytes, keep)
    if (body) return body
  } catch (error) {
    if (error instanceof KafkaConsumeError) throw error
    throw unreadable('the body did not arrive', purpose)
  } finally {
    hold(-held)
  }
  throw length > purpose.maxBytes ? tooLarge(purpose) : tooManyAtATime(purpose)
}

function tooLarge({ action, maxBytes }: BodyPurpose): KafkaConsumeError {
  const message = `Cannot ${action}: the body may have ${maxBytes} bytes`
  return new KafkaConsumeError('RECORD_TOO_LARGE', message)
}

function tooManyAtATime({ action }: BodyPurpose): KafkaConsumeError {
  const message = `Cannot ${action}: too many arrive at a time`
  return new KafkaConsumeError('TOO_MANY_RECORDS', message, { retryAfter: 1 })
}

/** The error of a body that does not arrive, or cannot be parsed. */
export function unreadable(state: string, { action } = WHOLE_REQUEST): KafkaConsumeError {
  return new KafkaConsumeError('INVALID_RECORD', `Cannot ${action}: ${state}`)
}
