/** The errors of a declarative document in Kong's two forms: nested as the document is, and flat. */
import { CHILDREN } from '../config/document-structure.ts'
import type { DocumentEntity, InvalidDeclarative } from '../config/invalid-declarative.ts'
import { MASK, maskSecrets } from '../config/plugin-config.ts'
import { KEYS } from '../model/integrity.ts'
import type { FieldErrors } from '../model/schema-violation.ts'

/** The longest array of errors. Beyond it the elements are fields, as in Kong. */
const MAX_LENGTH = 32_768

/** A level of nested errors while they are put together; numbers are elements, counted from zero. */
type ErrorTree = Map<string | number, ErrorTree | string>

/** Errors by place as Kong nests them: arrays have null where an element has no error. */
export function nestedErrors(errors: FieldErrors): unknown {
  const root: ErrorTree = new Map()
  for (const [place, error] of Object.entries(errors)) {
    const steps = stepsOf(place)
    const isElement = typeof steps.at(-1) === 'number'
    put(root, steps, isElement ? error : wholeError(error))
  }
  return json(root)
}

/** The error of a field of the document, which is not an entity with errors of its own. */
function wholeError(error: FieldErrors[string]): FieldErrors[string] {
  if (typeof error === 'string') return error
  const { '@entity': whole, ...others } = error
  return whole === undefined || Object.keys(others).length > 0 ? error : whole
}

/** `routes[0].name` as `routes`, 0, `name`. */
function stepsOf(place: string): Array<string | number> {
  return [...place.matchAll(/([^.[\]]+)|\[(\d+)\]/g)].map(([, name, index]) =>
    name === undefined ? Number(index) : name,
  )
}

function put(at: ErrorTree, [step, ...rest]: ReadonlyArray<string | number>, error: unknown): void {
  if (step === undefined) {
    for (const [name, inner] of Object.entries(error as FieldErrors)) put(at, [keyOf(name)], inner)
    return
  }
  const isLeaf = rest.length === 0 && typeof error === 'string'
  if (isLeaf) {
    at.set(step, error)
    return
  }
  const present = at.get(step)
  const next: ErrorTree = present instanceof Map ? present : new Map()
  if (typeof present === 'string') next.set('@entity', present)
  at.set(step, next)
  put(next, rest, error)
}

/** Elements are counted from one within the errors of an entity. */
function keyOf(name: string): string | number {
  return /^[1-9]\d{0,8}$/.test(name) ? Number(name) - 1 : name
}

function json(tree: ErrorTree): unknown {
  const indexes = [...tree.keys()].filter((key) => typeof key === 'number')
  const length = Math.max(0, ...indexes) + 1
  if (indexes.length > 0 && indexes.length === tree.size && length <= MAX_LENGTH) {
    return Array.from({ length }, (_, index) => {
      const error = tree.get(index)
      return error instanceof Map ? json(error) : (error ?? null)
    })
  }
  return Object.fromEntries(
    [...tree].map(([key, error]) => {
      const name = typeof key === 'number' ? String(key + 1) : key
      if (error instanceof Map) return [name, json(error)]
      return [name, name === '@entity' ? [error] : error]
    }),
  )
}

/** An entity's errors as Kong lists them with `flatten_errors=1`. */
interface FlatErrors {
  readonly entity_type: string
  readonly entity_id?: string
  readonly entity_name?: string
  readonly entity_tags?: readonly string[]
  /** The entity as the document has it, with `***` in place of secrets. */
  readonly entity: object
  readonly errors: ReadonlyArray<
    | { readonly type: 'entity'; readonly message: string }
    | { readonly type: 'field'; readonly field: string; readonly message: string }
  >
}

/** The errors of entities, each with its entity, and the errors that belong to none. */
export function flattenedErrors({ fields, entities }: InvalidDeclarative): {
  readonly flattened: readonly FlatErrors[]
  readonly rest: FieldErrors
} {
  const flattened: FlatErrors[] = []
  const rest: Array<[string, FieldErrors[string]]> = []
  for (const [place, errors] of Object.entries(fields)) {
    const entity = entities.get(place)
    if (entity && typeof errors !== 'string') flattened.push(flatErrors(entity, errors))
    else rest.push([place, errors])
  }
  return { flattened, rest: Object.fromEntries(rest) }
}

function flatErrors(entity: DocumentEntity, errors: FieldErrors): FlatErrors {
  const { id, name, tags } = entity.fields
  return {
    entity_type: entity.kind.replace(/s$/, ''),
    ...(typeof id === 'string' && { entity_id: id }),
    ...(typeof name === 'string' && { entity_name: name }),
    ...(isTags(tags) && { entity_tags: tags }),
    entity: shownEntity(entity),
    errors: messages(errors),
  }
}

function isTags(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((tag) => typeof tag === 'string')
}

/** An entity of a document without its nested entities and secrets. */
function shownEntity({ kind, fields }: DocumentEntity): object {
  const hidden = new Set<string>([...CHILDREN[kind], ...NEVER_SHOWN])
  const own = Object.entries(fields).filter(([name]) => !hidden.has(name))
  const secrets = new Set(KEYS[kind].secrets)
  const masked = own.map(([name, value]) => [name, secrets.has(name) ? MASK : value])
  return maskSecrets(Object.fromEntries(masked))
}

/** Nested entities that the gateway does not have, and that may hold secrets. */
const NEVER_SHOWN = ['hmacauth_credentials', 'oauth2_credentials', 'mtls_auth_credentials']

function messages(errors: FieldErrors, path = ''): FlatErrors['errors'] {
  return Object.entries(errors).flatMap(([name, error]) => {
    if (typeof error !== 'string') return messages(error, `${path}${name}.`)
    if (name === '@entity') return [{ type: 'entity', message: error } as const]
    return [{ type: 'field', field: `${path}${name}`, message: error } as const]
  })
}
