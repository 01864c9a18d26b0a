import { afterEach, beforeEach } from 'bun:test'
import { configureSync, type LogRecord, resetSync } from '@logtape/logtape'

/**
 * Keeps what is logged during each test of the file.
 *
 * @returns The lines of the present test, in the order they come.
 */
export function collectLog(): readonly LogRecord[] {
  const logged: LogRecord[] = []
  beforeEach(() => {
    logged.length = 0
    configureSync({
      sinks: { memory: (record) => logged.push(record) },
      loggers: [
        { category: 'hono-kafka-consume', sinks: ['memory'] },
        { category: ['logtape', 'meta'], sinks: [] },
      ],
    })
  })
  afterEach(() => resetSync())
  return logged
}

/** The texts of log lines. */
export function messagesOf(logged: readonly LogRecord[]): string[] {
  return logged.map(({ message }) => message.join(''))
}
