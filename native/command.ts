/** Runs a program. Its output goes to a log file and, line by line, to a listener. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

export interface Command {
  argv: string[]
  cwd: string
  log: string
  env?: Record<string, string | undefined>
  onLine?: (line: string) => void
}

class CommandFailed extends Error {
  constructor(argv: string[], state: string, log: string) {
    super(`Cannot run ${argv.slice(0, 3).join(' ')}: ${state}\n${tail(log)}\nThe whole log: ${log}`)
  }
}

export async function run({ argv, cwd, log, env, onLine }: Command): Promise<void> {
  const file = openSync(log, 'a')
  try {
    writeSync(file, `$ ${argv.join(' ')}\n`)
    const child = Bun.spawn(argv, {
      cwd,
      env: env ?? process.env,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    // Without this, make would go on alone, in the folder that the next set-up uses.
    const stop = (signal: NodeJS.Signals) => {
      child.kill(signal)
      process.exit(1)
    }
    process.once('SIGINT', stop).once('SIGTERM', stop)
    await Promise.all([
      copyLines(child.stdout, file, onLine),
      copyLines(child.stderr, file, onLine),
    ])
    const code = await child.exited
    process.off('SIGINT', stop).off('SIGTERM', stop)
    if (code !== 0)
      throw new CommandFailed(
        argv,
        child.signalCode ? String(child.signalCode) : `exit code ${code}`,
        log,
      )
  } finally {
    closeSync(file)
  }
}

async function copyLines(
  stream: ReadableStream<Uint8Array>,
  file: number,
  onLine?: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      writeSync(file, `${line}\n`)
      onLine?.(line)
    }
  }
  if (rest) writeSync(file, `${rest}\n`)
}

function tail(log: string): string {
  return readFileSync(log, 'utf8').trimEnd().split('\n').slice(-25).join('\n')
}
