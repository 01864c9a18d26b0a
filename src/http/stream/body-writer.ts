/** Nothing is taken before it is asked for: what waits in it would be held for each client. */
const ON_DEMAND = { highWaterMark: 0 }

/** The body of a response that is written while it is read. */
export class BodyWriter implements UnderlyingDefaultSource<Uint8Array> {
  readonly body: ReadableStream<Uint8Array>
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  /** Whether the runtime waits for bytes. */
  #isPulled = false
  /** Gives the runtime the bytes of the write that waits to be asked for. */
  #flush: (() => void) | undefined
  #listener: (() => void) | undefined

  constructor() {
    this.body = new ReadableStream(this, ON_DEMAND)
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#isPulled) {
      this.#enqueue(bytes)
      return undefined
    }
    return new Promise((resolve) => {
      this.#flush = () => {
        this.#enqueue(bytes)
        resolve()
      }
    })
  }

  onAbort(listener: () => void): void {
    this.#listener = listener
  }

  /** Ends the body in the middle. */
  abort(): void {
    this.close()
    this.#listener?.()
  }

  /** Ends the body after what was taken. */
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
    const give = this.#flush
    this.#flush = undefined
    give?.()
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
