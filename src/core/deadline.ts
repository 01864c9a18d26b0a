/**
 * Waits for a promise, but no longer than `milliseconds`. A rejection in that time is passed on; one
 * that comes later is ignored.
 *
 * @returns Whether the promise was fulfilled in that time.
 */
export async function settledWithin(
  promise: Promise<unknown>,
  milliseconds: number,
): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, milliseconds, false)
  })
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
