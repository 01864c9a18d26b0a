/** A controller that makes its signal when it is first asked for: to make one takes time, and most calls end without. */
export class LateSignal implements Pick<AbortController, 'signal'> {
  readonly #onAsked: (() => void) | undefined
  #controller: AbortController | undefined
  #isAborted = false
  #reason: unknown

  /** @param onAsked Called when the signal is first asked for, unless it is aborted by then. */
  constructor(onAsked?: () => void) {
    this.#onAsked = onAsked
  }

  get isAborted(): boolean {
    return this.#isAborted
  }

  /** Whether the signal was asked for. */
  get isAsked(): boolean {
    return this.#controller !== undefined
  }

  get signal(): AbortSignal {
    if (this.#controller) return this.#controller.signal
    this.#controller = new AbortController()
    if (this.#isAborted) this.#controller.abort(this.#reason)
    else this.#onAsked?.()
    return this.#controller.signal
  }

  abort(reason?: unknown): void {
    this.#isAborted = true
    this.#reason = reason
    this.#controller?.abort(reason)
  }
}
