/**
 * What is open in a process, by evaluations of this module. `bun --hot` evaluates all modules of an
 * app again whenever one of them is saved, and nothing closes what the evaluation before has opened:
 * its members would keep their partitions, and its streams their clients. So the next one does.
 */
import { getLogger } from '@logtape/logtape'

interface Closable {
  close(): Promise<void>
}

interface Evaluation {
  readonly open: Set<Closable>
  isOver: boolean
}

/** Milliseconds that the next evaluation waits for the one before to leave its groups. */
const PATIENCE_MS = 5_000
/** Other copies of this package in the process have another URL, and are left alone. */
const KEY = Symbol.for(`hono-kafka-consume evaluation ${import.meta.url}`)

const log = getLogger(['hono-kafka-consume', 'evaluation'])
const shared = globalThis as { [KEY]?: Evaluation }
const current: Evaluation = { open: new Set(), isOver: false }
const before = shared[KEY]
shared[KEY] = current

/**
 * Resolves when the evaluation before has closed what it had open, so that a process has one member of
 * a group at a time; at once where there was none.
 */
export const predecessorClosed: Promise<void> = before ? end(before) : Promise.resolve()

/** Has something closed when this module is evaluated again. */
export function registerOpen(one: Closable): void {
  current.open.add(one)
  // A request that came before the app was evaluated again may open something after it.
  if (current.isOver) void close(one)
}

/** What was closed, or is about to be, is not kept. */
export function registerClosed(one: Closable): void {
  current.open.delete(one)
}

async function end(evaluation: Evaluation): Promise<void> {
  evaluation.isOver = true
  if (evaluation.open.size === 0) return
  log.info('The app was evaluated again: closing {count} handlers of the evaluation before', {
    count: evaluation.open.size,
  })
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS)
  })
  await Promise.race([Promise.all([...evaluation.open].map(close)), late])
  clearTimeout(timer)
}

async function close(one: Closable): Promise<void> {
  try {
    await one.close()
  } catch (error) {
    log.warn('Cannot close a handler of the evaluation before: {error}', { error })
  }
}
