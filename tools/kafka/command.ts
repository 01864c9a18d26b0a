/** Runs a program to its end, with its output in a log file and a time limit. */
import { appendFileSync } from 'node:fs'
import { basename } from 'node:path'

interface ToolCommand {
  argv: string[]
  log: string
  /** Milliseconds after which the program is ended. */
  limit: number
  env?: Record<string, string | undefined>
  onLine?: (line: string) => void
}

export async function runCommand({ argv, log, limit, env, onLine }: ToolCommand): Promise<void> {
  appendFileSync(log, `$ ${argv.join(' ')}\n`)
  const begun = performance.now()
  const child = Bun.spawn(argv, {
    env: env ?? process.env,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: limit,
  })
  const output: string[] = []
  const take = (line: string) => {
    appendFileSync(log, `${line}\n`)
    output.push(line)
    onLine?.(line)
  }
  await Promise.all([eachLine(child.stdout, take), eachLine(child.stderr, take), child.exited])
  if (child.exitCode === 0) return
  throw new Error(
    `Cannot run ${basename(argv[0] ?? '')}: ${stateOf(child, performance.now() - begun, limit)}\n` +
      `${output.slice(-25).join('\n')}\nThe whole log: ${log}`,
  )
}

/** Why a program has failed. Java ends with an exit code of its own when it is told to end at the limit. */
function stateOf(child: Bun.Subprocess, taken: number, limit: number): string {
  if (taken >= limit) return `it did not end within ${limit / 1000} s`
  if (child.signalCode) return `it was ended by ${child.signalCode}`
  return `it failed with exit code ${child.exitCode}`
}

async function eachLine(stream: ReadableStream<Uint8Array>, take: (line: string) => void) {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    lines.forEach(take)
  }
  if (rest) take(rest)
}
