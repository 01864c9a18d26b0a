/**
 * The part of Standard Schema (https://standardschema.dev) that is used here, so that schemas of
 * valibot, zod 4, arktype and other libraries can be given without a dependency on one of them.
 */

/** A schema of any library that implements Standard Schema, such as valibot, zod 4 or arktype. */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** The properties of the standard. */
  readonly '~standard': StandardSchemaProperties<Input, Output>
}

/** The properties of a Standard Schema. */
export interface StandardSchemaProperties<Input = unknown, Output = Input> {
  /** The version of the standard. */
  readonly version: 1
  /** The name of the library. */
  readonly vendor: string
  /** Validates a value, and returns what the schema makes of it. */
  readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
  /** The types of the schema. They exist for the compiler alone. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined
}

/** Topics by name, each with the schema of its values. */
export interface SchemaOfTopic {
  /** The schema of a topic's values. */
  readonly [topic: string]: StandardSchema
  /** Tells the compiler that arrays are something else. A topic whose name is a number goes into one. */
  readonly [index: number]: never
}

/** The result of a validation: a value, or the reasons why there is none. */
export type SchemaResult<Output = unknown> = SchemaSuccess<Output> | SchemaFailure

/** The result of a validation that a value has passed. */
export interface SchemaSuccess<Output = unknown> {
  /** The value as the schema returns it. */
  readonly value: Output
  /** Absent: tells this result from a {@link SchemaFailure}. */
  readonly issues?: undefined
}

/** The result of a validation that a value has not passed. */
export interface SchemaFailure {
  /** The reasons, one or more. */
  readonly issues: readonly SchemaIssue[]
}

/** A reason why a value does not fit its schema. */
export interface SchemaIssue {
  /** The library's own words. */
  readonly message: string
  /** The field within the value; absent for the value itself. */
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
}

/** The type that a schema accepts. */
export type SchemaInput<Schema extends StandardSchema> = NonNullable<
  Schema['~standard']['types']
>['input']

/** The type that a schema returns. */
export type SchemaOutput<Schema extends StandardSchema> = NonNullable<
  Schema['~standard']['types']
>['output']

/** Whether a value is a schema. Those of arktype are functions. */
export function isStandardSchema(given: unknown): given is StandardSchema {
  if ((typeof given !== 'object' && typeof given !== 'function') || given === null) return false
  const { '~standard': properties } = given as Partial<StandardSchema>
  return typeof properties?.validate === 'function'
}
