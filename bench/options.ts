/** The command line of `bun run bench`. */
import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'

/** A command line that cannot be read: exit code 2. */
export class UsageError extends Error {}

export interface Options {
  readonly help: boolean
  /** Fewer records and rounds: a few minutes in all. */
  readonly quick: boolean
  /** The scenarios to run; empty for all. */
  readonly only: readonly string[]
  /** Where to write the figures. */
  readonly json: string | undefined
}

const KNOWN = '--only NAME, --quick, --json FILE, --help'

export function readOptions(args: string[], scenarios: readonly string[]): Options {
  const { tokens } = parseArgs({
    args,
    options: {
      only: { type: 'string', multiple: true },
      quick: { type: 'boolean' },
      json: { type: 'string' },
      help: { type: 'boolean' },
    },
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const only: string[] = []
  let quick = false
  let help = false
  let json: string | undefined
  for (const token of tokens) {
    if (token.kind !== 'option') {
      const argument = token.kind === 'positional' ? token.value : '--'
      throw new UsageError(`Cannot run bench: unexpected argument "${argument}"; it knows ${KNOWN}`)
    }
    const { name, rawName, value } = token
    if (name === 'quick' || name === 'help') {
      if (value !== undefined) throw new UsageError(`Cannot run bench: ${rawName} takes no value`)
      if (name === 'quick') quick = true
      else help = true
    } else if (name === 'only' || name === 'json') {
      if (!value) throw new UsageError(`Cannot run bench: ${rawName} needs a value`)
      if (name === 'json') json = writable(value)
      else only.push(...value.split(','))
    } else {
      throw new UsageError(`Cannot run bench: unknown option ${rawName}; it knows ${KNOWN}`)
    }
  }
  const unknown = only.find((name) => !scenarios.includes(name))
  if (unknown !== undefined) {
    throw new UsageError(`Cannot run scenario "${unknown}": there are ${scenarios.join(', ')}`)
  }
  return { help, quick, only, json }
}

/** Better to know now than after minutes of measuring. */
function writable(file: string): string {
  const folder = dirname(resolve(file))
  if (!existsSync(folder)) {
    throw new UsageError(`Cannot write ${file}: folder ${folder} does not exist`)
  }
  return file
}
