/**
 * `bun run bench`: measures this project side by side with the programs that bound its speed, on a real
 * Kafka. docs/benchmark-method.md describes the scenarios.
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { type Figure, tableOf, WRITTEN } from './figure.ts'
import { Topics, withKafka } from './kafka.ts'
import { type BenchOptions, readOptions, UsageError } from './options.ts'
import { Bench, type Scenario } from './scenario.ts'
import { connections } from './scenarios/connections.ts'
import { crowd } from './scenarios/crowd.ts'
import { fanOut } from './scenarios/fan-out.ts'
import { filters } from './scenarios/filters.ts'
import { forms } from './scenarios/forms.ts'
import { get } from './scenarios/get.ts'
import { growth } from './scenarios/growth.ts'
import { imports } from './scenarios/imports.ts'
import { latency } from './scenarios/latency.ts'
import { live } from './scenarios/live.ts'
import { peers } from './scenarios/peers.ts'
import { replay } from './scenarios/replay.ts'
import { rest } from './scenarios/rest.ts'
import { start } from './scenarios/start.ts'
import { threads } from './scenarios/threads.ts'

const LIMIT_MS = 60 * 60_000

const scenarios: readonly Scenario[] = [
  replay,
  forms,
  live,
  fanOut,
  get,
  rest,
  latency,
  crowd,
  connections,
  filters,
  threads,
  start,
  imports,
  growth,
  peers,
]

process.exit(await main(process.argv.slice(2)))

async function main(args: string[]): Promise<number> {
  const interruption = catchSignals()
  try {
    const options = readOptions(
      args,
      scenarios.map(({ name }) => name),
    )
    if (options.help) {
      console.log(help())
      return 0
    }
    const { figures, notes } = await withKafka((brokers) => runAll(brokers, options, interruption))
    console.log(`\n${machine()}\n\n${tableOf(figures)}`)
    if (notes.length > 0) console.log(`\n${notes.map((note) => `- ${note}`).join('\n')}`)
    if (options.json) writeFileSync(options.json, `${JSON.stringify(figures, WRITTEN, 2)}\n`)
    return 0
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    return error instanceof UsageError ? 2 : 1
  }
}

interface Result {
  readonly figures: readonly Figure[]
  /** Notes below the table. */
  readonly notes: readonly string[]
}

async function runAll(brokers: string, options: BenchOptions, ended: AbortSignal): Promise<Result> {
  ended.throwIfAborted()
  const topics = new Topics(brokers)
  const bench = new Bench(brokers, topics, options.quick)
  const interrupted = new Promise<never>((_, reject) =>
    ended.addEventListener('abort', () => reject(ended.reason)),
  )
  const work = async () => {
    const figures: Figure[] = []
    for (const scenario of scenarios) {
      if (options.only.length > 0 && !options.only.includes(scenario.name)) continue
      figures.push(...(await scenario.run(bench)))
      await topics.remove()
    }
    return { figures, notes: bench.notes }
  }
  try {
    const working = work()
    working.catch(() => {}) // When it was interrupted, what its processes say no longer matters.
    return await Promise.race([working, interrupted])
  } finally {
    await bench.stopAll()
    await topics.remove()
  }
}

/** Ctrl-C still ends the processes, deletes the topics and stops Kafka. */
function catchSignals(): AbortSignal {
  const controller = new AbortController()
  const end = (reason: string) =>
    controller.abort(new Error(`Cannot finish the benchmarks: ${reason}`))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => end(`they were ended by ${signal}`))
  }
  setTimeout(() => end(`they ran for ${LIMIT_MS / 60_000} minutes`), LIMIT_MS).unref()
  return controller.signal
}

function machine(): string {
  const all = cpus()
  return `${all.length} × ${all[0]?.model ?? 'unknown processor'}, ${process.platform}, Bun ${Bun.version}`
}

function help(): string {
  const width = Math.max(...scenarios.map(({ name }) => name.length))
  const list = scenarios.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
  return `Usage: bun run bench [options]

Measures side by side, in one run, on a Kafka that it starts on a free port and stops again, or
on that of BENCH_KAFKA_BROKERS ("host:port,…", plaintext). Figures are medians of alternating rounds.

Scenarios:
${list.join('\n')}

Options:
  --only NAME   only this scenario; may be repeated, or be a list: a,b
  --quick       fewer records and rounds: a few minutes in all
  --json FILE   also write the figures as a JSON array
  --help        this text`
}
