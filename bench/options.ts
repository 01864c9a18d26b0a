/** The command line of `bun run bench`. */
import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'

/** The command line is not valid: exit code 2. */
export class UsageError extends Error {}

export interface BenchOptions {
  readonly help: boolean
  /** Fewer records and rounds: a few minutes in all. */
  readonly quick: boolean
  /** The scenarios to run; empty for all. */
  readonly only: readonly string[]
  /** The file for the figures. */
  readonly json: string | undefined
}

const KNOWN = '--only NAME, --quick, --json FILE, --help'

/** @throws UsageError that names the argument and the known options. */
export function readOptions(args: string[], scenarios: readonly string[]): BenchOptions {
  const { values, tokens } = parseArgs({
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
  for (const token of tokens) checkToken(token)
  const only = (values.only ?? []).flatMap((names) => String(names).split(','))
  const unknown = only.find((name) => !scenarios.includes(name))
  if (unknown !== undefined) {
    throw new UsageError(`Cannot run scenario "${unknown}": there are ${scenarios.join(', ')}`)
  }
  const json = values.json === undefined ? undefined : writable(String(values.json))
  return { help: values.help === true, quick: values.quick === true, only, json }
}

/** One argument, as `parseArgs` returns it. */
interface Token {
  readonly kind: 'option' | 'positional' | 'option-terminator'
  readonly name?: string
  readonly rawName?: string
  readonly value?: string | undefined
}

function checkToken(token: Token): void {
  if (token.kind !== 'option') {
    const argument = token.value ?? '--'
    throw new UsageError(`Cannot run bench: unexpected argument "${argument}"; it knows ${KNOWN}`)
  }
  const { name, rawName, value } = token
  const takesValue = name === 'only' || name === 'json'
  if (!takesValue && name !== 'quick' && name !== 'help') {
    throw new UsageError(`Cannot run bench: unknown option ${rawName}; it knows ${KNOWN}`)
  }
  if (takesValue && !value) throw new UsageError(`Cannot run bench: ${rawName} needs a value`)
  if (!takesValue && value !== undefined) {
    throw new UsageError(`Cannot run bench: ${rawName} takes no value`)
  }
}

/** Checks the folder of a file now rather than after minutes of measuring. */
function writable(file: string): string {
  const folder = dirname(resolve(file))
  if (!existsSync(folder)) {
    throw new UsageError(`Cannot write ${file}: folder ${folder} does not exist`)
  }
  return file
}
