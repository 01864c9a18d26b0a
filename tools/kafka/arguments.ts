/** Parses the options of one command. The error of an unknown option lists the known ones. */
import { parseArgs } from 'node:util'

/** The command line is not valid: exit code 2. */
export class UsageError extends Error {}

type Kind = 'string' | 'boolean'
type Values<T extends Record<string, Kind>> = {
  [K in keyof T]?: T[K] extends 'string' ? string : true
}

export function readOptions<const T extends Record<string, Kind>>(
  command: string,
  kinds: T,
  args: string[],
): Values<T> {
  const options = Object.fromEntries(Object.entries(kinds).map(([name, type]) => [name, { type }]))
  const { tokens } = parseArgs({
    args,
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const values: Record<string, string | true> = {}
  for (const token of tokens) {
    if (token.kind !== 'option') {
      const text = token.kind === 'positional' ? token.value : '--'
      throw new UsageError(`Cannot run kafka ${command}: unexpected argument "${text}"`)
    }
    values[token.name] = readValue(command, kinds, token)
  }
  return values as Values<T>
}

interface OptionToken {
  readonly name: string
  /** The option as it was given, such as "-n". */
  readonly rawName: string
  readonly value?: string | undefined
}

function readValue(
  command: string,
  kinds: Readonly<Record<string, Kind>>,
  { name, rawName, value }: OptionToken,
): string | true {
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined
  if (!kind) {
    const known = Object.keys(kinds).map((name) => `--${name}`)
    throw new UsageError(
      `Cannot run kafka ${command}: unknown option ${rawName}; it knows ${known.join(', ')}`,
    )
  }
  if (kind === 'string' && !value) {
    throw new UsageError(`Cannot run kafka ${command}: ${rawName} needs a value`)
  }
  if (kind === 'boolean' && value !== undefined) {
    throw new UsageError(`Cannot run kafka ${command}: ${rawName} takes no value`)
  }
  return value ?? true
}

export function readName(text = 'default'): string {
  // Docker Compose allows these characters in a project's name; 40 of them are short enough for a folder.
  if (/^[a-z0-9][a-z0-9_-]{0,39}$/.test(text)) return text
  throw new UsageError(
    `Cannot use the name "${text}": allowed are a-z, 0-9, - and _, 40 characters at most`,
  )
}

export function readBrokers(text = '1'): 1 | 3 {
  if (text === '1') return 1
  if (text === '3') return 3
  throw new UsageError(`Cannot start ${text} brokers: allowed are 1 and 3`)
}

export function readPort(text = '9092'): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port <= 65_533) return port // Room for three brokers.
  throw new UsageError(`Cannot use port "${text}": allowed are 1 to 65533, and 0 for a free one`)
}
