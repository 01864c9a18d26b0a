/** How long a test waits for what ought to happen at once. */
export const SOON = 10_000

/** Resolves after some milliseconds. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/**
 * The promise's result, unless it takes too long.
 *
 * @throws Error that says what was waited for.
 */
export async function within<T>(
  promise: PromiseLike<T>,
  what: string,
  milliseconds = SOON,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`Waited ${milliseconds} ms in vain for ${what}`)),
      milliseconds,
    )
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Asks again and again until the answer is true.
 *
 * @param what Completes "Waited in vain for …"; a function is asked at the end, to tell the last state.
 */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string),
  milliseconds = SOON,
): Promise<void> {
  const deadline = performance.now() + milliseconds
  while (!(await holds())) {
    if (performance.now() > deadline) {
      const state = typeof what === 'string' ? what : what()
      throw new Error(`Waited ${milliseconds} ms in vain for ${state}`)
    }
    await sleep(10)
  }
}
