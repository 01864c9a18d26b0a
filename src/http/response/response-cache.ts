import type { Context } from 'hono'
import type { AnswerMemory } from './answer-budget.ts'
import type { PageIdentity } from './page-identity.ts'

/** A cached answer, as it is sent. */
export interface CachedResponse {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly coding: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly records: number
  /** Bytes of the body before compression. */
  readonly size: number
  /** The page's identity for the caches of clients and proxies; undefined where they may not keep it. */
  readonly identity?: PageIdentity | undefined
}

const MAX_ANSWERS = 64
const MAX_BYTES = 64 * 1024

interface CacheLimits {
  /** Bytes of an answer at most. */
  readonly maxBytes: number
  /** Milliseconds for which an answer is cached. */
  readonly maxAge: number
}

/** Answers that last until the version changes. */
const UNTIL_CHANGE: CacheLimits = { maxBytes: MAX_BYTES, maxAge: Infinity }

/**
 * Caches answers until the version changes of what they were made of, as when a further record arrives.
 * Clients that wait at the end of topics all send equal requests when there is a record.
 *
 * Overflow policy: an answer is not cached if it is larger than its limit, if {@link MAX_ANSWERS} are
 * cached, or if the answer budget has no room for it.
 */
export class ResponseCache {
  readonly #memory: AnswerMemory
  readonly #limits: CacheLimits
  #version: object | undefined
  /** In the order in which they were added. */
  #answers = new Map<string, { readonly answer: CachedResponse; readonly added: number }>()
  #sweep: ReturnType<typeof setTimeout> | undefined
  #isClosed = false

  /**
   * @param memory Counts the cached bytes, in the budgets of the answers in delivery.
   * @param limits Default: answers of 64 KiB, without a limit of time.
   */
  constructor(memory: AnswerMemory, limits: CacheLimits = UNTIL_CHANGE) {
    this.#memory = memory
    this.#limits = limits
  }

  find(version: object, c: Context): CachedResponse | undefined {
    if (version === this.#version) return this.#answers.get(keyOf(c))?.answer
    if (this.#version !== undefined) this.clear()
    return undefined
  }

  add(version: object, c: Context, answer: CachedResponse): void {
    if (this.#isClosed) return
    if (version !== this.#version) {
      this.clear()
      this.#version = version
    }
    const key = keyOf(c)
    const bytes = answer.bytes.length + key.length
    const { maxBytes, maxAge } = this.#limits
    if (bytes > maxBytes || this.#answers.size >= MAX_ANSWERS || this.#answers.has(key)) return
    if (!this.#memory.cache(bytes)) return
    this.#answers.set(key, { answer, added: performance.now() })
    if (maxAge < Infinity) this.#sweepAfter(maxAge)
  }

  clear(): void {
    clearTimeout(this.#sweep)
    this.#sweep = undefined
    this.#version = undefined
    this.#answers = new Map()
    this.#memory.release()
  }

  /** Caches nothing any more: an answer that is still being made then could keep its memory for ever. */
  close(): void {
    this.#isClosed = true
    this.clear()
  }

  /** Removes answers when their time is over. */
  #sweepAfter(delay: number): void {
    if (this.#sweep !== undefined) return
    this.#sweep = setTimeout(() => {
      this.#sweep = undefined
      const { maxAge } = this.#limits
      const now = performance.now()
      for (const [key, { answer, added }] of this.#answers) {
        const left = added + maxAge - now
        if (left > 0) return this.#sweepAfter(left)
        this.#answers.delete(key)
        this.#memory.resize(this.#memory.bytes - answer.bytes.length - key.length)
      }
    }, delay)
    // A cached answer keeps no process alive.
    if (typeof this.#sweep === 'object') this.#sweep.unref()
  }
}

/** The parts of a request on which its answer depends. */
function keyOf({ req }: Context): string {
  return `${req.url}\n${req.header('Accept') ?? ''}\n${req.header('Accept-Encoding') ?? ''}`
}
