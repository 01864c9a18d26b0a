/**
 * The open handlers of this process, for `bun --hot`. Bun evaluates all modules of an app again when
 * one of them is saved, but closes nothing that the previous evaluation opened: old members would keep
 * their partitions, and old streams their clients. Each evaluation of this module therefore closes the
 * handlers that the previous one left open.
 */
import { settledWithin } from './deadline.ts'
import { logOf } from './log.ts'

interface Closable {
  close(): Promise<void>
}

interface ModuleEvaluation {
  readonly open: Set<Closable>
  isOver: boolean
}

/** Milliseconds that an evaluation waits for the previous one to leave its groups. */
const CLOSE_TIMEOUT_MS = 5_000
/** The key holds this module's URL: another copy of this package in the process is left alone. */
const KEY = Symbol.for(`hono-kafka-consume evaluation ${import.meta.url}`)

const log = logOf('hot-reload')
const shared = globalThis as { [KEY]?: ModuleEvaluation }
const current: ModuleEvaluation = { open: new Set(), isOver: false }
const previous = shared[KEY]
shared[KEY] = current

/**
 * Resolves when the previous evaluation has closed what it had open, so that a process has one
 * member of a group at a time. Resolves at once where there was no previous evaluation.
 */
export const previousEvaluationClosed: Promise<void> = previous
  ? closeAll(previous)
  : Promise.resolve()

/** Closes `closable` when this module is evaluated again. */
export function registerOpen(closable: Closable): void {
  current.open.add(closable)
  // A request that came before a hot reload may open something after it.
  if (current.isOver) void close(closable)
}

/** Forgets what has been closed or is about to be. */
export function registerClosed(closable: Closable): void {
  current.open.delete(closable)
}

/** Closes the open handlers of this thread: streams end after a whole event, and groups are left. */
export async function closeOpenHandlers(): Promise<void> {
  await Promise.all([...current.open].map(close))
}

async function closeAll(evaluation: ModuleEvaluation): Promise<void> {
  evaluation.isOver = true
  if (evaluation.open.size === 0) return
  log.info('The app was evaluated again: closing {count} handlers of the previous evaluation', {
    count: evaluation.open.size,
  })
  await settledWithin(Promise.all([...evaluation.open].map(close)), CLOSE_TIMEOUT_MS)
}

async function close(closable: Closable): Promise<void> {
  try {
    await closable.close()
  } catch (error) {
    log.warn('Cannot close a handler: {error}', { error })
  }
}
