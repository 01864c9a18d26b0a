/**
 * `bun run test [--with-check] [arguments of bun test]`: runs the tests with a real Kafka of their
 * own, unless TEST_KAFKA_BROKERS names one. The last line counts them: "N passed, N failed".
 *
 * A process of tests that crashes counts as a failure. Bun then aborts all other files: they are run again
 * without the file in which it crashed, which runs alone at the end, so that no result is missing.
 *
 * With `--with-check`, as in CI, `bun run check` goes first, and counts as one more test. Some tests then
 * run once more, with gateways of two serving threads.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startBroker } from '../tools/kafka/broker.ts'
import { readReport, type TestFailure, type TestReport } from './report.ts'
import { SharedPackage } from './support/built-package.ts'

const { FAULTS, FIELD, TEST_WORKERS } = process.env
// The long forms of test/faults and test/field take longer than all the rest. CI does not run them, nor all
// tests of gateways with several threads.
const isLong = FAULTS === 'long' || FIELD === 'long' || TEST_WORKERS !== undefined
const LIMIT_MS = (isLong ? 90 : 28) * 60_000
const TEST_LIMIT_MS = 120_000 // For a single test, unless it sets its own.
const KILL_AFTER_MS = 10_000
// Half of the time a test waits, for Kafka or for a process: three at a time use two processors well.
// The addon cannot be loaded again for each file, as `--isolate` would require.
const WORKERS = ['--parallel=3', '--no-isolate']

/** Quick tests of gateway processes. `bun run test:threads` runs all tests of such processes in this way. */
const WITH_THREADS: TestRun = {
  args: [
    'test/gateway/guard.test.ts',
    'test/faults/one-client.test.ts',
    'test/faults/slow-clients.test.ts',
  ],
  environment: { TEST_WORKERS: '2' },
}

/** One run of `bun test`. */
interface TestRun {
  readonly args: readonly string[]
  /** Variables beside those of this process. */
  readonly environment: Readonly<Record<string, string>>
}

/** The outcome of a run. */
interface TestOutcome {
  readonly exitCode: number
  /** Undefined where `bun test` wrote none. */
  readonly report: TestReport | undefined
}

process.exit(await main(process.argv.slice(2)))

async function main(args: string[]): Promise<number> {
  const interruption = catchSignals()
  const withCheck = args.includes('--with-check')
  const failedChecks = withCheck && !(await check(interruption)) ? 1 : 0
  const folder = mkdtempSync(join(tmpdir(), 'test-report-'))
  using built = new SharedPackage()
  const asked = { args: args.filter((arg) => arg !== '--with-check'), environment: {} }
  const outcomes: TestOutcome[] = []
  try {
    await withKafka(interruption, async (brokers) => {
      for (const { args, environment } of [asked, ...(withCheck ? [WITH_THREADS] : [])]) {
        const run = { args, environment: { ...environment, TEST_PACKAGE: built.folder } }
        outcomes.push(...(await runToEnd(run, folder, brokers, interruption)))
      }
    })
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    outcomes.push({ exitCode: 1, report: undefined })
  }
  rmSync(folder, { recursive: true, force: true })
  return conclude(outcomes, withCheck ? 1 : 0, failedChecks)
}

/**
 * Prints the failures once more, and as the last line the count.
 *
 * @returns 0 when nothing failed, else 1.
 */
function conclude(outcomes: readonly TestOutcome[], checks: number, failedChecks: number): number {
  const reports = outcomes.flatMap(({ report }) => (report ? [report] : []))
  const passed = reports.reduce((sum, report) => sum + report.passed, 0)
  const skipped = reports.reduce((sum, report) => sum + report.skipped, 0)
  // A file that crashes again at the same place has failed once.
  const failures = [
    ...new Map(
      reports.flatMap((report) => report.failures).map((failure) => [describe(failure), failure]),
    ).values(),
  ]
  for (const failure of failures) console.log(describe(failure))
  if (failedChecks > 0) console.log('Failed: bun run check (its output is at the beginning)')
  // A crash, a time limit, or an error outside of all tests is in no report; and a test that calls
  // process.exit(0) ends `bun test` with neither a report nor an error.
  const uncounted = outcomes.filter(
    ({ exitCode, report }) =>
      report === undefined || (report.failures.length === 0 && exitCode !== 0),
  ).length
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
  work: (brokers: string) => Promise<void>,
): Promise<void> {
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

/** Runs all tests, whatever crashes. */
async function runToEnd(
  run: TestRun,
  folder: string,
  brokers: string,
  interruption: AbortSignal,
): Promise<TestOutcome[]> {
  const outcomes = [await runTests(run, folder, brokers, interruption)]
  const filesOf = (kind: 'finished' | 'crashed') =>
    new Set(outcomes.flatMap(({ report }) => report?.[kind] ?? []))
  /** @returns whether a process crashed. */
  const runWithout = async (files: ReadonlySet<string>) => {
    const rest = leavingOut(files, run)
    const outcome = rest && (await runTests(rest, folder, brokers, interruption))
    // A run that had nothing left to do has no report.
    if (outcome?.report || outcome?.exitCode) outcomes.push(outcome)
    return (outcome?.report?.crashed.length ?? 0) > 0
  }
  let hasCrashed = filesOf('crashed').size > 0
  while (hasCrashed && !interruption.aborted) {
    const crashed = filesOf('crashed')
    console.error(`\nThe process of ${[...crashed].join(', ')} crashed: the other files run now\n`)
    hasCrashed = await runWithout(filesOf('finished').union(crashed))
  }
  if (filesOf('crashed').size > 0 && !interruption.aborted) await runWithout(filesOf('finished'))
  return outcomes
}

/**
 * @param files The files as the report names them.
 * @returns undefined where the run names files, and all of them are left out.
 */
function leavingOut(
  files: ReadonlySet<string>,
  { args, environment }: TestRun,
): TestRun | undefined {
  const paths = new Set([...files].map((file) => resolve(file)))
  const left = args.filter((arg) => !paths.has(resolve(arg)))
  const isFile = (arg: string) => /\.ts$/.test(arg) && existsSync(arg)
  if (args.some(isFile) && !left.some(isFile)) return undefined
  const ignored = [...files].map((file) => `--path-ignore-patterns=${file}`)
  return { args: [...left, '--pass-with-no-tests', ...ignored], environment }
}

async function runTests(
  { args, environment }: TestRun,
  folder: string,
  brokers: string,
  interruption: AbortSignal,
): Promise<TestOutcome> {
  interruption.throwIfAborted()
  const report = join(folder, `${crypto.randomUUID()}.xml`)
  const reporter = ['--reporter=junit', `--reporter-outfile=${report}`]
  const child = Bun.spawn(
    [process.execPath, 'test', `--timeout=${TEST_LIMIT_MS}`, ...WORKERS, ...reporter, ...args],
    {
      env: {
        ...process.env,
        ...environment,
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
  const exitCode = await child.exited
  interruption.removeEventListener('abort', end)
  if (child.signalCode) console.error(`The tests were ended by ${child.signalCode}`)
  const ended = interruption.aborted ? (interruption.reason as Error).message : undefined
  return { exitCode, report: await readReport(report, ended) }
}

/** After a signal or the limit of time, Kafka is still stopped and the count is printed. */
function catchSignals(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => controller.abort(new Error(`The tests were ended by ${signal}`)))
  }
  setTimeout(() => {
    const late = `Cannot finish the tests: they ran for ${LIMIT_MS / 60_000} minutes`
    console.error(late)
    controller.abort(new Error(late))
  }, LIMIT_MS).unref()
  return controller.signal
}
