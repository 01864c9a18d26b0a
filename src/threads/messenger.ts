/** Requests, answers and notices between two threads, over a port of messages. */
import { getLogger } from '@logtape/logtape'
import { type ErrorCode, KafkaConsumeError } from '../core/errors.ts'
import { LOG_ROOT } from '../core/log.ts'

const log = getLogger([LOG_ROOT, 'threads'])

/** The end of a channel between two threads: a `MessagePort`, or a `Worker` of `node:worker_threads`. */
export interface MessageChannelEnd {
  postMessage(message: unknown): void
  on(event: 'message', listener: (message: never) => void): unknown
}

/** Answers a request, or takes a notice. `signal` aborts when the other thread no longer waits. */
export type MessageHandler = (payload: never, signal: AbortSignal) => unknown

/** Handlers by the names of their requests and notices. */
export type MessageHandlers = Readonly<Record<string, MessageHandler>>

type ThreadMessage =
  | readonly [kind: 'request', id: number, name: string, payload: unknown]
  | readonly [kind: 'notice', id: 0, name: string, payload: unknown]
  | readonly [kind: 'cancel' | 'result' | 'error', id: number, payload: unknown]

/** An error as it travels between threads. */
interface SentError {
  /** Absent for an error that this project does not expect. */
  readonly code?: ErrorCode
  readonly message: string
  readonly detail?: string | undefined
  readonly retryAfter?: number | undefined
  readonly retryable?: boolean
}

/** One side of a conversation between two threads. Messages arrive in the order in which they were sent. */
export class Messenger {
  readonly #end: MessageChannelEnd
  readonly #handlers = new Map<string, MessageHandler>()
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  /** Requests of the other thread that are not answered yet. */
  readonly #answering = new Map<number, AbortController>()
  #requests = 0
  #closedBy: KafkaConsumeError | undefined

  constructor(end: MessageChannelEnd) {
    this.#end = end
    end.on('message', (message: ThreadMessage) => this.#onMessage(message))
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
   * @throws KafkaConsumeError as the other thread did, or SHUTTING_DOWN when that thread has ended.
   */
  request<T>(name: string, payload?: unknown, signal?: AbortSignal): Promise<T> {
    if (this.#closedBy) return Promise.reject(this.#closedBy)
    const id = ++this.#requests
    const waiting = Promise.withResolvers<unknown>()
    this.#waiting.set(id, waiting)
    this.#post(['request', id, name, payload])
    if (!signal) return waiting.promise as Promise<T>
    const cancel = () => this.#post(['cancel', id, undefined])
    if (signal.aborted) cancel()
    else signal.addEventListener('abort', cancel, { once: true })
    return waiting.promise.finally(() => signal.removeEventListener('abort', cancel)) as Promise<T>
  }

  /** Tells the other thread something that it does not answer. */
  notify(name: string, payload?: unknown): void {
    if (!this.#closedBy) this.#post(['notice', 0, name, payload])
  }

  /** Ends the conversation: all requests fail by the error, and what the other thread asked for is aborted. */
  close(error: KafkaConsumeError): void {
    this.#closedBy = error
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    for (const answering of this.#answering.values()) answering.abort(error)
  }

  #post(message: ThreadMessage): void {
    this.#end.postMessage(message)
  }

  #onMessage(message: ThreadMessage): void {
    const [kind, id] = message
    if (kind === 'request') void this.#answer(id, message[2], message[3])
    else if (kind === 'notice') void this.#take(message[2], message[3])
    else if (kind === 'cancel') this.#answering.get(id)?.abort()
    else {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (kind === 'result') waiting?.resolve(message[2])
      else waiting?.reject(receivedError(message[2] as SentError))
    }
  }

  /** Nobody waits for the outcome of a notice: an error of its handler must not end this thread. */
  async #take(name: string, payload: unknown): Promise<void> {
    if (this.#closedBy) return
    try {
      await this.#handlerOf(name)(payload as never, NEVER)
    } catch (error) {
      log.error('Cannot take {name} of another thread: {error}', { name, error })
    }
  }

  async #answer(id: number, name: string, payload: unknown): Promise<void> {
    const controller = new AbortController()
    this.#answering.set(id, controller)
    try {
      const result = await this.#handlerOf(name)(payload as never, controller.signal)
      if (!this.#closedBy) this.#post(['result', id, result])
    } catch (error) {
      if (!this.#closedBy) this.#post(['error', id, sentError(error)])
    } finally {
      this.#answering.delete(id)
    }
  }

  #handlerOf(name: string): MessageHandler {
    const handler = this.#handlers.get(name)
    if (!handler) throw new Error(`Cannot answer another thread: it asks for ${name}`)
    return handler
  }
}

const NEVER = new AbortController().signal

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
