import type { Delivery } from '../stream/source.ts'

/** Bytes handed to the runtime at a time: a client that leaves midway is noticed at the next. */
const PIECE = 64 * 1024

/**
 * A body whose delivery is known: the records are done when the runtime has asked for more after
 * the last byte, which it does once it has sent what it has, and given back when the client leaves
 * before that or reads nothing for a while.
 *
 * @param deadline Milliseconds without progress after which the client counts as gone.
 */
export function deliver(
  bytes: Uint8Array,
  delivery: Delivery,
  signal: AbortSignal,
  deadline: number,
): ReadableStream<Uint8Array> {
  let sent = 0
  let given = false
  let timer: ReturnType<typeof setTimeout> | undefined
  const giveUp = () => {
    clearTimeout(timer)
    given = true
    delivery.giveBack()
  }
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
          controller.enqueue(bytes.subarray(sent, sent + PIECE))
          sent += PIECE
          return
        }
        clearTimeout(timer)
        signal.removeEventListener('abort', giveUp)
        controller.close()
        if (!given) delivery.done()
      },
      cancel: giveUp,
    },
    { highWaterMark: 0 },
  )
}
