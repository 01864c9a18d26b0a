/**
 * Bodies whose delivery is known: the records of a group are acked when their answer is delivered.
 */
import type { Delivery } from '../../port/kafka.ts'

/** Called when a body has ended: one of the two, once or more often. The first call counts. */
export type DeliveryEnd = Pick<Delivery, 'ack' | 'requeue'>

/**
 * The bytes that the runtime gets at a time: a client that disconnects is noticed at the next piece.
 */
const PIECE_BYTES = 64 * 1024
/** Larger pieces take a tenth less processor time, for bodies whose delivery need not be known. */
export const LARGE_PIECE_BYTES = 256 * 1024

/**
 * A body whose delivery is known. The records are acked when the runtime pulls after the last byte,
 * which it does once it has sent its bytes. They are requeued when the client disconnects before, or
 * reads nothing until the deadline.
 *
 * @param deadline Milliseconds without progress after which the client counts as disconnected.
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
  let isRequeued = false
  let timer: ReturnType<typeof setTimeout> | undefined
  const requeue = () => {
    clearTimeout(timer)
    isRequeued = true
    delivery.requeue()
  }
  if (signal.aborted) requeue()
  signal.addEventListener('abort', requeue, { once: true })
  const restartDeadline = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      requeue()
      controller.error(readsNothing())
    }, deadline)
  }
  return new ReadableStream<Uint8Array>(
    {
      start: restartDeadline,
      pull(controller) {
        if (sent < bytes.length) {
          restartDeadline(controller)
          controller.enqueue(bytes.subarray(sent, sent + piece))
          sent += piece
          return
        }
        clearTimeout(timer)
        signal.removeEventListener('abort', requeue)
        controller.close()
        if (!isRequeued) delivery.ack()
      },
      cancel: requeue,
    },
    { highWaterMark: 0 },
  )
}

function readsNothing(): Error {
  return new Error('Cannot send records: the client reads nothing')
}
