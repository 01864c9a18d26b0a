/**
 * Bodies whose delivery is known: the records of a group are acked when their answer is delivered.
 */
import { settledWithin } from '../../core/deadline.ts'
import type { Delivery } from '../../port/kafka.ts'

/** Called when a body has ended: one of the two, once or more often. */
type DeliveryEnd = Pick<Delivery, 'ack' | 'requeue'>

/**
 * The bytes that the runtime gets at a time: a client that disconnects is noticed at the next piece.
 */
const PIECE_BYTES = 64 * 1024
/** Bytes of a body that Bun is given at once: about as many as kernels buffer for one connection. */
export const AT_ONCE_BYTES = 256 * 1024
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

/** A controller of Bun's streams of type `direct`, which write to the client's socket. */
interface DirectController {
  /**
   * @returns A promise where the socket is full: it resolves when the socket has taken the bytes, or
   * is closed.
   */
  write(bytes: Uint8Array): number | Promise<number>
  end(): unknown
}

/**
 * A small body on Bun's server, whose delivery is known as that of {@link deliver}. Bun writes it to
 * the socket while it takes the response, for half the processor time of another stream, and the
 * records are acked in the same turn. An answer without a stream would cost hardly less, but Bun
 * says of none whether its client was still there.
 *
 * @param bytes At most {@link AT_ONCE_BYTES}.
 * @param request Its signal aborts when the client leaves. It is asked for only when the socket is
 *   full, since a signal costs as much as the stream.
 * @param deadline Milliseconds without progress after which the client counts as disconnected.
 */
export function deliverAtOnce(
  bytes: Uint8Array,
  delivery: DeliveryEnd,
  request: Pick<Request, 'signal'>,
  deadline: number,
): ReadableStream<Uint8Array> {
  const unread = expectReading(delivery, deadline)
  const source = {
    type: 'direct',
    pull(controller: DirectController): Promise<void> | undefined {
      unread.delete(delivery)
      const taken = controller.write(bytes)
      if (typeof taken !== 'number') {
        return deliverWhenTaken(taken, controller, delivery, request.signal, deadline)
      }
      controller.end()
      delivery.ack()
      return undefined
    },
    cancel() {
      unread.delete(delivery)
      delivery.requeue()
    },
  }
  return new ReadableStream(source as unknown as UnderlyingDefaultSource<Uint8Array>)
}

/**
 * @throws Error where the client reads nothing until the deadline: Bun then closes its connection.
 */
async function deliverWhenTaken(
  taken: Promise<number>,
  controller: DirectController,
  delivery: DeliveryEnd,
  signal: AbortSignal,
  deadline: number,
): Promise<void> {
  const requeue = () => delivery.requeue()
  signal.addEventListener('abort', requeue, { once: true })
  const isTaken = await settledWithin(taken, deadline)
  signal.removeEventListener('abort', requeue)
  if (!isTaken || signal.aborted) delivery.requeue()
  if (!isTaken) throw readsNothing()
  controller.end()
  // A second call is ignored: the delivery may have ended by the abort.
  delivery.ack()
}

/**
 * Deliveries whose body the runtime has not asked for yet, as when a middleware answers otherwise.
 */
class UnreadBodies {
  readonly #deadline: number
  readonly #since = new Map<DeliveryEnd, number>()
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(deadline: number) {
    this.#deadline = deadline
  }

  add(delivery: DeliveryEnd): void {
    this.#since.set(delivery, performance.now())
    this.#timer ??= setInterval(() => this.#sweep(), this.#deadline / 4)
  }

  delete(delivery: DeliveryEnd): void {
    this.#since.delete(delivery)
  }

  /** One timer serves all bodies: most are asked for at once. */
  #sweep(): void {
    const now = performance.now()
    for (const [delivery, since] of this.#since) {
      if (now - since < this.#deadline) break
      this.#since.delete(delivery)
      delivery.requeue()
    }
    if (this.#since.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** By deadline, since routes have few different ones. */
const unreadBodies = new Map<number, UnreadBodies>()

function expectReading(delivery: DeliveryEnd, deadline: number): UnreadBodies {
  const found = unreadBodies.get(deadline) ?? new UnreadBodies(deadline)
  unreadBodies.set(deadline, found)
  found.add(delivery)
  return found
}

/** Distinguishes the tags of this process from those of others. */
const PROCESS = crypto.randomUUID().slice(0, 8)
let answers = 0

/**
 * Headers of a body that must reach its client as it is written: a stream, an answer whose delivery
 * acks its records, or an answer that is too large to be held twice. Hono's `etag` would read the body
 * to its end before the first byte is sent, and its `compress` would hold bytes back. Both skip an
 * answer that has an `ETag` and `no-transform`.
 *
 * @param caching A further directive of `Cache-Control`.
 */
export function untransformed(caching: 'no-cache' | 'no-store') {
  return {
    'Cache-Control': `${caching}, no-transform`,
    // Each answer has another tag: `etag` would answer 304 to a tag that the client has seen.
    ETag: `W/"${PROCESS}-${answers++}"`,
  }
}
