/**
 * Violations of unique and foreign keys, in Kong's words. The store throws them; the Admin API
 * answers with them.
 */
import type { EntityKind } from './entities.ts'

/**
 * A change that the store refuses as Kong's data layer does, with Kong's name, number, message and
 * status.
 */
export class Violation extends Error {
  override readonly name: string
  /** Kong's number of this error. */
  readonly code: number
  readonly status: 400 | 409
  readonly fields: Readonly<Record<string, unknown>>

  constructor(
    kind: keyof typeof KINDS,
    message: string,
    fields: Readonly<Record<string, unknown>>,
  ) {
    super(message)
    const { name, code, status } = KINDS[kind]
    this.name = name
    this.code = code
    this.status = status
    this.fields = fields
  }
}

const KINDS = {
  primaryKey: { name: 'primary key violation', code: 3, status: 400 },
  foreignKey: { name: 'foreign key violation', code: 4, status: 400 },
  unique: { name: 'unique constraint violation', code: 5, status: 409 },
  unresolved: { name: 'foreign keys unresolved', code: 13, status: 400 },
} as const

type Fields = Readonly<Record<string, unknown>>

export function primaryKeyViolation(id: string): Violation {
  const key = { id }
  return new Violation('primaryKey', `primary key violation on key '${luaTable(key)}'`, key)
}

export function uniqueViolation(fields: Fields): Violation {
  return new Violation('unique', `UNIQUE violation detected on '${luaTable(fields)}'`, fields)
}

export function missingReference(field: string, key: Fields, parent: EntityKind): Violation {
  return new Violation(
    'foreignKey',
    `the foreign key '${luaTable(key)}' does not reference an existing '${parent}' entity.`,
    { [field]: key },
  )
}

export function referencedBy(parent: EntityKind, child: EntityKind): Violation {
  return new Violation(
    'foreignKey',
    `an existing '${child}' entity references this '${parent}' entity`,
    { '@referenced_by': child },
  )
}

export function unresolvedReference(field: string, key: Fields, parent: EntityKind): Violation {
  const error = `the foreign key cannot be resolved with '${luaTable(key)}' for an existing '${parent}' entity`
  const [name = ''] = Object.keys(key)
  return new Violation('unresolved', `foreign key unresolved (${field}.${name}: ${error})`, {
    [field]: { [name]: error },
  })
}

/** Prints keys as Kong's messages do: `{name="x",route={id="…"},service=null}`. */
function luaTable(value: unknown): string {
  if (value === null || typeof value === 'number') return String(value)
  if (typeof value !== 'object') return JSON.stringify(value)
  const fields = Object.entries(value as object).map(([key, field]) => `${key}=${luaTable(field)}`)
  return `{${fields.join(',')}}`
}
