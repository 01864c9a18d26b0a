/** Loads code and files at their first use, such as the modules of a handler: an app starts without them. */
import { KafkaConsumeError } from './errors.ts'
import { logOf } from './log.ts'

const log = logOf('loading')

/**
 * Returns a function that loads something once. After a failure, as in a process at its limit of open
 * files, the next call loads it again.
 *
 * Some errors of an import stay, because the runtime keeps them: on Bun and Node 22 those of a module that
 * was read while one that it imports was not, on Bun those of a package that was not found, and on Deno
 * those of a missing file and of files outside of `node_modules`.
 *
 * @throws What `load` throws.
 */
export function loadOnce<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined
  return () => {
    loading ??= load().catch((error: unknown) => {
      loading = undefined
      throw error
    })
    return loading
  }
}

/** Something that is made at its first use, and closed at the end. */
export class ClosableOnUse<T extends { close(): Promise<void> }> {
  /** Makes it with the first call, as {@link loadOnce} does. */
  readonly load: () => Promise<T>
  #made: T | undefined
  #isClosed = false

  constructor(make: () => Promise<T>) {
    this.load = loadOnce(async () => {
      const made = await make()
      this.#made = made
      // It must not start anything after the end, such as a thread for Lua.
      if (this.#isClosed) await made.close()
      return made
    })
  }

  /** Closes it; at once if it is made only afterwards. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#made?.close()
  }
}

/**
 * A function, such as a handler, whose code is loaded with its first call, as {@link loadOnce} does. Later calls
 * return what the function returns, and no promise of it: runtimes are faster with a Response than with a
 * Promise.
 *
 * @param load Loads the function.
 * @throws KafkaConsumeError INTERNAL when the function could not be loaded. It is retryable.
 */
export function onUse<Args extends unknown[], Result>(
  load: () => Promise<(...args: Args) => Result>,
): (...args: Args) => Result | Promise<Awaited<Result>> {
  let loaded: ((...args: Args) => Result) | undefined
  const loading = loadOnce(async () => {
    loaded = await load().catch(reportFailure)
    return loaded
  })
  return (...args) => {
    if (loaded) return loaded(...args)
    return loading().then((fn) => fn(...args)) as Promise<Awaited<Result>>
  }
}

function reportFailure(cause: unknown): never {
  log.error('Cannot load what answers requests: {cause}', { cause })
  const detail = cause instanceof Error ? cause.message : String(cause)
  throw new KafkaConsumeError(
    'INTERNAL',
    'Cannot answer: a part of the program could not be loaded',
    { cause, detail, retryable: true },
  )
}
