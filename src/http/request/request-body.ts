/** The body of a request, which may have several readers: an access plugin, then the route itself. */
import type { Context } from 'hono'
import { KafkaConsumeError } from '../../core/errors.ts'
import { readLimited } from '../../core/read-limited.ts'

/** Bytes of a body at most: Kong's limit. */
const MAX_BODY_BYTES = 1024 * 1024
/** Bytes of bodies that are read at a time in a process. Overflow policy: more requests are refused. */
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
 * Reads a body of 1 MiB at most. It may be read again.
 *
 * @throws KafkaConsumeError RECORD_TOO_LARGE, INVALID_RECORD for a body that does not arrive, or
 *   TOO_MANY_RECORDS when other bodies take all the memory there is for them.
 */
export async function readRequestBody(c: Context): Promise<Uint8Array<ArrayBuffer>> {
  const present = c.get(VARIABLE) as Uint8Array<ArrayBuffer> | undefined
  if (present) return present
  const body = await read(c)
  replaceBody(c, body)
  return body
}

const reading = { bytes: 0 }

async function read(c: Context): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () =>
    new KafkaConsumeError(
      'RECORD_TOO_LARGE',
      `Cannot read the request: its body may have ${MAX_BODY_BYTES} bytes`,
    )
  if (Number(c.req.header('Content-Length') ?? 0) > MAX_BODY_BYTES) throw tooLarge()
  let length = 0
  const count = (bytes: number) => {
    length += bytes
    reading.bytes += bytes
    if (reading.bytes <= MAX_READING_BYTES || reading.bytes === length) return
    throw new KafkaConsumeError(
      'TOO_MANY_RECORDS',
      'Cannot read the request: too many arrive at a time',
      { retryAfter: 1 },
    )
  }
  try {
    const body = await readLimited(c.req.raw.body, MAX_BODY_BYTES, count)
    if (body) return body
  } catch (error) {
    if (error instanceof KafkaConsumeError) throw error
    throw unreadable('its body did not arrive')
  } finally {
    reading.bytes -= length
  }
  throw tooLarge()
}

export function unreadable(state: string): KafkaConsumeError {
  return new KafkaConsumeError('INVALID_RECORD', `Cannot read the request: ${state}`)
}
