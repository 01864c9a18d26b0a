import type { FieldErrors } from '../model/schema-violation.ts'

/** A document that is refused, with all its errors by place. */
export class InvalidDeclarative extends Error {
  override readonly name = 'invalid declarative configuration'
  /** Kong's code of this error. */
  readonly code = 14
  readonly status = 400
  readonly fields: FieldErrors

  constructor(fields: FieldErrors) {
    const errors = lines(fields)
    const count = errors.length === 1 ? '' : `${errors.length} problems: `
    super(`declarative config is invalid: ${count}${errors.join('; ')}`)
    this.fields = fields
  }
}

function lines(fields: FieldErrors, path = ''): string[] {
  return Object.entries(fields).flatMap(([field, error]) => {
    const place = field === '@entity' ? path : path === '' ? field : `${path}.${field}`
    return typeof error === 'string' ? [place ? `${place}: ${error}` : error] : lines(error, place)
  })
}
