/**
 * `bun run test [--with-check] [arguments of bun test]`: runs the tests with a real Kafka of their
 * own, unless TEST_KAFKA_BROKERS names one. The last line counts them: "N passed, N failed".
 *
 * With `--with-check`, as in CI, `bun run check` goes first, and counts as one more test.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBroker } from '../tools/kafka/broker.ts'
import { NOTHING, readReport, type TestFailure, type TestReport } from './report.ts'

// The long forms of test/faults and test/field take longer than all the rest.
const isLong = process.env['FAULTS'] === 'long' || process.env['FIELD'] === 'long'
const LIMIT_MS = (isLong ? 90 : 26) * 60_000
const TEST_LIMIT_MS = 60_000 // For a single test, unless it sets its own.
const KILL_AFTER_MS = 10_000
// Most of the time a test waits for Kafka. More at a time would make them wait for each other; and
// the addon cannot be loaded again for each file, as `--isolate` would require.
const WORKERS = ['--parallel=2', '--no-isolate']

process.exit(await main(process.argv.slice(2)))

async function main(args: string[]): Promise<number> {
  const interruption = catchSignals()
  const withCheck = args.includes('--with-check')
  const failedChecks = withCheck && !(await check(interruption)) ? 1 : 0
  const folder = mkdtempSync(join(tmpdir(), 'test-report-'))
  const file = join(folder, 'junit.xml')
  let exitCode = 1
  try {
    exitCode = await withKafka(interruption, (brokers) => {
      const testArgs = args.filter((arg) => arg !== '--with-check')
      return runTests(testArgs, file, brokers, interruption)
    })
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
  }
  const report = await readReport(file)
  rmSync(folder, { recursive: true, force: true })
  return conclude(exitCode, report, withCheck ? 1 : 0, failedChecks)
}

/**
 * Prints the failures once more, and as the last line the count.
 *
 * @param report Undefined where `bun test` wrote none.
 * @returns 0 when nothing failed, else 1.
 */
function conclude(
  exitCode: number,
  report: TestReport | undefined,
  checks: number,
  failedChecks: number,
): number {
  const { passed, skipped, failures } = report ?? NOTHING
  for (const failure of failures) console.log(describe(failure))
  if (failedChecks > 0) console.log('Failed: bun run check (its output is at the beginning)')
  // A crash, a time limit, or an error outside of all tests is in no report; and a test that calls
  // process.exit(0) ends `bun test` with neither a report nor an error.
  const isUncounted = failures.length === 0 && (exitCode !== 0 || report === undefined)
  const uncounted = isUncounted ? 1 : 0
  const failed = failures.length + uncounted + failedChecks
  const note = skipped > 0 ? `, ${skipped} skipped` : ''
  console.log(`${passed + checks - failedChecks} passed, ${failed} failed${note}`)
  return failed > 0 ? 1 : 0
}

function describe({ name, place, message }: TestFailure): string {
  return `Failed: ${name} (${place})\n${message.trimEnd().replace(/^/gm, '  ')}`
}

/** @returns whether `bun run check` passes. */
async function check(interruption: AbortSignal): Promise<boolean> {
  const child = Bun.spawn([process.execPath, join(import.meta.dirname, 'check.ts')], {
    stdin: 'ignore',
    stdout: 'inherit',
    stderr: 'inherit',
  })
  interruption.addEventListener('abort', () => child.kill('SIGTERM'))
  return (await child.exited) === 0
}

async function withKafka(
  interruption: AbortSignal,
  work: (brokers: string) => Promise<number>,
): Promise<number> {
  interruption.throwIfAborted()
  const given = process.env['TEST_KAFKA_BROKERS']
  if (given) return work(given)
  // Should this process be killed, the next start of any cluster removes this one.
  const broker = await startBroker({ name: `test-${process.pid}`, port: 0, owned: true })
  try {
    return await work(broker.bootstrapServers)
  } finally {
    await broker.stop()
  }
}

/** @returns the exit code of `bun test`. */
async function runTests(
  args: string[],
  report: string,
  brokers: string,
  interruption: AbortSignal,
): Promise<number> {
  interruption.throwIfAborted()
  const reporter = ['--reporter=junit', `--reporter-outfile=${report}`]
  const child = Bun.spawn(
    [process.execPath, 'test', `--timeout=${TEST_LIMIT_MS}`, ...WORKERS, ...reporter, ...args],
    {
      env: {
        ...process.env,
        TEST_KAFKA_BROKERS: brokers,
        ...(process.stderr.isTTY && { FORCE_COLOR: '1' }),
      },
      stdin: 'ignore',
      stdout: 'inherit',
      stderr: 'inherit',
    },
  )
  const end = () => {
    child.kill('SIGTERM')
    setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref()
  }
  interruption.addEventListener('abort', end)
  const timer = setTimeout(() => {
    console.error(`Cannot finish the tests: they ran for ${LIMIT_MS / 60_000} minutes`)
    end()
  }, LIMIT_MS)
  const exitCode = await child.exited
  clearTimeout(timer)
  if (child.signalCode) console.error(`The tests were ended by ${child.signalCode}`)
  return exitCode
}

/** After an interruption, Kafka is still stopped and the count is printed. */
function catchSignals(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => controller.abort(new Error(`The tests were ended by ${signal}`)))
  }
  return controller.signal
}
