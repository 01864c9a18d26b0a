/** Components of an OpenAPI document for topics that have schemas, and the bodies that refer to them. */
import type { SchemasByTopic, TopicSchemas } from '../../records/topic-schemas.ts'
import { jsonSchemaOf, type SchemaSide } from './json-schema.ts'
import { type Json, ref } from './responses.ts'

/** The schemas of a document, by their names. */
export type Components = Record<string, Json>

/** The schemas of a route's records. */
export interface RecordComponents {
  /** References to the schema of each topic's records. */
  readonly records: ReadonlyMap<string, Json>
  /** The names of the components that were made for the route. */
  readonly names: readonly string[]
  /** References to the schemas of values; of any value where a topic has none. */
  readonly values: readonly Json[]
}

/**
 * Adds the schemas of a route's topics to a document. A topic without a schema has the general one.
 *
 * @param base The component of records without a schema.
 */
export function addRecords(
  components: Components,
  topics: readonly string[],
  schemas: SchemasByTopic,
  base: 'Record' | 'NewRecord',
): RecordComponents {
  const side = base === 'Record' ? 'output' : 'input'
  const general = components[base] as ObjectSchema
  const names: string[] = []
  const values: Json[] = []
  const records = topics.map((topic) => {
    const own = schemas.get(topic)
    const fields = own ? fieldsOf(components, topic, own, side) : {}
    values.push(fields['value'] ?? {})
    if (!own) return [topic, ref(base)] as const
    const properties = { ...general.properties, topic: { const: topic }, ...fields }
    const name = add(components, `${topic}.${base}`, { ...general, properties })
    names.push(name)
    return [topic, toComponent(name)] as const
  })
  return { records: new Map(records), names, values }
}

/** A schema of objects. */
interface ObjectSchema extends Json {
  readonly properties: Json
  readonly required?: readonly string[]
}

/** A record that failed: its fields are as they were before the schema. */
const FAILED = { allOf: [ref('Record'), { required: ['error'] }] }

/** The bodies of an answer to a single read: in Kong's form, as a list of records, and as values. */
export function readBodies(components: Components, added: RecordComponents): Json {
  const { properties } = components['Records'] as ObjectSchema
  const items = { anyOf: [...added.records.values(), FAILED] }
  return {
    anyOf: [
      kongBody(components, added),
      { type: 'object', properties: { ...properties, records: listOf(items) } },
      listOf({ anyOf: [...added.values, FAILED] }),
    ],
  }
}

/** Records by topic and partition, which their place in the document names. */
function kongBody(components: Components, { records }: RecordComponents): Json {
  const topics = [...records].map(([topic, { $ref }]) => {
    const name = String($ref).slice(REFERENCE.length)
    const anyOf = [name, 'Record'].map((record) => withoutPlace(components[record] as ObjectSchema))
    const properties = { records: listOf({ anyOf }) }
    const partitions = { type: 'object', additionalProperties: { type: 'object', properties } }
    return [topic, { type: 'object', properties: { partitions } }]
  })
  return { allOf: [ref('KongRecords'), { properties: Object.fromEntries(topics) }] }
}

function withoutPlace({ properties, required = [], ...rest }: ObjectSchema): Json {
  const { topic: _, partition: __, ...others } = properties
  const isOther = (name: string) => name !== 'topic' && name !== 'partition'
  return { ...rest, properties: others, required: required.filter(isOther) }
}

/** The body of a request that writes these records. */
export function writeBody({ records }: RecordComponents): Json {
  const items = { anyOf: [...records.values()] }
  return { type: 'object', properties: { records: listOf(items) }, required: ['records'] }
}

function listOf(items: Json): Json {
  return { type: 'array', items }
}

/** The schemas of the fields that a topic's schemas are about. */
function fieldsOf(
  components: Components,
  topic: string,
  own: TopicSchemas,
  side: SchemaSide,
): Record<string, Json> {
  const fields = (['value', 'key', 'headers'] as const).flatMap((field) => {
    const schema = own[field]
    if (!schema) return []
    const name = `${topic}.${field}${side === 'input' ? '.input' : ''}`
    return [[field, toComponent(add(components, name, jsonSchemaOf(schema, side)))] as const]
  })
  return Object.fromEntries(fields)
}

/**
 * Adds a component with its own definitions, whose references are made those of the document.
 *
 * @returns Its name: another one where that is taken by a different schema, as of another route.
 */
function add(components: Components, wanted: string, schema: Json): string {
  for (let attempt = 1; ; attempt++) {
    const name = attempt === 1 ? wanted : `${wanted}.${attempt}`
    const { $schema: _, $id: __, $defs = {}, ...own } = schema
    const moved = Object.entries($defs as Json).map(([key, definition]) => {
      return [`${name}.${key}`, referring(definition, name)] as const
    })
    const added = referring(own, name) as Json
    const known = components[name]
    if (known && JSON.stringify(known) !== JSON.stringify(added)) continue
    components[name] = added
    for (const [key, definition] of moved) components[key] = definition as Json
    return name
  }
}

/** A schema whose references within itself refer to components of the document. */
function referring(value: unknown, name: string): unknown {
  if (Array.isArray(value)) return value.map((element) => referring(element, name))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key !== '$ref' || typeof inner !== 'string') return [key, referring(inner, name)]
      if (inner === '#') return [key, toComponent(name).$ref]
      return [key, inner.replace(/^#\/(?:\$defs|definitions)\//, `${toComponent(name).$ref}.`)]
    }),
  )
}

const REFERENCE = '#/components/schemas/'

function toComponent(name: string) {
  return { $ref: `${REFERENCE}${name}` }
}
