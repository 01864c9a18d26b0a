/** The options of `kafkaLog`. */
import * as v from 'valibot'
import { parseFieldPath } from './field-path.ts'
import { luaChunk } from './lua-syntax.ts'
import type { KafkaLogOptions } from './option-types.ts'
import { producerFields, targetOptions } from './producer-options.ts'
import { resolveBy } from './resolve.ts'
import { rules, unused } from './rules.ts'

const fieldName = v.pipe(
  v.string(),
  v.check(
    (name) => parseFieldPath(name) !== undefined,
    'a name such as "a", "a.b" or "a[1].b" is required, with indexes from 1',
  ),
)

/** Fields that Kong's plugin has, too, in an equal form. */
export const logFields = {
  ...producerFields,
  customFieldsByLua: v.pipe(
    v.optional(v.record(fieldName, luaChunk, 'an object of text is required')),
    v.description(
      'Lua by the field of the entry that it returns: `{"trace": "return kong.request.get_header(\\"traceparent\\")"}`. A dot in a name makes nested fields; nil removes the field',
    ),
  ),
}

/** The one source of `kafkaLog`'s types, defaults, docstrings (`option-types.ts`) and messages. */
export const logSchema = v.pipe(
  v.strictObject({ ...targetOptions, ...logFields }),
  rules(),
  unused(),
)

/** The options of `kafkaLog` with every default filled in. */
export type ResolvedLogOptions = v.InferOutput<typeof logSchema>

/** @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed. */
export function resolveLogOptions(options: KafkaLogOptions): ResolvedLogOptions {
  return resolveBy(logSchema, options, 'kafkaLog')
}
