import type { Context, Handler, Next } from 'hono'

/**
 * Handlers by their ids. A request waits until its handler is mounted: a server listens before, and an
 * `EventSource` that reconnects to it just then would not come back after an error.
 */
export class MountedHandlers<T extends Handler> {
  readonly #mounted = new Map<number, T>()
  readonly #awaited = new Map<number, PromiseWithResolvers<void>>()

  mount(id: number, handler: T): void {
    this.#mounted.set(id, handler)
    this.#awaited.get(id)?.resolve()
  }

  /** A handler that is mounted. */
  get(id: number): T {
    return this.#mounted.get(id) as T
  }

  /** Answers by the handler whose id is in the path. */
  readonly answer: Handler = (c: Context, next: Next) => {
    const id = Number(c.req.param('id'))
    if (this.#mounted.has(id)) return this.get(id)(c, next)
    let awaited = this.#awaited.get(id)
    if (!awaited) {
      awaited = Promise.withResolvers()
      this.#awaited.set(id, awaited)
    }
    return awaited.promise.then(() => this.get(id)(c, next))
  }
}
