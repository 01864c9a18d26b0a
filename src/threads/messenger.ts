/** Requests, answers and notices between two threads, over a port of messages. */
import { type ErrorCode, KafkaConsumeError } from '../core/errors.ts'
import { LateSignal } from '../core/late-signal.ts'
import { logOf } from '../core/log.ts'
import type { LeavingClient } from '../port/kafka.ts'

const log = logOf('threads')

/** The end of a channel between two threads: a `MessagePort`, or a `Worker` of `node:worker_threads`. */
export interface MessageChannelEnd {
  postMessage(message: unknown, transferred?: readonly ArrayBuffer[]): void
  on(event: 'message', listener: (message: never) => void): unknown
}

/**
 * Answers a request, or takes a notice. The signal of the client for whom the other thread asks is for a
 * handler that waits.
 */
export type MessageHandler = (payload: never, leaving: LeavingClient) => unknown

/** An answer whose memory moves to the other thread, instead of a copy of it. */
export class Transferred {
  readonly payload: unknown
  readonly buffers: readonly ArrayBuffer[]

  constructor(payload: unknown, buffers: readonly ArrayBuffer[]) {
    this.payload = payload
    this.buffers = buffers
  }
}

/** Handlers by the names of their requests and notices. */
export type MessageHandlers = Readonly<Record<string, MessageHandler>>

type ThreadMessage =
  | readonly [kind: 'request', id: number, name: string, payload: unknown]
  | readonly [kind: 'notice', id: 0, name: string, payload: unknown]
  /** `waits`: the answer takes a while, so that the other thread is to tell when nobody waits any more. */
  | readonly [kind: 'cancel' | 'waits', id: number]
  | readonly [kind: 'result' | 'error', id: number, payload: unknown]

/** An error as it travels between threads. */
interface SentError {
  /** Absent for an error that this project does not expect. */
  readonly code?: ErrorCode
  readonly message: string
  readonly detail?: string | undefined
  readonly retryAfter?: number | undefined
  readonly retryable?: boolean
}

/**
 * When a message is sent: `now`; with the others of this turn of the event loop; or with the next message,
 * within {@link SOON_MS}. To wake a thread costs more than a message has. Messages keep their order: one that
 * is sent takes all along that wait.
 */
export type Urgency = 'now' | 'this turn' | 'soon'

/** Milliseconds within which a message is sent that can wait. */
const SOON_MS = 2

/** A request that the other thread has not answered. */
interface WaitingRequest extends PromiseWithResolvers<unknown> {
  readonly leaving: LeavingClient | undefined
  /** Set once the other thread waits, too. */
  stopWatching?: () => void
}

/** One side of a conversation between two threads. Messages arrive in the order in which they were sent. */
export class Messenger {
  readonly #end: MessageChannelEnd
  readonly #handlers = new Map<string, MessageHandler>()
  readonly #waiting = new Map<number, WaitingRequest>()
  /** Requests of the other thread that are not answered yet. */
  readonly #answering = new Map<number, LateSignal>()
  /** Messages that wait to be sent. Overflow policy: they are sent within {@link SOON_MS}, however many. */
  #outbox: ThreadMessage[] = []
  /** The memory that the messages of the outbox move to the other thread. */
  #transferred: ArrayBuffer[] = []
  #isFlushing = false
  #flushingSoon: ReturnType<typeof setTimeout> | undefined
  /** Whether messages of the other thread are being handled: what they cause is sent together. */
  #isHandling = false
  #requests = 0
  #closedBy: KafkaConsumeError | undefined

  constructor(end: MessageChannelEnd) {
    this.#end = end
    end.on('message', (sent: readonly ThreadMessage[] | string) => this.#onMessages(sent))
  }

  /** Whether the conversation has ended. */
  get isClosed(): boolean {
    return this.#closedBy !== undefined
  }

  /** Adds handlers of requests and notices. */
  handle(handlers: MessageHandlers): void {
    for (const [name, handler] of Object.entries(handlers)) {
      if (this.#handlers.has(name)) throw new Error(`Cannot handle ${name}: it is handled already`)
      this.#handlers.set(name, handler)
    }
  }

  /**
   * Asks the other thread. Its answer settles the promise, also after the signal has told it that
   * nobody waits: an answer that has already been given must not get lost.
   *
   * @param leaving The client for whom this thread asks. Its signal is asked for when the answer takes a while.
   * @throws KafkaConsumeError as the other thread did, or SHUTTING_DOWN when that thread has ended.
   */
  request<T>(
    name: string,
    payload?: unknown,
    leaving?: LeavingClient,
    urgency: Urgency = 'now',
  ): Promise<T> {
    if (this.#closedBy) return Promise.reject(this.#closedBy)
    const id = ++this.#requests
    const waiting: WaitingRequest = { ...Promise.withResolvers<unknown>(), leaving }
    this.#waiting.set(id, waiting)
    this.#send(['request', id, name, payload], urgency)
    return waiting.promise as Promise<T>
  }

  /** Tells the other thread something that it does not answer. */
  notify(name: string, payload?: unknown, urgency: Urgency = 'now'): void {
    if (!this.#closedBy) this.#send(['notice', 0, name, payload], urgency)
  }

  /** Ends the conversation: all requests fail by the error, and what the other thread asked for is aborted. */
  close(error: KafkaConsumeError): void {
    this.#closedBy = error
    clearTimeout(this.#flushingSoon)
    this.#outbox = []
    this.#transferred = []
    for (const waiting of this.#waiting.values()) {
      waiting.stopWatching?.()
      waiting.reject(error)
    }
    this.#waiting.clear()
    for (const answering of this.#answering.values()) answering.abort(error)
  }

  #send(message: ThreadMessage, urgency: Urgency): void {
    this.#outbox.push(message)
    if (urgency === 'soon') {
      this.#flushingSoon ??= setTimeout(this.#flush, SOON_MS)
      return
    }
    if (urgency === 'now' && !this.#isHandling) this.#flush()
    else if (!this.#isFlushing) {
      this.#isFlushing = true
      if (!this.#isHandling) queueMicrotask(this.#flush)
    }
  }

  readonly #flush = (): void => {
    this.#isFlushing = false
    clearTimeout(this.#flushingSoon)
    this.#flushingSoon = undefined
    if (this.#outbox.length === 0) return
    const messages = this.#outbox
    this.#outbox = []
    const transferred = this.#transferred
    this.#transferred = []
    this.#post(messages, transferred)
  }

  #post(messages: readonly ThreadMessage[], transferred: readonly ArrayBuffer[]): void {
    try {
      if (messages.every(isPlain)) this.#end.postMessage(JSON.stringify(messages))
      else this.#end.postMessage(messages, transferred)
    } catch (error) {
      // A message that cannot be sent must not keep the others from it.
      if (messages.length > 1) for (const message of messages) this.#post([message], [])
      else this.#refuse(messages[0] as ThreadMessage, error)
    }
  }

  /** Tells the side that waits for a message why it cannot be sent. */
  #refuse([kind, id]: ThreadMessage, error: unknown): void {
    if (kind === 'result') this.#post([['error', id, sentError(error)]], [])
    else if (kind === 'request') {
      this.#waiting.get(id)?.reject(error)
      this.#waiting.delete(id)
    } else log.error('Cannot tell another thread: {error}', { error })
  }

  #onMessages(sent: readonly ThreadMessage[] | string): void {
    const messages: readonly ThreadMessage[] = typeof sent === 'string' ? JSON.parse(sent) : sent
    const wasFlushing = this.#isFlushing
    this.#isHandling = true
    try {
      for (const message of messages) this.#onMessage(message)
    } finally {
      this.#isHandling = false
      if (this.#isFlushing && !wasFlushing) this.#flush()
    }
  }

  #onMessage(message: ThreadMessage): void {
    const [kind, id] = message
    if (kind === 'request') this.#answer(id, message[2], message[3])
    else if (kind === 'notice') this.#take(message[2], message[3])
    else if (kind === 'cancel') this.#answering.get(id)?.abort()
    else if (kind === 'waits') this.#watch(id)
    else {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      waiting?.stopWatching?.()
      if (kind === 'result') waiting?.resolve(message[2])
      else waiting?.reject(receivedError(message[2] as SentError))
    }
  }

  /** Tells the other thread when nobody waits for its answer any more. */
  #watch(id: number): void {
    const waiting = this.#waiting.get(id)
    const signal = waiting?.leaving?.signal
    if (!waiting || !signal) return
    const cancel = () => this.#send(['cancel', id], 'now')
    if (signal.aborted) cancel()
    else {
      signal.addEventListener('abort', cancel, { once: true })
      waiting.stopWatching = () => signal.removeEventListener('abort', cancel)
    }
  }

  /** Nobody waits for the outcome of a notice: an error of its handler must not end this thread. */
  #take(name: string, payload: unknown): void {
    if (this.#closedBy) return
    const fail = (error: unknown) =>
      log.error('Cannot take {name} of another thread: {error}', { name, error })
    try {
      const taking = this.#handlerOf(name)(payload as never, NEVER)
      if (taking instanceof Promise) taking.catch(fail)
    } catch (error) {
      fail(error)
    }
  }

  /** An answer that is there at once goes with the others of its messages. */
  #answer(id: number, name: string, payload: unknown): void {
    const answering = new LateSignal(() => {
      if (!this.#closedBy) this.#send(['waits', id], 'this turn')
    })
    const fail = (error: unknown) => {
      this.#answering.delete(id)
      if (!this.#closedBy) this.#send(['error', id, sentError(error)], 'this turn')
    }
    try {
      const result = this.#handlerOf(name)(payload as never, answering)
      if (result instanceof Promise) {
        this.#answering.set(id, answering)
        result.then((value: unknown) => this.#conclude(id, value)).catch(fail)
      } else this.#conclude(id, result)
    } catch (error) {
      fail(error)
    }
  }

  #conclude(id: number, result: unknown): void {
    this.#answering.delete(id)
    if (this.#closedBy) return
    const isMoved = result instanceof Transferred
    if (isMoved) this.#transferred.push(...result.buffers)
    this.#send(['result', id, isMoved ? result.payload : result], 'this turn')
  }

  #handlerOf(name: string): MessageHandler {
    const handler = this.#handlers.get(name)
    if (!handler) throw new Error(`Cannot answer another thread: it asks for ${name}`)
    return handler
  }
}

/**
 * Whether a message has numbers and texts only. Such messages are sent as one text: Bun copies a text for a
 * third of the processor time that a structured clone takes (7 µs for a message there and back, beside 20).
 */
function isPlain(message: readonly unknown[]): boolean {
  return message.every((part) =>
    Array.isArray(part) ? part.every(isPlainValue) : isPlainValue(part),
  )
}

/** Whether a value is the same after it was a text. */
function isPlainValue(value: unknown): boolean {
  return typeof value === 'number' ? Number.isFinite(value) : typeof value === 'string'
}

const NEVER = new LateSignal()

function sentError(thrown: unknown): SentError {
  if (!(thrown instanceof KafkaConsumeError)) {
    return { message: thrown instanceof Error ? thrown.message : String(thrown) }
  }
  const { code, message, retryAfter, retryable, cause } = thrown
  const detail = thrown.detail ?? (cause instanceof Error ? cause.message : undefined)
  return { code, message, detail, retryAfter, retryable }
}

function receivedError({ code, message, detail, retryAfter, retryable }: SentError): Error {
  if (code === undefined) return new Error(message)
  return new KafkaConsumeError(code, message, {
    ...(detail !== undefined && {
      detail,
      ...(code === 'INTERNAL' && { cause: new Error(detail) }),
    }),
    ...(retryAfter !== undefined && { retryAfter }),
    ...(retryable !== undefined && { retryable }),
  })
}

/** Results as they travel between threads, of which some are errors. */
export function sentResults(results: readonly unknown[]): unknown[] {
  return results.map((result) =>
    result instanceof KafkaConsumeError ? { error: sentError(result) } : { result },
  )
}

/** The results of {@link sentResults}. */
export function receivedResults<T>(sent: readonly unknown[]): Array<T | KafkaConsumeError> {
  return (sent as ReadonlyArray<{ result: T; error?: SentError }>).map(({ result, error }) =>
    error ? (receivedError(error) as KafkaConsumeError) : result,
  )
}
