import type { Context } from 'hono'
import type { AnswerMemory } from './answer-budget.ts'

/** An answer as it was sent. */
export interface CachedResponse {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly coding: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly records: number
  /** Of the body before it was compressed. */
  readonly size: number
}

const MAX_ANSWERS = 64
const MAX_BYTES = 64 * 1024

/**
 * Answers that hold as long as nothing has come: clients that wait at the end of topics ask the
 * same thing when there is more, all of them at once.
 *
 * Overflow policy: what is too large, one too many, or finds no memory, is made anew for each who
 * asks.
 */
export class ResponseCache {
  readonly #memory: AnswerMemory
  #version: object | undefined
  #answers = new Map<string, CachedResponse>()

  /** @param memory Where their bytes are counted, with those of answers on their way. */
  constructor(memory: AnswerMemory) {
    this.#memory = memory
  }

  find(moment: object, c: Context): CachedResponse | undefined {
    if (moment === this.#version) return this.#answers.get(keyOf(c))
    if (this.#version !== undefined) this.clear()
    return undefined
  }

  add(moment: object, c: Context, answer: CachedResponse): void {
    if (moment !== this.#version) {
      this.clear()
      this.#version = moment
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

/** All of a request that its answer depends on. */
function keyOf({ req }: Context): string {
  return `${req.url}\n${req.header('Accept') ?? ''}\n${req.header('Accept-Encoding') ?? ''}`
}
