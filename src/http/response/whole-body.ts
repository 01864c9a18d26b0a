/**
 * Sends a body to Bun's server in one piece, and still learns whether it was delivered. This costs a third
 * of the processor time of a stream.
 *
 * Bun has no callback for this. Two observations replace it: `bodyUsed` turns true when Bun takes the body,
 * and `requestIP` returns null when the response is complete or the connection is closed.
 */
import type { Context } from 'hono'
import type { BunRequest } from '../request/runtime.ts'
import type { DeliveryEnd } from './deliver.ts'

/** Bytes of a body that is given whole, since Bun copies it. */
export const WHOLE_BODY_BYTES = 2 * 1024 * 1024

/**
 * Microtasks within which Bun takes a body that no middleware holds back. Bun processes no socket events
 * between microtasks, so a client that was connected before is still connected when Bun takes the body.
 */
const MAX_MICROTASKS_UNTIL_TAKEN = 64
/**
 * Bytes of a body that a socket takes at once or not at all. A larger one may be taken in part, and
 * then only the signal of the request tells of a client that left.
 */
const UNDIVIDED_BYTES = 64 * 1024
/**
 * Checks of a closed connection before its answer counts as complete. The system closes the connection of a
 * client that left before Bun processes that event and aborts the request.
 */
const CHECKS_AFTER_CLOSE = 3

/**
 * Answers with a whole body. Its records are acked when Bun has taken all bytes. They are requeued
 * when the client disconnects before, when it reads nothing until the deadline, or when a middleware
 * answers otherwise.
 *
 * @param bytes At most {@link WHOLE_BODY_BYTES}. They are copied.
 * @param request The request, which is open.
 * @param deadline Milliseconds without progress after which the client counts as disconnected.
 */
export function answerWhole(
  c: Context,
  bytes: Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
  delivery: DeliveryEnd,
  request: BunRequest,
  deadline: number,
): Response {
  const response = c.body(bytes, 200, headers)
  const answer = new WholeAnswer(response, delivery, request, deadline)
  let left = MAX_MICROTASKS_UNTIL_TAKEN
  const look = () => {
    const isUndivided = bytes.length <= UNDIVIDED_BYTES
    if (response.bodyUsed && isUndivided && !request.isOpen) delivery.ack()
    else if (response.bodyUsed || left-- === 0) openAnswers.add(answer)
    else queueMicrotask(look)
  }
  queueMicrotask(look)
  return response
}

/** An answer that Bun does not take at once: its client reads slowly, or a middleware holds it back. */
class WholeAnswer {
  readonly #response: Response
  readonly #delivery: DeliveryEnd
  readonly #request: BunRequest
  readonly #deadline: number
  #until = Infinity
  #isStreamed = false
  #closedLooks = 0

  constructor(response: Response, delivery: DeliveryEnd, request: BunRequest, deadline: number) {
    this.#response = response
    this.#delivery = delivery
    this.#request = request
    this.#deadline = deadline
    let stream: ReadableStream<Uint8Array> | undefined
    // A middleware that takes the body itself gets a stream, which tells of its end.
    Object.defineProperty(response, 'body', {
      configurable: true,
      get: () => {
        this.#isStreamed = true
        stream ??= this.#stream()
        return stream
      },
    })
  }

  #stream(): ReadableStream<Uint8Array> {
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
    return new ReadableStream(
      {
        pull: async (controller) => {
          reader ??= (
            Reflect.get(Response.prototype, 'body', this.#response) as ReadableStream<Uint8Array>
          ).getReader()
          const { done, value } = await reader.read()
          if (!done) return controller.enqueue(value)
          controller.close()
          this.#delivery.ack()
        },
        cancel: this.#requeue,
      },
      { highWaterMark: 0 },
    )
  }

  readonly #requeue = () => this.#delivery.requeue()

  /** Begins to watch it. Until then, its client has not left. */
  watch(): void {
    const isTaken = this.#response.bodyUsed
    // Bun knows whether the client still reads. The second deadline is for connections that it does not close.
    if (isTaken) this.#request.closeWhenIdle(this.#deadline)
    this.#until = performance.now() + this.#deadline * (isTaken ? 2 : 1)
    this.#request.signal.addEventListener('abort', this.#requeue, { once: true })
  }

  /** @returns Whether its end is known. */
  hasEnded(now: number): boolean {
    const isOpen = this.#request.isOpen
    if (isOpen && now < this.#until) return false
    if (!isOpen && ++this.#closedLooks < CHECKS_AFTER_CLOSE) return false
    this.#request.signal.removeEventListener('abort', this.#requeue)
    if (isOpen) this.#delivery.requeue()
    else if (this.#response.bodyUsed) this.#delivery.ack()
    else if (!this.#isStreamed) this.#delivery.requeue()
    return true
  }
}

/** Milliseconds between two looks at the answers that Bun did not take at once. */
const LOOK_MS = 10
/** The answers that are looked at each time, so that very many take no more than a millisecond. */
const MAX_LOOKS = 1_000

class OpenAnswers {
  readonly #answers = new Set<WholeAnswer>()
  #timer: ReturnType<typeof setInterval> | undefined

  add(answer: WholeAnswer): void {
    answer.watch()
    this.#answers.add(answer)
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS)
  }

  #look(): void {
    const now = performance.now()
    let left = Math.min(this.#answers.size, MAX_LOOKS)
    for (const answer of this.#answers) {
      if (left-- === 0) break
      this.#answers.delete(answer)
      // An answer that is still open goes to the end of the order.
      if (!answer.hasEnded(now)) this.#answers.add(answer)
    }
    if (this.#answers.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

const openAnswers = new OpenAnswers()
