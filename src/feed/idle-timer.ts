/**
 * Counts the users of something, and calls back when it has had none for a while. A user that comes
 * and goes without being counted extends the time by {@link touch}.
 */
export class IdleTimer {
  readonly #milliseconds: number
  readonly #onIdle: () => void
  #users = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  /** The earliest end of the idle time, in `performance.now()`'s time. */
  #until = 0
  #isStopped = false

  /** @param milliseconds Without users, after which `onIdle` is called. */
  constructor(milliseconds: number, onIdle: () => void) {
    this.#milliseconds = milliseconds
    this.#onIdle = onIdle
  }

  get users(): number {
    return this.#users
  }

  enter(): void {
    clearTimeout(this.#timer)
    this.#isStopped = false
    this.#users++
  }

  leave(): void {
    this.#users--
    if (this.#users === 0 && !this.#isStopped) this.#start(this.#milliseconds)
  }

  /** Extends the idle time as a user would. It is cheap enough for each request: no timer is set. */
  touch(): void {
    this.#until = performance.now() + this.#milliseconds
  }

  /** Ends the idle time, also of users that leave later, until a next user comes. */
  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #start(milliseconds: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      const left = this.#until - performance.now()
      if (left > 0) this.#start(left)
      else this.#onIdle()
    }, milliseconds)
  }
}
