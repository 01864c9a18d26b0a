import { Hono } from 'hono'
import { kafkaProduce } from '../../../src/index.ts'
import { sleep, within } from '../../support/wait.ts'

/** Records of one request. */
const BATCH = 20
/** Milliseconds between an answer and the next request of the same poster. */
const PAUSE = 5

interface Answer {
  readonly records?: ReadonlyArray<{
    readonly partition?: number
    readonly offset?: number | null
    readonly failure?: object
  }>
}

/**
 * Clients that post records to `kafkaProduce` as fast as they are answered, each record with a value
 * of its own and once, whatever comes of it.
 */
export class Posters implements AsyncDisposable {
  /** Where a value was said to be, as `partition/offset`; `partition/?` where only that was said. */
  readonly confirmed = new Map<string, string>()
  /** Values that were handed to Kafka, which did not confirm them in time: they may be there. */
  readonly uncertain = new Set<string>()
  /** Values of requests that were refused whole, which are not there. */
  readonly refused = new Set<string>()
  readonly #handler: ReturnType<typeof kafkaProduce>
  readonly #app: Hono
  readonly #posters: Promise<void>[]
  #sent = 0
  #isOver = false

  constructor(bootstrapServers: string, topic: string, count: number) {
    this.#handler = kafkaProduce({ bootstrapServers, topics: [topic] })
    this.#app = new Hono().post('/', this.#handler)
    this.#posters = Array.from({ length: count }, () => this.#post())
  }

  /** Resolves when every request is answered. */
  async finish(): Promise<void> {
    this.#isOver = true
    await within(Promise.all(this.#posters), 'the last answers', 30_000)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.finish()
    await this.#handler.close()
  }

  async #post(): Promise<void> {
    while (!this.#isOver) {
      const values = Array.from({ length: BATCH }, () => `${this.#sent++}`)
      const response = await this.#app.request('/', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        // With keys, so that each goes to a partition of its own choice.
        body: JSON.stringify({ records: values.map((value) => ({ key: value, value })) }),
      })
      const { records } = (await response.json()) as Answer
      for (const [index, value] of values.entries()) {
        const result = records?.[index]
        if (!result) this.refused.add(value)
        else if (result.failure) this.uncertain.add(value)
        else this.confirmed.set(value, `${result.partition}/${result.offset ?? '?'}`)
      }
      await sleep(PAUSE)
    }
  }
}
