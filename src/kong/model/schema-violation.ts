/** Errors of an entity, nested as its fields are: `{config: {topics: '…'}}`. */
export interface FieldErrors {
  readonly [field: string]: string | FieldErrors
}

/**
 * An entity that Kong would refuse, in Kong's words: `schema violation (config.topics: required
 * field missing)`, or `2 schema violations (…; …)`.
 */
export class SchemaViolation extends Error {
  override readonly name = 'schema violation'
  /** Kong's number of this error. */
  readonly code = 2
  readonly fields: FieldErrors

  constructor(fields: FieldErrors) {
    const errors = flatten(fields)
    const count = errors.length === 1 ? 'schema violation' : `${errors.length} schema violations`
    super(`${count} (${errors.join('; ')})`)
    this.fields = fields
  }
}

/** The error of one field, at a path of names: array elements are counted from one. */
export function errorAt([field = '', ...rest]: readonly string[], error: string): FieldErrors {
  return { [field]: rest.length === 0 ? error : errorAt(rest, error) }
}

function flatten(fields: FieldErrors, path = ''): string[] {
  return Object.entries(fields).flatMap(([field, error]) => {
    const name = path + field
    // An error of the whole entity has no field name, as in Kong.
    if (typeof error === 'string') return [field === '@entity' ? error : `${name}: ${error}`]
    return flatten(error, `${name}.`)
  })
}
