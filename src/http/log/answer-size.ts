/** The end of an answer, and the bytes of its body. */
import type { Context } from 'hono'
import { requestStatisticsOf } from '../../core/request-statistics.ts'

export interface AnswerSize {
  /** Resolves at the end of a stream; undefined for an answer that is not a stream. */
  readonly ended: Promise<void> | undefined
  /** Bytes of the whole body, once it has ended; undefined where they are not known. */
  bytes(): Promise<number | undefined> | number | undefined
}

/**
 * The size of an answer of this package's handlers, or of one that states it.
 *
 * @param isShort Whether an answer whose bytes nobody counts is short. Only then a copy of it is
 *   measured: a copy of a stream would keep it alive after its client has left.
 */
export function sizeOf(c: Context, response: Response, isShort: boolean): AnswerSize {
  const statistics = requestStatisticsOf(c)
  if (statistics && (statistics.ended || statistics.bytes > 0)) {
    return { ended: statistics.ended, bytes: () => statistics.bytes }
  }
  const length = response.headers.get('content-length')
  const known = response.body === null ? 0 : length === null ? undefined : Number(length)
  if (known !== undefined || !isShort) return { ended: undefined, bytes: () => known }
  const copy = response.clone()
  return { ended: undefined, bytes: () => measured(copy) }
}

async function measured(copy: Response): Promise<number | undefined> {
  try {
    return (await copy.arrayBuffer()).byteLength
  } catch {
    return undefined
  }
}

/** Whether a handler of the app answers with a stream, as Hono's helpers mark it. */
export function isAppStream(c: Context): boolean {
  return c.res.headers.get('transfer-encoding') === 'chunked' && c.res.body !== null
}

/**
 * Counts the bytes of an app's own stream on their way to the client. Its handler notices as before
 * that the client has left.
 *
 * @returns The stream that takes the place of `body`, and its size.
 */
export function counted(body: ReadableStream<Uint8Array<ArrayBuffer>>): {
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>
  readonly size: AnswerSize
} {
  const end = Promise.withResolvers<void>()
  const reader = body.getReader()
  let bytes = 0
  const passed = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (!done) {
            bytes += value.byteLength
            controller.enqueue(value)
            return
          }
          controller.close()
        } catch (error) {
          controller.error(error)
        }
        end.resolve()
      },
      cancel(reason) {
        end.resolve()
        return reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
  return { body: passed, size: { ended: end.promise, bytes: () => bytes } }
}
