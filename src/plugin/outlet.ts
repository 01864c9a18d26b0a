/** Where a stream is written. */
export interface Outlet<Frames> {
  /** Resolves when the runtime has taken them and may be given more; nothing where it has at once. */
  write(frames: Frames): Promise<unknown> | undefined
  onAbort(listener: () => void): void
  abort(): void
}

/** Nothing is taken before it is asked for: what waits in it would be held for each client. */
const ON_DEMAND = { highWaterMark: 0 }

/**
 * A response's body that is written while it is read.
 *
 * In place of Hono's helper, which puts a `TransformStream` and a second `ReadableStream` between:
 * without them a stream holds half the memory, and a write is some promises less.
 */
export class BodyOutlet implements Outlet<Uint8Array>, UnderlyingDefaultSource<Uint8Array> {
  readonly body: ReadableStream<Uint8Array>
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  /** Whether the runtime waits for bytes. */
  #wanted = false
  /** Gives it those of the write that waits to be asked for. */
  #give: (() => void) | undefined
  #listener: (() => void) | undefined

  constructor() {
    this.body = new ReadableStream(this, ON_DEMAND)
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#wanted) {
      this.#enqueue(bytes)
      return undefined
    }
    return new Promise((resolve) => {
      this.#give = () => {
        this.#enqueue(bytes)
        resolve()
      }
    })
  }

  onAbort(listener: () => void): void {
    this.#listener = listener
  }

  /** Ends it in the middle. */
  abort(): void {
    this.close()
    this.#listener?.()
  }

  /** Ends it after what was taken. */
  close(): void {
    this.#controller?.close()
    this.#controller = undefined
  }

  /** For the runtime, as the following two. */
  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller
  }

  pull(): void {
    this.#wanted = true
    const give = this.#give
    this.#give = undefined
    give?.()
  }

  cancel(): void {
    this.#controller = undefined
    this.#listener?.()
  }

  #enqueue(bytes: Uint8Array): void {
    this.#wanted = false
    this.#controller?.enqueue(bytes)
  }
}
