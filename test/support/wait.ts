/** How long a test waits for what ought to happen at once. */
export const SOON = 45_000

/**
 * Resolves after some milliseconds: for tests about time, and to space out what they do. What is to
 * happen is waited for with {@link until}, what must not happen is watched with {@link stays}.
 */
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

/**
 * Asks again and again for some time whether something holds on: where a thing must not happen, and
 * no other event marks that it would have happened by then.
 *
 * @param what Completes "It did not stay so that …".
 * @throws Error at the first answer that is false.
 */
export async function stays(
  holds: () => boolean | Promise<boolean>,
  what: string,
  milliseconds: number,
): Promise<void> {
  const end = performance.now() + milliseconds
  do {
    if (!(await holds())) throw new Error(`It did not stay so that ${what}`)
    await sleep(5)
  } while (performance.now() < end)
}
