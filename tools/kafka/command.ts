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
  const state = child.signalCode
    ? `it was ended by ${child.signalCode}, its limit is ${limit / 1000} s`
    : `it failed with exit code ${child.exitCode}`
  throw new Error(
    `Cannot run ${basename(argv[0] ?? '')}: ${state}\n${output.slice(-25).join('\n')}\n` +
      `The whole log: ${log}`,
  )
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
