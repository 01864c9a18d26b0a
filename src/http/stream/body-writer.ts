/** No queue in the stream: queued bytes would be held for each client. */
const ON_DEMAND = { highWaterMark: 0 }

/** A response body that is written while the client reads it. */
export class BodyWriter implements UnderlyingDefaultSource<Uint8Array> {
  readonly body: ReadableStream<Uint8Array>
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  /** Whether the runtime has pulled and waits for bytes. */
  #isPulled = false
  /**
   * Enqueue the bytes of the writes that wait, in their order: one, and the end of a compressed stream
   * behind a write that its stream has abandoned.
   */
  readonly #waiting: Array<() => void> = []
  #listener: (() => void) | undefined

  constructor() {
    this.body = new ReadableStream(this, ON_DEMAND)
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    if (!this.#controller) return undefined
    if (this.#isPulled) {
      this.#enqueue(bytes)
      return undefined
    }
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        this.#enqueue(bytes)
        resolve()
      })
    })
  }

  onAbort(listener: () => void): void {
    this.#listener = listener
  }

  /** Ends the body before its end, and calls the listener. */
  abort(): void {
    this.close()
    this.#listener?.()
  }

  /** Ends the body after the bytes that the runtime has pulled. */
  close(): void {
    this.#controller?.close()
    this.#controller = undefined
  }

  /** Called by the runtime, as `pull` and `cancel` are. */
  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller
  }

  pull(): void {
    this.#isPulled = true
    this.#waiting.shift()?.()
  }

  cancel(): void {
    this.#controller = undefined
    this.#listener?.()
  }

  #enqueue(bytes: Uint8Array): void {
    this.#isPulled = false
    this.#controller?.enqueue(bytes)
  }
}
