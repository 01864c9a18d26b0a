/** The state file of a gateway: the entities that the Admin API changed, kept across restarts. */
import { isJsonObject } from '../../core/json-object.ts'
import type { SlicedWork } from '../../core/sliced-work.ts'
import type { EntityKind, KongSnapshot } from '../model/entities.ts'
import { KINDS } from '../model/integrity.ts'
import { hashPassword } from './hashed-passwords.ts'
import { readEntity } from './read-entity.ts'
import { EMPTY, Store } from './store.ts'

/**
 * The file that holds the state. The process provides it, so that this folder needs no file system.
 */
export interface StateFile {
  /** The name of the file in messages. */
  readonly name: string
  /** Undefined when the file does not exist. */
  read(): string | undefined
  /** Writes the whole file or nothing, readable for this user only: a snapshot holds secrets. */
  write(text: string): void
}

/** The entities that the Admin API changed, kept across restarts. */
export interface PersistedState {
  /** The snapshot at the time of reading; undefined before the first change. */
  readonly snapshot: KongSnapshot | undefined
  /**
   * @returns The work of it, which may rest.
   * @throws Error that names the file.
   */
  save(snapshot: KongSnapshot): SlicedWork<void>
}

const FORMAT = 2
/** The format in which passwords of `basic-auth` were plain text. */
const PLAIN_PASSWORDS = 1

/**
 * Reads a state file.
 *
 * @throws Error that names the file when it is not valid. The file is left unchanged.
 */
export function openState(file: StateFile): PersistedState {
  const text = file.read()
  return {
    snapshot: text === undefined ? undefined : parse(file.name, text),
    *save(snapshot) {
      const text = yield* textOf(snapshot)
      try {
        file.write(text)
      } catch (error) {
        throw new Error(`Cannot save state to ${file.name}: ${reason(error)}`, { cause: error })
      }
    },
  }
}

/** The texts of entities. Entities never change: a change makes another object. */
const texts = new WeakMap<object, string>()

function* textOf(snapshot: KongSnapshot): SlicedWork<string> {
  const kinds: string[] = []
  for (const kind of KINDS) {
    const lines: string[] = []
    for (const entity of snapshot[kind]) {
      const text = texts.get(entity) ?? JSON.stringify(entity)
      texts.set(entity, text)
      lines.push(`    ${text}`)
      yield
    }
    const list = lines.length === 0 ? '[]' : `[\n${lines.join(',\n')}\n  ]`
    kinds.push(`  "${kind}": ${list}`)
  }
  return `{\n  "format": ${FORMAT},\n${kinds.join(',\n')}\n}\n`
}

function parse(name: string, text: string): KongSnapshot {
  try {
    const { format, ...kinds } = record(text)
    if (format !== FORMAT && format !== PLAIN_PASSWORDS) {
      throw new Error(`its format is not ${FORMAT}`)
    }
    const unknown = Object.keys(kinds).find((kind) => !KINDS.includes(kind as EntityKind))
    if (unknown !== undefined) throw new Error(`${unknown} is unknown`)
    const read = KINDS.map((kind) => {
      // A file of an earlier version lacks kinds that were added later.
      const entities = kinds[kind] ?? []
      if (!Array.isArray(entities)) throw new Error(`${kind} is not an array`)
      const read = entities.map((entity) => readEntity(kind, entity))
      return [kind, format === FORMAT ? read : read.map((entity) => hashPassword(kind, entity))]
    })
    const snapshot: KongSnapshot = { ...EMPTY, ...Object.fromEntries(read) }
    // The store checks that the entities fit together.
    return new Store(snapshot).snapshot()
  } catch (error) {
    throw new Error(
      `Cannot read state from ${name}: ${reason(error)}. The file is unchanged: repair it, or move it away to start without state`,
      { cause: error },
    )
  }
}

/**
 * Parses a JSON object. The parser's message is left out: it quotes the file, which holds secrets.
 */
function record(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  if (!isJsonObject(value)) throw new Error('it is not a JSON object')
  return value
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
