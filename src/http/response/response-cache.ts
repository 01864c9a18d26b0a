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

/**
 * Caches answers until a further record arrives. Clients that wait at the end of topics all send equal
 * requests when there is a record.
 *
 * Overflow policy: an answer is not cached if it is larger than {@link MAX_BYTES}, if
 * {@link MAX_ANSWERS} are cached, or if there is no memory for it.
 */
export class ResponseCache {
  readonly #memory: AnswerMemory
  #version: object | undefined
  #answers = new Map<string, CachedResponse>()

  /** @param memory Counts the cached bytes, in the budgets of the answers in delivery. */
  constructor(memory: AnswerMemory) {
    this.#memory = memory
  }

  find(version: object, c: Context): CachedResponse | undefined {
    if (version === this.#version) return this.#answers.get(keyOf(c))
    if (this.#version !== undefined) this.clear()
    return undefined
  }

  add(version: object, c: Context, answer: CachedResponse): void {
    if (version !== this.#version) {
      this.clear()
      this.#version = version
    }
    const key = keyOf(c)
    const bytes = answer.bytes.length + key.length
    if (bytes > MAX_BYTES || this.#answers.size >= MAX_ANSWERS || this.#answers.has(key)) return
    if (this.#memory.cache(bytes)) this.#answers.set(key, answer)
  }

  clear(): void {
    this.#version = undefined
    this.#answers = new Map()
    this.#memory.release()
  }
}

/** The parts of a request on which its answer depends. */
function keyOf({ req }: Context): string {
  return `${req.url}\n${req.header('Accept') ?? ''}\n${req.header('Accept-Encoding') ?? ''}`
}
