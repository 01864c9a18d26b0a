import { spyOn } from 'bun:test'

/** Moves `performance.now()` on by some milliseconds, until it is disposed. One at a time. */
export function skip(milliseconds: number): Disposable {
  const now = performance.now.bind(performance)
  const spy = spyOn(performance, 'now').mockImplementation(() => now() + milliseconds)
  return { [Symbol.dispose]: () => spy.mockRestore() }
}

/** Stops `performance.now()` until it is disposed: `pass` moves it on. One at a time. */
export function stopClock(): Disposable & { pass(milliseconds: number): void } {
  let now = performance.now()
  const spy = spyOn(performance, 'now').mockImplementation(() => now)
  return {
    pass: (milliseconds) => {
      now += milliseconds
    },
    [Symbol.dispose]: () => spy.mockRestore(),
  }
}
