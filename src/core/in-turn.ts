/**
 * Runs steps one after another, each although an earlier one has failed: one part that cannot be closed
 * must not keep the others open.
 *
 * @throws The first error, after the last step.
 */
export async function inTurn(...steps: ReadonlyArray<() => unknown>): Promise<void> {
  const errors: unknown[] = []
  for (const step of steps) {
    try {
      await step()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}

/**
 * Waits until all promises have settled.
 *
 * @throws The first error in their order.
 */
export async function allSettled(promises: Iterable<Promise<unknown> | undefined>): Promise<void> {
  const results = await Promise.allSettled(promises)
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}
