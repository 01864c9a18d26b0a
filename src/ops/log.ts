import { configureSync, getConsoleSink, getTextFormatter } from '@logtape/logtape'

/**
 * The root of all log categories: modules call `getLogger(['hono-kafka-consume', 'tail'])`.
 * A library logs nowhere until its embedder configures LogTape.
 */
export const LOG_ROOT = 'hono-kafka-consume'

/** Levels that a gateway's log can be cut at, from all to little. */
export const LOG_LEVELS = ['debug', 'info', 'warning', 'error'] as const

/** One of `LOG_LEVELS`. */
export type GatewayLogLevel = (typeof LOG_LEVELS)[number]

/**
 * Prints this project's log on stderr, a line each, so that stdout is free for a program's output.
 * For gateways; an embedder configures LogTape itself.
 *
 * @param lowestLevel What is less important than this is dropped.
 */
export function logToConsole(lowestLevel: GatewayLogLevel): void {
  const console = getConsoleSink({
    formatter: getTextFormatter({
      timestamp: 'rfc3339',
      level: 'FULL',
      value: 'bare',
      // What clients and brokers send may end up in a message: it must not forge a second line.
      sanitize: { newlines: 'escape' },
      format: ({ timestamp, level, category, message }) =>
        `${timestamp} ${level.padEnd(7)} ${category}: ${message}`,
      category: (names) => names.slice(1).join('.') || names.join('.'),
    }),
    levelMap: {
      trace: 'error',
      debug: 'error',
      info: 'error',
      warning: 'error',
      error: 'error',
      fatal: 'error',
    },
  })
  configureSync({
    reset: true,
    sinks: { console },
    loggers: [
      { category: [LOG_ROOT], lowestLevel, sinks: ['console'] },
      { category: ['logtape', 'meta'], lowestLevel: 'warning', sinks: ['console'] },
    ],
  })
}
