import * as v from 'valibot'
import { KafkaConsumeError } from '../core/errors.ts'

/**
 * Checks options and fills in the defaults.
 *
 * @param name The function that takes the options, for the message.
 * @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed.
 */
export function resolveBy<T extends v.GenericSchema>(
  schema: T,
  options: object,
  name: string,
): v.InferOutput<T> {
  const result = v.safeParse(schema, options)
  if (result.success) return result.output
  const errors = result.issues.map((issue) => {
    const path = v.getDotPath(issue)
    const unknown = issue.type === 'strict_object' && issue.expected === 'never'
    return unknown ? `${path}: unknown option` : `${path ?? 'options'}: ${issue.message}`
  })
  throw new KafkaConsumeError(
    'INVALID_OPTIONS',
    `Cannot use these ${name} options: ${errors.join('; ')}`,
  )
}
