/** Event streams that a test chooses, as the server writes them. */

export type Answer = (request: Request) => Response | Promise<Response>

export const EVENTS = { 'Content-Type': 'text/event-stream' }

/** A record's event. */
export function event(offset: number, value: unknown = offset, topic = 'orders'): string {
  const record = { topic, partition: 0, offset, timestamp: 0, key: null, value, headers: {} }
  return `data: ${JSON.stringify(record)}\nid: ${topic}:0=${offset + 1}\n\n`
}

/** Events, after which the connection ends. */
export function events(...texts: string[]): Answer {
  return () => new Response(`retry: 1\n${texts.join('')}`, { headers: EVENTS })
}

/** A stream to which a test writes; the connection stays open. */
export class OpenAnswer {
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined

  readonly response = new Response(
    new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller
      },
      cancel: () => {
        this.#controller = undefined
      },
    }),
    { headers: EVENTS },
  )

  /** A client that has left gets nothing, without an error. */
  write(text: string): void {
    this.#controller?.enqueue(new TextEncoder().encode(text))
  }
}

/** Events, after which the connection stays open in silence. */
export function silence(...texts: string[]): Answer {
  return () => {
    const answer = new OpenAnswer()
    answer.write(texts.join(''))
    return answer.response
  }
}
