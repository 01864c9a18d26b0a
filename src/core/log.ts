/**
 * The log, by LogTape, which the first line loads that anybody may read: an app starts without it, and one
 * that logs nothing goes on without it.
 */
import type { Logger, LogRecord, Sink, TextFormatter } from '@logtape/logtape'
import { packages } from './packages.ts'

/** The root of all log categories. */
export const LOG_ROOT = 'hono-kafka-consume'

/** LogTape. Its copies in a process share loggers, but each has its own `getConfig` and `resetSync`. */
export function logTape() {
  return packages.logtape() as typeof import('@logtape/logtape')
}

/** Logs a line: a text with `{names}`, and the values of these names. */
type WriteLine = (message: string, values?: Record<string, unknown>) => void

/** Logs lines of one category. */
export type Log = Readonly<Record<'debug' | 'info' | 'warn' | 'error', WriteLine>>

/**
 * The log of the category `['hono-kafka-consume', name]`. Until the app that uses the library configures
 * LogTape, only warnings and errors are printed.
 */
export function logOf(name: string): Log {
  return new LazyLog(name)
}

/** The key of the root logger, which the first copy of LogTape in the process makes for all copies. */
const ROOT_LOGGER = Symbol.for('logtape.rootLogger')
const shared = globalThis as { readonly [ROOT_LOGGER]?: Logger }

/** The getters return methods of LogTape's, which take the line of code that calls them for the source. */
class LazyLog implements Log {
  readonly #name: string
  #logger: Logger | undefined

  constructor(name: string) {
    this.#name = name
  }

  get debug() {
    return this.#method('debug')
  }

  get info() {
    return this.#method('info')
  }

  get warn() {
    return this.#method('warn')
  }

  get error() {
    return this.#method('error')
  }

  #method(name: keyof Log): WriteLine {
    const isWarning = name === 'warn' || name === 'error'
    // An app that has not loaded LogTape has not asked for other lines.
    if (!isWarning && !shared[ROOT_LOGGER]) return ignore
    try {
      if (isWarning) printWarningsByDefault()
      this.#logger ??= (shared[ROOT_LOGGER] ?? logTape().getLogger()).getChild([
        LOG_ROOT,
        this.#name,
      ])
      return this.#logger[name].bind(this.#logger)
    } catch {
      // LogTape could not be loaded, as in a process at its limit of open files. What logs must not fail.
      return (message, values) =>
        console.error(`${LOG_ROOT}.${this.#name}: ${message}`, values ?? '')
    }
  }
}

function ignore(): void {}

/** The levels of a gateway's log, lowest first. */
export const LOG_LEVELS = ['debug', 'info', 'warning', 'error'] as const

/** One of `LOG_LEVELS`. */
export type GatewayLogLevel = (typeof LOG_LEVELS)[number]

/** The formats of a gateway's log: plain lines for people, or JSON lines for programs. */
export const LOG_FORMATS = ['text', 'json'] as const

/** One of `LOG_FORMATS`. */
export type LogFormat = (typeof LOG_FORMATS)[number]

/** The most identical lines that are printed in the window; then one line says how many more there were. */
const REPEATS = { limit: 10, windowMs: 10_000 }
/** Milliseconds for which lines of requests are collected, since each print is a call of the system. */
const COLLECT_MS = 10
/** Lines that are collected at most: then they are printed at once. */
const MAX_COLLECTED = 256

const TO_STDERR = {
  trace: 'error',
  debug: 'error',
  info: 'error',
  warning: 'error',
  error: 'error',
  fatal: 'error',
} as const

/**
 * Prints this project's log to stderr, one record a line, so that stdout is free for a program's
 * output. For gateways: an app that uses the library configures LogTape itself.
 *
 * @param lowestLevel Records below this level are dropped.
 */
export function logToConsole(lowestLevel: GatewayLogLevel, format: LogFormat = 'text'): void {
  const { configureSync, getConsoleSink } = logTape()
  const formatter = format === 'json' ? jsonFormatter() : textFormatter()
  const console = getConsoleSink({ formatter, levelMap: TO_STDERR })
  configureSync({
    reset: true,
    sinks: {
      console,
      unrepeated: unrepeated(console),
      collected: collectingSink(formatter),
    },
    loggers: [
      { category: [LOG_ROOT], lowestLevel, sinks: ['unrepeated'] },
      // Each request has its own line, however many are alike.
      {
        category: [LOG_ROOT, 'request'],
        lowestLevel,
        sinks: ['collected'],
        parentSinks: 'override',
      },
      { category: ['logtape', 'meta'], lowestLevel: 'warning', sinks: ['console'] },
    ],
  })
}

/** Gives all records but those of requests, which {@link logToConsole} prints, to a function. */
export function logBy(lowestLevel: GatewayLogLevel, sink: Sink): void {
  const { configureSync, getConfig } = logTape()
  const config = getConfig()
  if (!config) throw new Error('Cannot take log records: the log is not configured')
  configureSync({
    ...config,
    reset: true,
    sinks: { ...config.sinks, taken: sink },
    loggers: config.loggers.map((logger) =>
      [logger.category].flat().length === 1 ? { ...logger, lowestLevel, sinks: ['taken'] } : logger,
    ),
  })
}

let isDefaultDecided = false

/**
 * Prints warnings and errors to stderr for an app that has not configured LogTape. The app may
 * configure it later: LogTape then removes all sinks, also this one, which is not a configuration.
 */
function printWarningsByDefault(): void {
  if (isDefaultDecided) return
  const { getConsoleSink, getLogger, inspectLogger, withFilter } = logTape()
  isDefaultDecided = true
  // Whichever copy of LogTape the app has configured.
  if (inspectLogger([LOG_ROOT]).source !== 'unconfigured') return
  // LogTape's declarations leave the field out: its own `configure` would refuse a second call.
  const { sinks } = getLogger([LOG_ROOT]) as unknown as { readonly sinks: Sink[] }
  sinks.push(
    withFilter(
      unrepeated(getConsoleSink({ formatter: textFormatter(), levelMap: TO_STDERR })),
      ({ level }: LogRecord) => level === 'warning' || level === 'error' || level === 'fatal',
    ),
  )
}

/** Prints an identical line a few times, and then how many more there were. */
function unrepeated(sink: Sink): Sink {
  const { getLogger, getThrottlingFilter, withFilter } = logTape()
  const repeatLimit = getThrottlingFilter({
    ...REPEATS,
    key: ({ category, level, message }) => [...category, level, message.join('')].join(' '),
    summary: {
      logger: getLogger([LOG_ROOT, 'log']),
      message: ({ suppressed, lastRecord }) =>
        `${suppressed} more in ${REPEATS.windowMs / 1_000} s: ${escapeTemplate(lastRecord.message.join(''))}`,
    },
  })
  return withFilter(sink, repeatLimit)
}

/** Prints lines together. LogTape disposes of it at the end of the process, which prints the rest. */
function collectingSink(formatter: TextFormatter): Sink & Disposable {
  let lines: string[] = []
  let timer: ReturnType<typeof setTimeout> | undefined
  const print = () => {
    clearTimeout(timer)
    timer = undefined
    if (lines.length > 0) console.error(lines.join('\n'))
    lines = []
  }
  const error = (line: string) => {
    lines.push(line)
    timer ??= setTimeout(print, COLLECT_MS)
    if (lines.length >= MAX_COLLECTED) print()
  }
  // Each runtime declares a `Console` of its own; all lines go to its `error`.
  const collector = { error } as never
  const sink = logTape().getConsoleSink({ formatter, levelMap: TO_STDERR, console: collector })
  return Object.assign(sink, { [Symbol.dispose]: print })
}

/** Escapes the braces of a message, so that LogTape does not read it as a template. */
function escapeTemplate(text: string): string {
  return text.replaceAll(/[{}]/g, '$&$&')
}

/**
 * Formats a record as a line of JSON, with the message as the text format has it: LogTape's own format puts
 * the texts within a message in quotes.
 */
function jsonFormatter(): TextFormatter {
  const { getJsonLinesFormatter, getTextFormatter } = logTape()
  const toJsonLine = getJsonLinesFormatter()
  return getTextFormatter({
    value: 'bare',
    // JSON escapes line breaks and control characters itself.
    sanitize: false,
    // The text formatter ends the line.
    format: ({ message, record }) => toJsonLine({ ...record, message: [message] }).trimEnd(),
  })
}

function textFormatter(): TextFormatter {
  return logTape().getTextFormatter({
    timestamp: 'rfc3339',
    level: 'FULL',
    value: 'bare',
    // Text of clients and brokers may end up in a message: it must not forge a second line.
    sanitize: { newlines: 'escape' },
    format: ({ timestamp, level, category, message }) =>
      `${timestamp} ${level.padEnd(7)} ${category}: ${message}`,
    category: (names) => names.slice(1).join('.') || names.join('.'),
  })
}
