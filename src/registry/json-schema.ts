import { type OutputUnit, type Schema, type SchemaDraft, Validator } from '@cfworker/json-schema'
import type { Encode } from './avro-encoder.ts'

/** Drafts by a part of their `$schema`. Confluent's default is draft 7. */
const DRAFTS: ReadonlyArray<readonly [part: string, draft: SchemaDraft]> = [
  ['draft-04', '4'],
  ['2019-09', '2019-09'],
  ['2020-12', '2020-12'],
]

/**
 * Validates JSON by a JSON Schema of draft 4, 7, 2019-09 or 2020-12. Valid JSON is encoded as it is.
 *
 * @param text The schema.
 * @param referred The schemas that it refers to, by the name in `$ref`.
 * @throws Error when the text is not JSON.
 */
export function jsonSchemaEncoder(text: string, referred: ReadonlyMap<string, string>): Encode {
  const schema = JSON.parse(text) as Schema | boolean
  const dialect = typeof schema === 'object' ? String(schema.$schema ?? '') : ''
  const draft = DRAFTS.find(([part]) => dialect.includes(part))?.[1] ?? '7'
  const validator = new Validator(schema, draft)
  for (const [name, text] of referred) validator.addSchema(JSON.parse(text) as Schema, name)
  return (json) => {
    const { valid, errors } = validator.validate(JSON.parse(json))
    if (!valid) throw new Error(describe(errors.at(-1)))
    return new TextEncoder().encode(json)
  }
}

/** The innermost error, with the place of the value that does not fit. */
function describe(error: OutputUnit | undefined): string {
  if (!error) return 'it does not fit its schema'
  const place = error.instanceLocation.replace(/^#\/?/, '').replaceAll('/', '.')
  return place === '' ? error.error : `${place}: ${error.error}`
}
