/** The schemas of topics, which validate the values, keys and headers of records. */
import { isStandardSchema, type StandardSchema } from './standard-schema.ts'

/** The schemas of one topic, by the fields of its records. */
export type TopicSchemas = { readonly [Field in ValidatedField]?: StandardSchema | undefined }

/** The schemas of topics that have any, by the topics' names. */
export type SchemasByTopic = ReadonlyMap<string, TopicSchemas>

/** The fields of a record that schemas validate, with the values that the schemas return. */
export type ValidatedFields = { readonly [Field in ValidatedField]?: unknown }

/** A field of a record that a schema may validate. */
export type ValidatedField = 'value' | 'key' | 'headers'

/** The schemas of topics, as options name them. */
export function schemasByTopic(
  topics: ReadonlyArray<{
    readonly name: string
    readonly schema?: StandardSchema | undefined
    readonly key?: StandardSchema | undefined
    readonly headers?: StandardSchema | undefined
  }>,
): SchemasByTopic {
  return new Map(
    topics.flatMap(({ name, schema: value, key, headers }) => {
      const own = { value, key, headers }
      return Object.values(own).some(isStandardSchema) ? [[name, own] as const] : []
    }),
  )
}
