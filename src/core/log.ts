import {
  configureSync,
  getConsoleSink,
  getJsonLinesFormatter,
  getLogger,
  getTextFormatter,
  getThrottlingFilter,
  withFilter,
} from '@logtape/logtape'
import type { FinishedRequest } from './request-observer.ts'

/**
 * The root of all log categories: modules call `getLogger(['hono-kafka-consume', 'tail'])`.
 * A library logs nowhere until its embedder configures LogTape.
 */
export const LOG_ROOT = 'hono-kafka-consume'

/** Levels that a gateway's log can be cut at, from all to little. */
export const LOG_LEVELS = ['debug', 'info', 'warning', 'error'] as const

/** One of `LOG_LEVELS`. */
export type GatewayLogLevel = (typeof LOG_LEVELS)[number]

/** How a gateway's log looks: a line each for people, or JSON for programs. */
export const LOG_FORMATS = ['text', 'json'] as const

/** One of `LOG_FORMATS`. */
export type LogFormat = (typeof LOG_FORMATS)[number]

/** The same line comes so many times in so many milliseconds at most; then it is told how many more there were. */
const REPEATS = { limit: 10, windowMs: 10_000 }

const requests = getLogger([LOG_ROOT, 'request'])

/**
 * Prints this project's log on stderr, a line each, so that stdout is free for a program's output.
 * For gateways; an embedder configures LogTape itself.
 *
 * @param lowestLevel What is less important than this is dropped.
 */
export function logToConsole(lowestLevel: GatewayLogLevel, format: LogFormat = 'text'): void {
  const console = getConsoleSink({
    formatter: format === 'json' ? getJsonLinesFormatter() : textFormatter(),
    levelMap: {
      trace: 'error',
      debug: 'error',
      info: 'error',
      warning: 'error',
      error: 'error',
      fatal: 'error',
    },
  })
  const unrepeated = getThrottlingFilter({
    ...REPEATS,
    key: ({ category, level, message }) => [...category, level, message.join('')].join(' '),
    summary: {
      logger: getLogger([LOG_ROOT, 'log']),
      message: ({ suppressed, lastRecord }) =>
        `${suppressed} more in ${REPEATS.windowMs / 1_000} s: ${plain(lastRecord.message.join(''))}`,
    },
  })
  configureSync({
    reset: true,
    sinks: { console, unrepeated: withFilter(console, unrepeated) },
    loggers: [
      { category: [LOG_ROOT], lowestLevel, sinks: ['unrepeated'] },
      // Requests may well be alike; each has its line.
      { category: [LOG_ROOT, 'request'], lowestLevel, sinks: ['console'], parentSinks: 'override' },
      { category: ['logtape', 'meta'], lowestLevel: 'warning', sinks: ['console'] },
    ],
  })
}

/** Text that is no template, whatever is in it. */
function plain(text: string): string {
  return text.replaceAll(/[{}]/g, '$&$&')
}

function textFormatter() {
  return getTextFormatter({
    timestamp: 'rfc3339',
    level: 'FULL',
    value: 'bare',
    // What clients and brokers send may end up in a message: it must not forge a second line.
    sanitize: { newlines: 'escape' },
    format: ({ timestamp, level, category, message }) =>
      `${timestamp} ${level.padEnd(7)} ${category}: ${message}`,
    category: (names) => names.slice(1).join('.') || names.join('.'),
  })
}

/** What orchestrators and pages ask for again and again. */
const OFTEN = new Set(['/healthz', '/readyz', '/metrics', '(console)'])

/**
 * One line for a request at its end. It says which route was meant and nothing of the address: a
 * query may hold credentials, and a path what its client pleases.
 */
export function logRequest({ seconds, isStream, ...request }: FinishedRequest): void {
  requests[OFTEN.has(request.route) ? 'debug' : 'info'](
    '{method} {route} {status} in {milliseconds} ms, {records} records, {bytes} bytes',
    { ...request, milliseconds: Math.round(seconds * 1_000_000) / 1_000, isStream },
  )
}
