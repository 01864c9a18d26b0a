import type { EntityKind } from '../model/entities.ts'
import type { FieldErrors } from '../model/schema-violation.ts'

/** An entity as its document has it, with its nested entities and its secrets. */
export interface DocumentEntity {
  readonly kind: EntityKind
  readonly fields: Readonly<Record<string, unknown>>
}

/** A document that is refused, with all its errors by place. */
export class InvalidDeclarative extends Error {
  override readonly name = 'invalid declarative configuration'
  /** Kong's code of this error. */
  readonly code = 14
  readonly status = 400
  /** The errors by place, such as `routes[0].plugins[1]`. */
  readonly fields: FieldErrors
  /** The entities of the document by place. */
  readonly entities: ReadonlyMap<string, DocumentEntity>

  constructor(fields: FieldErrors, entities: ReadonlyMap<string, DocumentEntity> = new Map()) {
    const errors = lines(fields)
    const count = errors.length === 1 ? '' : `${errors.length} errors: `
    super(`declarative config is invalid: ${count}${errors.join('; ')}`)
    this.fields = fields
    this.entities = entities
  }
}

function lines(fields: FieldErrors, path = ''): string[] {
  return Object.entries(fields).flatMap(([field, error]) => {
    const place = field === '@entity' ? path : path === '' ? field : `${path}.${field}`
    return typeof error === 'string' ? [place ? `${place}: ${error}` : error] : lines(error, place)
  })
}
