/** `config` of Kong's plugins that read and write Kafka: checked, completed and masked. */

import * as v from 'valibot'
import { isJsonObject } from '../../core/json-object.ts'
import type { KongField } from '../model/field-description.ts'
import { fieldErrors } from '../model/field-errors.ts'
import { renameKey } from '../model/field-names.ts'
import { SchemaViolation } from '../model/schema-violation.ts'
import { KAFKA_PLUGINS, type KafkaPluginOptions, kafkaPluginOf } from './kafka-plugins.ts'
import { inKongsWords } from './option-messages.ts'

/** Replaces a secret in answers. */
export const MASK = '***'

const SECRETS = new Set(KAFKA_PLUGINS.flatMap(({ field }) => secretsIn(field)))

/**
 * Checks a plugin's `config` and fills in Kong's defaults. Null counts as absent, except where Kong
 * refuses it.
 *
 * @param plugin Its name is among {@link KAFKA_PLUGINS}. Its id names the consumer group of
 *   `consumer_group.mode` `random`.
 * @returns The complete `config` in Kong's names, and the options that are made of it, without the
 *   certificate of `security.certificate_id`.
 * @throws SchemaViolation with fields under `config` that Kong would refuse, or that this gateway does
 *   not support.
 */
export function readPluginConfig(
  config: unknown,
  { name, id }: { readonly name: string; readonly id: string },
): { config: Record<string, unknown>; made: KafkaPluginOptions } {
  const plugin = kafkaPluginOf(name)
  if (!plugin) throw new Error(`${name} does not read or write Kafka`)
  const { schema, field } = plugin
  const result = v.safeParse(schema, enter(config, schema))
  if (!result.success) {
    const issues = result.issues.flatMap((issue) => inKongsWords(issue, field))
    const fields = fieldErrors(issues)
    throw new SchemaViolation({ config: fields['@entity'] ?? fields })
  }
  return {
    config: complete(config, field) as Record<string, unknown>,
    made: plugin.optionsOf(result.output, id),
  }
}

/** Whether the value at a path of a configuration is a secret, which no answer shows. */
export function isSecret(path: readonly string[]): boolean {
  return path.some((name) => SECRETS.has(name))
}

/** A configuration for an answer: `***` replaces its secrets. Vault references are not secrets. */
export function maskSecrets(config: Record<string, unknown>): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(config, (name, value) => (SECRETS.has(name) ? maskAll(value) : value)),
  )
}

/** The part of valibot's schemas that is read here. */
interface PluginSchema {
  readonly type: string
  readonly wrapped?: PluginSchema
  readonly item?: PluginSchema
  readonly entries?: Readonly<Record<string, PluginSchema>>
}

/** Renames the fields of a document to ours, and leaves out those that are null. */
function enter(value: unknown, schema: unknown): unknown {
  const { wrapped, item, entries } = schema as PluginSchema
  if (wrapped) return enter(value, wrapped)
  if (item && Array.isArray(value)) return value.map((each) => enter(each, item))
  if (!entries || !isJsonObject(value)) return value
  const renamed = Object.entries(value).flatMap(([key, inner]) => {
    const name = renameKey(key)
    const field = Object.hasOwn(entries, name) ? entries[name] : undefined
    if (!field) return [[name, inner] as const]
    if (inner === null && !v.getMetadata(field as unknown as v.GenericSchema)['required']) return []
    return [[name, enter(inner, field)] as const]
  })
  return Object.fromEntries(renamed)
}

/**
 * Completes a valid document: each field has its value, its default, or null.
 */
function complete(value: unknown, field: KongField): unknown {
  if (field.fields) {
    if (!isJsonObject(value) && !field.required) return null
    const given = isJsonObject(value) ? value : {}
    const fields = field.fields.flatMap((each) => Object.entries(each))
    return Object.fromEntries(fields.map(([name, inner]) => [name, complete(given[name], inner)]))
  }
  if (value === null || value === undefined) return field.default ?? null
  const { elements } = field
  if (elements && Array.isArray(value)) {
    return value.map((each) => complete(each, { ...elements, required: true }))
  }
  return value
}

/** The names of fields that hold secrets. A field of such a name is secret at any depth. */
function secretsIn(field: KongField, name = ''): string[] {
  if (field.encrypted || field.values?.encrypted) return [name]
  const fields = (field.elements ?? field).fields ?? []
  return fields.flatMap((each) =>
    Object.entries(each).flatMap(([name, inner]) => secretsIn(inner, name)),
  )
}

function maskAll(value: unknown): unknown {
  if (typeof value === 'string') return value.startsWith('{vault://') ? value : MASK
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, maskAll(inner)]))
}
