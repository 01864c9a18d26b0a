import { sleep, within } from '../../support/wait.ts'

/** How long an answer may take at most: a read of a group waits for Kafka as long. */
const ANSWER_MS = 40_000
/** Between two requests of the same kind. */
const PAUSE_MS = 50

/** Puts the same request again and again, and keeps each kind of answer with its count. */
export class Questions implements AsyncDisposable {
  /** How often each answer came: its name, status, code, and whether it is for good. */
  readonly answers: Map<string, number>
  readonly #stop = new AbortController()
  readonly #loops: Promise<void>[] = []

  /** @param answers Where to count; a map of others, to count together with them. */
  constructor(answers = new Map<string, number>()) {
    this.answers = answers
  }

  /** Repeats a request. Only the beginning of an event stream is read. */
  ask(name: string, url: string, request: RequestInit = {}): void {
    const loop = this.#loop(name, url, request)
    // Errors are reported where the loops are awaited. After a test that ran out of time nothing awaits
    // them, and an unhandled rejection would fail the tests after it.
    loop.catch(() => undefined)
    this.#loops.push(loop)
  }

  get count(): number {
    return [...this.answers.values()].reduce((sum, count) => sum + count, 0)
  }

  /** Answers after which an `EventSource`, or a client that honours `Retry-After`, does not try again. */
  get final(): string[] {
    return [...this.answers.keys()].filter((answer) => answer.endsWith('for good'))
  }

  /** Waits for the answers that are under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#loops)
  }

  async #loop(name: string, url: string, request: RequestInit): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const answer = `${name}: ${await this.#ask(url, request)}`
      this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1)
      await sleep(PAUSE_MS)
    }
  }

  async #ask(url: string, request: RequestInit): Promise<string> {
    const leaving = new AbortController()
    const asking = fetch(url, { ...request, signal: leaving.signal })
    const response = await within(asking, `an answer of ${url}`, ANSWER_MS)
    const { status } = response
    if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
      const text = await response.text()
      const isRetryable = (status === 503 || status === 504) && response.headers.has('retry-after')
      return status === 200 || isRetryable ? `${status}` : `${status} ${text} for good`
    }
    const reader = response.body?.getReader()
    const { value } = (await reader?.read()) ?? {}
    leaving.abort()
    const told = /^event: error\n(?:.*\n)*?data: (.*)$/m.exec(new TextDecoder().decode(value))?.[1]
    if (told === undefined) return status === 200 ? '200' : `${status} for good`
    const { retryable } = JSON.parse(told) as { retryable: boolean }
    return retryable ? `${status} and an error` : `${status} ${told} for good`
  }
}
