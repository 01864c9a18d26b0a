/** The log of threads that serve clients: one thread prints for all. */
import type { LogRecord } from '@logtape/logtape'
import {
  type GatewayLogLevel,
  type LogFormat,
  logBy,
  logTape,
  logToConsole,
} from '../../core/log.ts'
import type { MessageHandlers, Messenger } from '../../threads/messenger.ts'

/** Milliseconds for which a line is remembered that another thread may log, too. */
const REMEMBERED_MS = 10_000
/** Lines that are remembered. Overflow policy: all are forgotten, and may be printed again. */
const MAX_REMEMBERED = 1_000

/** Prints lines of requests here, and has another thread print the others. */
export function logByOtherThread(
  messenger: Messenger,
  lowestLevel: GatewayLogLevel,
  format: LogFormat,
): void {
  logToConsole(lowestLevel, format)
  logBy(lowestLevel, (record) => messenger.notify('log', sendable(record)))
}

/** Values of a record as texts, except those that other threads can be sent as they are. */
function sendable({ message, properties, ...record }: LogRecord): LogRecord {
  return {
    ...record,
    message: message.map(sendableValue),
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, value]) => [name, sendableValue(value)]),
    ),
  }
}

function sendableValue(value: unknown): unknown {
  if (value instanceof Error) return value.stack ?? value.message
  const isPlain = value === null || !['object', 'function', 'symbol'].includes(typeof value)
  return isPlain ? value : Bun.inspect(value)
}

/** How often each thread has logged a line, and how often it was printed. */
interface RememberedLine {
  readonly counts: Map<number, number>
  printed: number
  at: number
}

/**
 * Prints what threads log. They all see the same outage: a line is printed as often as the thread has
 * logged it that logs it most.
 */
export class ThreadLogs {
  readonly #lines = new Map<string, RememberedLine>()

  /** Prints what a thread logs. */
  handlers(thread: number): MessageHandlers {
    return { log: (record: LogRecord) => this.#print(record, thread) }
  }

  #print({ category, ...record }: LogRecord, thread: number): void {
    const line = this.#line(JSON.stringify([category, record.level, record.message]))
    const count = (line.counts.get(thread) ?? 0) + 1
    line.counts.set(thread, count)
    if (count <= line.printed) return
    line.printed = count
    logTape()
      .getLogger([...category])
      .emit(record)
  }

  #line(key: string): RememberedLine {
    const now = performance.now()
    const found = this.#lines.get(key)
    if (found && now - found.at < REMEMBERED_MS) {
      found.at = now
      return found
    }
    if (this.#lines.size >= MAX_REMEMBERED) this.#lines.clear()
    const line = { counts: new Map<number, number>(), printed: 0, at: now }
    this.#lines.set(key, line)
    return line
  }
}
