/**
 * Answers of the Admin API that are errors, in Kong's form. Routes throw; the error handler of the
 * app makes the answer.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { KafkaConsumeError } from '../../core/errors.ts'
import { logOf } from '../../core/log.ts'
import { InvalidDeclarative } from '../config/invalid-declarative.ts'
import { Violation } from '../model/constraint-violations.ts'
import { SchemaViolation } from '../model/schema-violation.ts'
import { flattenedErrors, nestedErrors } from './document-errors.ts'

const log = logOf('admin')

/** An error whose answer has a status and a message, and no further fields. */
export class Refusal extends Error {
  readonly status: 400 | 401 | 403 | 404 | 413 | 415 | 503

  constructor(status: Refusal['status'], message: string) {
    super(message)
    this.status = status
  }
}

export const notFound = () => new Refusal(404, 'Not found')

/** Converts anything thrown to an error answer in Kong's form. */
export function errorAnswer(thrown: Error, c: Context): Response {
  if (thrown instanceof Refusal) return c.json({ message: thrown.message }, thrown.status)
  if (thrown instanceof SchemaViolation) return c.json(schemaViolation(thrown), 400)
  if (thrown instanceof Violation) {
    const { message, name, code, fields } = thrown
    return c.json({ message, name, code, fields }, thrown.status)
  }
  // The plugin fits its schema, and `kafkaConsume` refuses its options.
  if (thrown instanceof KafkaConsumeError && thrown.code === 'INVALID_OPTIONS') {
    return c.json(schemaViolation(new SchemaViolation({ '@entity': thrown.message })), 400)
  }
  // Only the project's own messages are shown: any other may hold secrets. They say everything, such
  // as a full disk, so that the log needs no stack trace.
  const isOwn = thrown.message.startsWith('Cannot ')
  log.error('Cannot answer {method} {path}: {cause}', {
    method: c.req.method,
    path: c.req.path,
    cause: isOwn ? thrown.message : thrown,
  })
  return c.json({ message: isOwn ? thrown.message : 'An unexpected error occurred' }, 500)
}

function schemaViolation({ message, name, code, fields }: SchemaViolation) {
  const entity = fields['@entity']
  return { message, name, code, fields: entity ? { ...fields, '@entity': [entity] } : fields }
}

/** Answers for a declarative document that cannot be loaded, in Kong's form. */
export function declarativeAnswer(thrown: unknown, c: Context): Response {
  const isKnown =
    thrown instanceof InvalidDeclarative ||
    thrown instanceof SchemaViolation ||
    thrown instanceof Violation ||
    (thrown instanceof KafkaConsumeError && thrown.code === 'INVALID_OPTIONS')
  if (!isKnown) throw thrown
  const message = thrown.message.replace(/^declarative config is invalid: /, '')
  return c.json(
    {
      message: `declarative config is invalid: ${message}`,
      name: 'invalid declarative configuration',
      code: 14,
      ...fieldsOf(thrown, /^(?:true|1|on|yes)$/i.test(c.req.query('flatten_errors') ?? '')),
    },
    400,
  )
}

function fieldsOf(error: Error, isFlat: boolean) {
  if (error instanceof InvalidDeclarative) {
    if (!isFlat) return { fields: nestedErrors(error.fields) }
    const { flattened, rest } = flattenedErrors(error)
    return { fields: nestedErrors(rest), flattened_errors: flattened }
  }
  return { fields: 'fields' in error ? error.fields : { error: error.message } }
}

/**
 * Answers methods that a path does not have with 405, and OPTIONS with a list. There is no CORS:
 * pages may not call the Admin API.
 */
export function otherMethods(methods: readonly string[]): MiddlewareHandler {
  const allowed = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS']
  return async (c) => {
    c.header('Allow', allowed.sort().join(', '))
    if (c.req.method === 'OPTIONS') return c.body(null, 204)
    return c.json({ message: 'Method not allowed' }, 405)
  }
}
