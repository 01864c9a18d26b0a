/**
 * `bun run test [arguments of bun test]`: runs the tests with a real Kafka of their own, unless
 * TEST_KAFKA_BROKERS names one. The last line counts them: "N passed, N failed".
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBroker } from '../kafka/broker/broker.ts'
import { countTests, type TestCount } from './junit.ts'

// The long form of test/faults takes longer than all the rest.
const LIMIT = (process.env['FAULTS'] === 'long' ? 90 : 15) * 60_000
const TEST_LIMIT = 30_000 // For a single test, unless it sets its own.
const GRACE = 10_000
// Most of the time a test waits for Kafka. More at a time would make them wait for each other; and
// the addon cannot be loaded anew for each file, as isolation would have it.
const WORKERS = ['--parallel=2', '--no-isolate']

const { exitCode, count } = await main(process.argv.slice(2))
const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : ''
console.log(`${count.passed} passed, ${count.failed} failed${skipped}`)
process.exit(exitCode)

async function main(args: string[]): Promise<{ exitCode: number; count: TestCount }> {
  const reports = mkdtempSync(join(tmpdir(), 'test-report-'))
  const report = join(reports, 'junit.xml')
  const interruption = catchSignals()
  let exitCode = 1
  try {
    exitCode = await withKafka((brokers) => runTests(args, report, brokers, interruption))
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
  }
  const count = await countTests(report)
  rmSync(reports, { recursive: true, force: true })
  // A crash, a time limit, or an error outside of all tests is in no report.
  if (exitCode !== 0 && count.failed === 0) count.failed = 1
  return { exitCode: exitCode === 0 && count.failed > 0 ? 1 : exitCode, count }
}

async function withKafka(work: (brokers: string) => Promise<number>): Promise<number> {
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
): Promise<number> {
  interruption.throwIfAborted()
  const reporter = ['--reporter=junit', `--reporter-outfile=${report}`]
  const child = Bun.spawn(
    [process.execPath, 'test', `--timeout=${TEST_LIMIT}`, ...WORKERS, ...reporter, ...args],
    {
      env: { ...process.env, TEST_KAFKA_BROKERS: brokers },
      stdin: 'ignore',
      stdout: 'inherit',
      stderr: 'inherit',
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
  const code = await child.exited
  clearTimeout(timer)
  if (child.signalCode) console.error(`The tests were ended by ${child.signalCode}`)
  return code
}

/** Whoever interrupts the tests still gets Kafka stopped, and the count. */
function catchSignals(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => controller.abort(new Error(`The tests were ended by ${signal}`)))
  }
  return controller.signal
}
