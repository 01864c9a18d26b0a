/** Web Locks as browsers have them, for runtimes that lack them: one holder per name, in turn. */

type Callback = () => Promise<unknown>

interface LockRequest {
  readonly callback: Callback
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

interface LockOptions {
  readonly signal?: AbortSignal
  readonly steal?: boolean
}

/** Stands in for `navigator.locks` until it is disposed. */
export class TabLocks implements Disposable {
  readonly #held = new Map<string, LockRequest>()
  readonly #queues = new Map<string, LockRequest[]>()
  readonly #before = Object.getOwnPropertyDescriptor(navigator, 'locks')

  constructor() {
    const request = this.request.bind(this)
    Object.defineProperty(navigator, 'locks', { configurable: true, value: { request } })
  }

  request(name: string, options: LockOptions, callback: Callback): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const request = { callback, resolve, reject }
      if (options.steal) {
        this.#held.get(name)?.reject(new DOMException('The lock was stolen', 'AbortError'))
        this.#grant(name, request)
        return
      }
      const queue = this.#queues.get(name) ?? []
      this.#queues.set(name, queue)
      queue.push(request)
      options.signal?.addEventListener('abort', () => {
        const at = queue.indexOf(request)
        if (at < 0) return
        queue.splice(at, 1)
        reject(options.signal?.reason)
      })
      this.#grantNext(name)
    })
  }

  [Symbol.dispose](): void {
    if (this.#before) Object.defineProperty(navigator, 'locks', this.#before)
    else Reflect.deleteProperty(navigator, 'locks')
  }

  #grantNext(name: string): void {
    if (this.#held.has(name)) return
    const next = this.#queues.get(name)?.shift()
    if (next) this.#grant(name, next)
  }

  #grant(name: string, request: LockRequest): void {
    this.#held.set(name, request)
    // As in browsers, the callback does not run before the request has returned.
    setTimeout(() => {
      const end = () => {
        if (this.#held.get(name) !== request) return
        this.#held.delete(name)
        this.#grantNext(name)
      }
      request.callback().then(request.resolve, request.reject).finally(end)
    })
  }
}
