/** Equal requests at one time share one read. */

/** Reads something for one client or several. */
export type SharedWork<T> = (signal: AbortSignal, onWait: () => void) => Promise<T>

/** Reads in progress, by a key of all on which their result depends. */
export class SharedReads<T> {
  readonly #reads = new Map<string, SharedRead<T>>()
  readonly #release: (result: T) => void

  /** @param release Called with a result that no client needs any more. */
  constructor(release: (result: T) => void) {
    this.#release = release
  }

  /** Reads in progress that further clients may join. */
  get size(): number {
    return this.#reads.size
  }

  #join(key: string | undefined, work: SharedWork<T>): SharedRead<T> {
    const open = key === undefined ? undefined : this.#reads.get(key)
    if (open) {
      open.enter()
      return open
    }
    const read = new SharedRead(this.#release)
    read.enter()
    if (key !== undefined) this.#reads.set(key, read)
    read.begin(work, () => {
      if (key !== undefined && this.#reads.get(key) === read) this.#reads.delete(key)
    })
    return read
  }

  /**
   * Reads for a client, together with others where that can be.
   *
   * @param key Undefined: the read is for this client alone.
   * @param work Reads. Its signal aborts when all clients have left. It calls `onWait` when it begins
   *   to wait for something that does not exist yet: clients that joined it then read by themselves,
   *   since each waits for as long as it has asked for.
   * @param signal Aborts when the client disconnects.
   * @returns The result, and the read that the client must leave once it does not need it any more.
   * @throws The error of the work, or the signal's reason.
   */
  async read(
    key: string | undefined,
    signal: AbortSignal,
    work: SharedWork<T>,
  ): Promise<{ readonly result: T; readonly read: SharedRead<T> }> {
    const isFirst = key === undefined || !this.#reads.has(key)
    const read = this.#join(key, work)
    try {
      const result = isFirst ? await read.first(signal) : await read.joined(signal)
      if (result !== undefined) return { result, read }
    } catch (error) {
      read.leave()
      throw error
    }
    read.leave()
    return this.read(undefined, signal, work)
  }
}

/** One read, and the clients that wait for it or have its result. */
export class SharedRead<T> {
  readonly #release: (result: T) => void
  readonly #abort = new AbortController()
  readonly #waiting = Promise.withResolvers<undefined>()
  #result: Promise<T> | undefined
  #onClosed: (() => void) | undefined
  #clients = 0

  constructor(release: (result: T) => void) {
    this.#release = release
  }

  enter(): void {
    this.#clients++
  }

  /** @param onClosed Called when no further client may join. */
  begin(work: SharedWork<T>, onClosed: () => void): void {
    this.#onClosed = onClosed
    const onWait = () => {
      onClosed()
      this.#waiting.resolve(undefined)
    }
    this.#result = work(this.#abort.signal, onWait).finally(onClosed)
    // A read that all clients have left rejects with nobody to hear it.
    this.#result.catch(() => {})
  }

  /** The result for the client that has begun the read. */
  first(signal: AbortSignal): Promise<T> {
    return unlessAborted(this.#result as Promise<T>, signal)
  }

  /** The result for a client that has joined; undefined where it must read by itself. */
  joined(signal: AbortSignal): Promise<T | undefined> {
    return unlessAborted(Promise.race([this.#result as Promise<T>, this.#waiting.promise]), signal)
  }

  /** One client does not need the result any more. */
  leave(): void {
    this.#clients--
    if (this.#clients > 0) return
    // Before the abort: a client that comes next must not get its error.
    this.#onClosed?.()
    this.#abort.abort()
    this.#result?.then(this.#release, () => {})
  }
}

/** @throws The signal's reason. */
async function unlessAborted<R>(result: Promise<R>, signal: AbortSignal): Promise<R> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([result, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
