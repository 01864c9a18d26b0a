/**
 * `bun run test [arguments of bun test]`: runs the tests with a real Kafka of their own, unless
 * TEST_KAFKA_BROKERS names one. The last line counts them: "N passed, N failed".
 *
 * On a machine that is busy with something else, a test may fail by chance: one that failed is tried
 * once more, and named at the end. The run fails all the same when several did, and when one of
 * test/faults or test/field did: a record that is lost once is lost.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { startBroker } from '../kafka/broker/broker.ts'
import { type Failure, readReport, type TestReport } from './junit.ts'

// The long forms of test/faults and test/field take longer than all the rest.
const isLong = process.env['FAULTS'] === 'long' || process.env['FIELD'] === 'long'
const LIMIT = (isLong ? 90 : 15) * 60_000
const TEST_LIMIT = 30_000 // For a single test, unless it sets its own.
const GRACE = 10_000
const LAST_WORDS_MS = 1_000
// Most of the time a test waits for Kafka. More at a time would make them wait for each other; and
// the addon cannot be loaded anew for each file, as isolation would have it.
const WORKERS = ['--parallel=2', '--no-isolate']
const ATTEMPTS = ['--retry=1']
/** Tests in a run that may have passed at their second attempt only. */
const MAX_REPEATED = 2
const NEVER_CHANCE = ['test/faults/', 'test/field/']

process.exit(await main(process.argv.slice(2)))

async function main(args: string[]): Promise<number> {
  const reports = mkdtempSync(join(tmpdir(), 'test-report-'))
  const file = join(reports, 'junit.xml')
  const interruption = catchSignals()
  let outcome: Outcome = { exitCode: 1, repeated: [] }
  try {
    outcome = await withKafka((brokers) => runTests(args, file, brokers, interruption))
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
  }
  const report = await readReport(file)
  rmSync(reports, { recursive: true, force: true })
  return conclude(outcome, report)
}

/** Says what the run came to. */
function conclude({ exitCode, repeated }: Outcome, report: TestReport): number {
  for (const failure of report.failures) console.log(describe(failure))
  for (const { place, name } of repeated) {
    console.log(`Passed at the second attempt only: ${name} (${place})`)
  }
  const isMany = repeated.length > MAX_REPEATED
  const isCounted = ({ place }: Repeated) =>
    isMany || NEVER_CHANCE.some((folder) => place.startsWith(folder))
  const counted = repeated.filter(isCounted).length
  if (counted > 0) console.log(`Cannot put down to chance how ${counted} of them failed at first`)
  const passed = report.passed - counted
  let failed = report.failed + counted
  // A crash, a time limit, or an error outside of all tests is in no report.
  if (exitCode !== 0 && failed === 0) failed = 1
  const skipped = report.skipped > 0 ? `, ${report.skipped} skipped` : ''
  console.log(`${passed} passed, ${failed} failed${skipped}`)
  return exitCode === 0 && failed > 0 ? 1 : exitCode
}

function describe({ name, place, message }: Failure): string {
  return `Failed: ${name} (${place})\n${message.trimEnd().replace(/^/gm, '  ')}`
}

/** How `bun test` ended. */
interface Outcome {
  readonly exitCode: number
  readonly repeated: readonly Repeated[]
}

/** A test that passed at its second attempt. */
interface Repeated {
  readonly place: string
  readonly name: string
}

async function withKafka(work: (brokers: string) => Promise<Outcome>): Promise<Outcome> {
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

async function runTests(
  args: string[],
  report: string,
  brokers: string,
  interruption: AbortSignal,
): Promise<Outcome> {
  interruption.throwIfAborted()
  const reporter = ['--reporter=junit', `--reporter-outfile=${report}`]
  const child = Bun.spawn(
    [
      process.execPath,
      'test',
      `--timeout=${TEST_LIMIT}`,
      ...ATTEMPTS,
      ...WORKERS,
      ...reporter,
      ...args,
    ],
    {
      env: {
        ...process.env,
        TEST_KAFKA_BROKERS: brokers,
        ...(process.stderr.isTTY && { FORCE_COLOR: '1' }),
      },
      stdin: 'ignore',
      stdout: 'inherit',
      stderr: 'pipe',
    },
  )
  const end = () => {
    child.kill('SIGTERM')
    setTimeout(() => child.kill('SIGKILL'), GRACE).unref()
  }
  interruption.addEventListener('abort', end)
  const timer = setTimeout(() => {
    console.error(`Cannot finish the tests: they ran for ${LIMIT / 60_000} minutes`)
    end()
  }, LIMIT)
  const repeated: Repeated[] = []
  const shown = show(child.stderr, repeated)
  const exitCode = await child.exited
  clearTimeout(timer)
  // What a test has left running may keep the pipe open.
  await Promise.race([shown, Bun.sleep(LAST_WORDS_MS)])
  if (child.signalCode) console.error(`The tests were ended by ${child.signalCode}`)
  return { exitCode, repeated }
}

/** Shows what `bun test` says, and gathers the tests that took a second attempt: no report has them. */
async function show(output: ReadableStream<Uint8Array>, repeated: Repeated[]): Promise<void> {
  let place = ''
  for await (const line of createInterface({ input: Readable.from(output) })) {
    console.error(line)
    const text = Bun.stripANSI(line)
    place = /^(\S+\.test\.tsx?):$/.exec(text)?.[1] ?? place
    const name = /^\(pass\) (.*) \(attempt 2\)/.exec(text)?.[1]
    if (name !== undefined) repeated.push({ place, name })
  }
}

/** Whoever interrupts the tests still gets Kafka stopped, and the count. */
function catchSignals(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => controller.abort(new Error(`The tests were ended by ${signal}`)))
  }
  return controller.signal
}
