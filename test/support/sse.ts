import { createParser } from 'eventsource-parser'
import { until, within } from './wait.ts'

/** One event as a client sees it. */
export interface SseEvent {
  /** `message` where the stream names none. */
  readonly event: string
  readonly id: string | undefined
  readonly data: string
}

/** The parts of the request. */
export interface SseRequest {
  readonly headers?: Record<string, string>
}

/** A client of one event stream, on fetch and eventsource-parser. It does not reconnect. */
export class SseClient implements AsyncDisposable {
  readonly response: Response
  /** The events received, except those named `cursor`, which give the stream's position. */
  readonly events: SseEvent[] = []
  readonly cursors: string[] = []
  readonly comments: string[] = []
  readonly retries: number[] = []
  /** Everything received, as text. */
  text = ''
  /** The last event id. */
  lastEventId: string | undefined
  /** Resolves when the stream has ended, whether by the server or by `close`. */
  readonly ended: Promise<void>
  /** Whether the stream has ended. */
  hasEnded = false
  readonly #abort: AbortController

  private constructor(response: Response, abort: AbortController) {
    this.response = response
    this.#abort = abort
    this.ended = this.#read().finally(() => {
      this.hasEnded = true
    })
  }

  /**
   * Opens a stream.
   *
   * @throws Error when the answer is not an event stream; its message holds the body.
   */
  static async open(url: string, request: SseRequest = {}): Promise<SseClient> {
    const abort = new AbortController()
    const response = await within(
      fetch(url, {
        headers: { accept: 'text/event-stream', ...request.headers },
        signal: abort.signal,
      }),
      `the response of ${url}`,
    )
    const type = response.headers.get('content-type') ?? 'no content type'
    if (response.status !== 200 || !type.startsWith('text/event-stream')) {
      throw new Error(`${url} answered ${response.status} (${type}): ${await response.text()}`)
    }
    return new SseClient(response, abort)
  }

  async #read(): Promise<void> {
    const parser = createParser({
      onEvent: ({ event = 'message', id, data }) => {
        // Like a client that keeps only the ids of dispatched events.
        this.lastEventId = id ?? this.lastEventId
        if (event === 'cursor') this.cursors.push((JSON.parse(data) as { cursor: string }).cursor)
        else this.events.push({ event, id, data })
      },
      onComment: (comment) => this.comments.push(comment),
      onRetry: (retry) => this.retries.push(retry),
      onError: (error) => {
        throw error
      },
    })
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    try {
      for await (const chunk of this.response.body ?? []) {
        const text = decoder.decode(chunk, { stream: true })
        this.text += text
        parser.feed(text)
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error
    }
  }

  /** The records received so far, parsed. */
  records<T = StreamedRecord>(): T[] {
    return this.events
      .filter((event) => event.event === 'message')
      .map((event) => JSON.parse(event.data) as T)
  }

  /** The events of one name. */
  named(name: string): SseEvent[] {
    return this.events.filter(({ event }) => event === name)
  }

  /**
   * Waits for a number of records in all.
   *
   * @throws Error when they do not come in time, or when the stream ends before.
   */
  async until(records: number, milliseconds?: number): Promise<void> {
    let seen = 0
    let looked = 0
    const count = () => {
      for (; looked < this.events.length; looked += 1) {
        if (this.events[looked]?.event === 'message') seen += 1
      }
      return seen
    }
    await until(
      () => {
        const { hasEnded } = this
        if (count() >= records) return true
        if (!hasEnded) return false
        throw new Error(
          `The stream ended after ${seen} records, ${records} were to come; it ends with ${JSON.stringify(this.text.slice(-300))}`,
        )
      },
      () => `${records} records on a stream that brought ${seen}`,
      milliseconds,
    )
  }

  /** Waits for an event of a name. */
  async untilNamed(name: string, milliseconds?: number): Promise<SseEvent> {
    await until(
      () => this.named(name).length > 0,
      () => `an event named ${name} among ${this.events.length} events`,
      milliseconds,
    )
    return this.named(name)[0] as SseEvent
  }

  /** Leaves. */
  async close(): Promise<void> {
    this.#abort.abort()
    await within(this.ended, 'an event stream to end after the client left')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** A record as a stream carries it. */
export interface StreamedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: unknown
  readonly headers: Record<string, string | null | ReadonlyArray<string | null>>
  readonly encoding?: Record<string, unknown>
  readonly schema?: Record<string, unknown>
  readonly error?: { readonly code: string; readonly message: string }
}
