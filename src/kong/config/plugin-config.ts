/**
 * `config` of Kong's `kafka-consume`: the fields, defaults and rules of `kafkaConsume`'s own schema,
 * in Kong's names and words.
 */

import * as v from 'valibot'
import { isJsonObject } from '../../core/json-object.ts'
import { kongSchema } from '../../options/consume-options.ts'
import type { KafkaConsumeOptions } from '../../options/option-types.ts'
import { describeFields, type KongField } from '../model/field-description.ts'
import { fieldErrors } from '../model/field-errors.ts'
import { renameKey } from '../model/field-names.ts'
import { SchemaViolation } from '../model/schema-violation.ts'
import { inKongsWords } from './option-messages.ts'

/** Replaces a secret in answers. */
export const MASK = '***'

/** Kong's description of `config`. */
export const kafkaConsumeField: KongField = {
  type: 'record',
  required: true,
  fields: describeFields(kongSchema, {}, renameKey),
}

const SECRETS = new Set(secretsIn(kafkaConsumeField))

/**
 * Checks a plugin's `config` and fills in Kong's defaults. Null counts as absent, except where Kong
 * refuses it.
 *
 * @param plugin Its id names the consumer group of `consumer_group.mode` `random`.
 * @returns The complete `config` in Kong's names, and the options of `kafkaConsume` without the
 *   certificate of `security.certificate_id`.
 * @throws SchemaViolation with fields under `config` that Kong would refuse, or that this gateway does
 *   not support.
 */
export function readPluginConfig(
  config: unknown,
  plugin: { readonly id: string },
): { config: Record<string, unknown>; options: KafkaConsumeOptions } {
  const result = v.safeParse(kongSchema, enter(config, kongSchema))
  if (!result.success) {
    const issues = result.issues.flatMap((issue) => inKongsWords(issue, kafkaConsumeField))
    const fields = fieldErrors(issues)
    throw new SchemaViolation({ config: fields['@entity'] ?? fields })
  }
  return {
    config: complete(config, kafkaConsumeField) as Record<string, unknown>,
    options: optionsOf(result.output, plugin.id),
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

function optionsOf(
  { enforceLatestOffsetReset, ...options }: v.InferOutput<typeof kongSchema>,
  id: string,
): KafkaConsumeOptions {
  const { autoOffsetReset, consumerGroup, security } = options
  return {
    ...options,
    authentication: usedOf(options.authentication),
    security: { ssl: security.ssl, sslVerify: security.sslVerify },
    // In Kong `latest` is the end only when it is enforced.
    autoOffsetReset: enforceLatestOffsetReset ? autoOffsetReset : 'earliest',
    consumerGroup:
      consumerGroup.mode === 'random'
        ? { mode: 'manual', consumerGroupId: `hono-kafka-consume-${id}` }
        : consumerGroup,
  }
}

/**
 * Leaves out fields that the strategy and mechanism do not use: Kong accepts them, `kafkaConsume`
 * does not.
 */
function usedOf({
  strategy,
  mechanism,
  user,
  password,
  tokenauth,
  oauthbearer,
}: v.InferOutput<typeof kongSchema>['authentication']): KafkaConsumeOptions['authentication'] {
  if (strategy === undefined) return {}
  if (mechanism === 'OAUTHBEARER') return { strategy, mechanism, oauthbearer }
  return { strategy, mechanism, user, password, tokenauth }
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

/** Completes a valid document: each field has its value, its default, or null. */
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
