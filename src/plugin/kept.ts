import type { Context } from 'hono'

/** An answer as it was sent. */
export interface KeptAnswer {
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
 * Overflow policy: what is too large, or one too many, is made anew for each who asks.
 */
export class KeptAnswers {
  #moment: object | undefined
  #answers = new Map<string, KeptAnswer>()

  find(moment: object, c: Context): KeptAnswer | undefined {
    return moment === this.#moment ? this.#answers.get(keyOf(c)) : undefined
  }

  keep(moment: object, c: Context, answer: KeptAnswer): void {
    if (moment !== this.#moment) {
      this.#moment = moment
      this.#answers = new Map()
    }
    if (answer.bytes.length > MAX_BYTES || this.#answers.size >= MAX_ANSWERS) return
    this.#answers.set(keyOf(c), answer)
  }
}

/** All of a request that its answer depends on. */
function keyOf({ req }: Context): string {
  return `${req.url}\n${req.header('Accept') ?? ''}\n${req.header('Accept-Encoding') ?? ''}`
}
