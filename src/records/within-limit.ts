import { RecordFailure } from './pipeline.ts'

/** The time that an asynchronous step of an app may take for one record. */
const LIMIT_MS = 30_000

/**
 * Waits for a step of an app. A result that comes too late is ignored.
 *
 * @param message Reads "Cannot <action> the record: <subject>", for a step that takes too long.
 * @throws RecordFailure when the step takes longer than {@link LIMIT_MS}.
 */
export async function withinLimit<T>(result: Promise<T>, message: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new RecordFailure(`${message} took more than ${LIMIT_MS / 1000} s`)),
      LIMIT_MS,
    )
  })
  try {
    return await Promise.race([result, limit])
  } finally {
    clearTimeout(timer)
  }
}
