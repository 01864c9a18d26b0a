/**
 * Bodies that Bun's server is given whole, whose delivery is known as that of a stream, for a third of
 * its processor time.
 *
 * Bun does not call back when it has taken an answer, but it shows it: the body counts as used from
 * then on, and the request has no address any more when its answer is complete.
 */
import type { Context } from 'hono'
import type { BunRequest } from '../request/runtime.ts'
import type { DeliveryEnd } from './deliver.ts'

/** Bytes of a body that is given whole, since Bun copies it. */
export const WHOLE_BODY_BYTES = 2 * 1024 * 1024

/**
 * Microtasks within which Bun takes an answer that nothing holds back. Bun hears from no connection
 * between them: a client that was there before is there when Bun takes the answer.
 */
const TAKING_MICROTASKS = 64
/**
 * Bytes of a body that a socket takes at once or not at all. A larger one may be taken in part, and
 * then only the signal of the request tells of a client that left.
 */
const UNDIVIDED_BYTES = 64 * 1024
/**
 * Looks at a closed connection before its answer counts as complete: the system knows of a client that
 * left before Bun does, which aborts the request when it hears of it.
 */
const CLOSED_LOOKS = 3

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
  let left = TAKING_MICROTASKS
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
    if (!isOpen && ++this.#closedLooks < CLOSED_LOOKS) return false
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
