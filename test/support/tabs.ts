/** Web Locks and channels between tabs as browsers have them, for one process whose loops stand for tabs. */

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

/** A `BroadcastChannel` whose tab can be suspended: its messages wait then, in both directions. */
export class TabChannel {
  /** The open channels, the oldest one first. */
  static all: TabChannel[] = []
  onmessage: ((event: { readonly data: unknown }) => void) | null = null
  readonly #name: string
  #waiting: Array<() => void> | undefined

  constructor(name: string) {
    this.#name = name
    TabChannel.all.push(this)
  }

  /** Stands in for `BroadcastChannel` until it is disposed. */
  static install(): Disposable {
    const before = globalThis.BroadcastChannel
    TabChannel.all = []
    globalThis.BroadcastChannel = TabChannel as never
    return {
      [Symbol.dispose]: () => {
        globalThis.BroadcastChannel = before
      },
    }
  }

  postMessage(data: unknown): void {
    const others = TabChannel.all.filter((one) => one !== this && one.#name === this.#name)
    this.#whenAwake(() => {
      for (const other of others) {
        const copy = structuredClone(data)
        setTimeout(() => other.#whenAwake(() => other.onmessage?.({ data: copy })))
      }
    })
  }

  close(): void {
    TabChannel.all = TabChannel.all.filter((one) => one !== this)
    this.onmessage = null
  }

  suspend(): void {
    this.#waiting = []
  }

  resume(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const act of waiting) act()
  }

  #whenAwake(act: () => void): void {
    if (this.#waiting) this.#waiting.push(act)
    else act()
  }
}
