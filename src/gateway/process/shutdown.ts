/** The end of a gateway process: by a signal, or by an error that nobody has caught. */
import { KafkaConsumeError } from '../../core/errors.ts'
import { logOf } from '../../core/log.ts'
import type { EmbeddedBroker } from '../../port/kafka.ts'
import type { Gateway } from '../app.ts'
import type { Tracing } from '../tracing.ts'

/** Milliseconds after the first signal at which a process exits that could not close in time. */
const SHUTDOWN_DEADLINE_MS = 9_500
/** Milliseconds for which answers under way may go on once all streams have ended. */
export const ANSWER_GRACE_MS = 2_000
/** Milliseconds that sending the last spans may take: a collector may be unreachable. */
const SPANS_GRACE_MS = 2_000
/**
 * Milliseconds in which a second signal counts as a repetition of the first: at Ctrl-C the terminal
 * signals the whole process group, and `bun run`, which is in it, passes the signal on once more.
 */
const REPEATED_SIGNAL_MS = 400

const log = logOf('server')

/** The parts that a process closes before it exits. */
interface RunningParts {
  readonly servers: ReadonlyArray<{ stop(): Promise<unknown> }>
  readonly gateway: Pick<Gateway, 'close'>
  readonly broker: EmbeddedBroker | undefined
  readonly tracing: Tracing | undefined
}

/**
 * Shuts down at SIGTERM and SIGINT; a second signal exits at once.
 *
 * @returns The handler of the signals, for other causes to shut down.
 */
export function shutDownOnSignal(parts: RunningParts): (signal: NodeJS.Signals) => void {
  let first: number | undefined
  const onSignal = (signal: NodeJS.Signals) => {
    if (first === undefined) {
      first = performance.now()
      log.info('{signal}: ending', { signal })
      void shutDown(parts)
    } else if (performance.now() - first > REPEATED_SIGNAL_MS) {
      log.warn('{signal} again: exiting at once', { signal })
      process.exit(1)
    }
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return onSignal
}

async function shutDown({ servers, gateway, broker, tracing }: RunningParts): Promise<void> {
  setTimeout(() => {
    log.error('Cannot end in time: exiting after {seconds} s', {
      seconds: SHUTDOWN_DEADLINE_MS / 1_000,
    })
    process.exit(1)
  }, SHUTDOWN_DEADLINE_MS)
  try {
    const answered = Promise.all(servers.map((server) => server.stop()))
    await gateway.close()
    await Promise.race([answered, Bun.sleep(ANSWER_GRACE_MS)])
    await broker?.close()
    await closeTracing(tracing)
    log.info('Ended')
    process.exit(0)
  } catch (error) {
    exitWithError(error)
  }
}

/** Sends the last spans, for some time at most. */
export async function closeTracing(tracing: Tracing | undefined): Promise<void> {
  const sent = tracing?.close().catch((error: unknown) => {
    log.warn('Cannot send the last spans: {error}', { error })
  })
  await Promise.race([sent, Bun.sleep(SPANS_GRACE_MS)])
}

export function exitOnUncaughtError(): void {
  process.on('uncaughtException', exitWithError)
  process.on('unhandledRejection', exitWithError)
}

/** Logs an error and exits with 1. An error that this project does not expect is printed with its stack. */
export function exitWithError(thrown: unknown): never {
  const isWrapped = thrown instanceof KafkaConsumeError && thrown.code === 'INTERNAL'
  const error = (isWrapped && thrown.cause) || thrown
  const message = error instanceof Error ? error.message : String(error)
  log.error('{message}', { message })
  if (!message.startsWith('Cannot ')) console.error(error)
  process.exit(1)
}
