import type { Delivery } from '../../port/kafka.ts'

/** What is told of how a body ended: one of the two, once or more. */
type DeliveryEnd = Pick<Delivery, 'ack' | 'requeue'>

/** Bytes handed to the runtime at a time: a client that leaves midway is noticed at the next. */
const PIECE_BYTES = 64 * 1024
/** Larger pieces cost a tenth of the processor time less, where nothing hangs on the last byte. */
export const LARGE_PIECE_BYTES = 256 * 1024

/**
 * A body whose delivery is known: the records are done when the runtime has asked for more after
 * the last byte, which it does once it has sent what it has, and given back when the client leaves
 * before that or reads nothing for a while.
 *
 * @param deadline Milliseconds without progress after which the client counts as gone.
 * @param piece Bytes handed to the runtime at a time.
 */
export function deliver(
  bytes: Uint8Array,
  delivery: DeliveryEnd,
  signal: AbortSignal,
  deadline: number,
  piece = PIECE_BYTES,
): ReadableStream<Uint8Array> {
  let sent = 0
  let given = false
  let timer: ReturnType<typeof setTimeout> | undefined
  const giveUp = () => {
    clearTimeout(timer)
    given = true
    delivery.requeue()
  }
  if (signal.aborted) giveUp()
  signal.addEventListener('abort', giveUp, { once: true })
  const watch = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      giveUp()
      controller.error(new Error('Cannot send records: the client reads nothing'))
    }, deadline)
  }
  return new ReadableStream<Uint8Array>(
    {
      start: watch,
      pull(controller) {
        if (sent < bytes.length) {
          watch(controller)
          controller.enqueue(bytes.subarray(sent, sent + piece))
          sent += piece
          return
        }
        clearTimeout(timer)
        signal.removeEventListener('abort', giveUp)
        controller.close()
        if (!given) delivery.ack()
      },
      cancel: giveUp,
    },
    { highWaterMark: 0 },
  )
}

/** Tells this process from others, in tags that never come twice. */
const PROCESS = crypto.randomUUID().slice(0, 8)
let answers = 0

/**
 * Headers of a body that is to reach its client as it is written: a stream, an answer whose records
 * count as delivered when its client has them, or one that is too large to be held twice. Hono's
 * `etag` would read the body to its end before the first byte goes out, and its `compress` would
 * hold bytes back. Both leave an answer alone that has a tag of its own and must not be transformed.
 *
 * @param caching What else `Cache-Control` says.
 */
export function untransformed(caching: 'no-cache' | 'no-store') {
  return {
    'Cache-Control': `${caching}, no-transform`,
    // A tag that came twice would be answered 304 by `etag`, though each answer is another one.
    ETag: `W/"${PROCESS}-${answers++}"`,
  }
}
