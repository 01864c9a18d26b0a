/**
 * The plugins that this gateway supports: those that read and write Kafka, and the access plugins
 * that run before them.
 */
import * as v from 'valibot'
import type { AccessPlugin } from '../access/access-plugin.ts'
import { basicAuth } from '../access/basic-auth.ts'
import { cors } from '../access/cors.ts'
import { jwt } from '../access/jwt.ts'
import { keyAuth } from '../access/key-auth.ts'
import { rateLimiting } from '../access/rate-limiting.ts'
import { describeFields, type KongField } from '../model/field-description.ts'
import { fieldErrors } from '../model/field-errors.ts'
import { SchemaViolation } from '../model/schema-violation.ts'
import { KAFKA_PLUGINS, kafkaPluginOf } from './kafka-plugins.ts'
import { readPluginConfig } from './plugin-config.ts'

/** The plugins that answer requests, in Kong's order. */
export const ANSWERING_PLUGINS = KAFKA_PLUGINS.filter(({ isAnswering }) => isAnswering)

/** The plugin that logs finished requests. */
export const LOG_PLUGIN = 'kafka-log'

/** The access plugins, which run before the answering ones, in Kong's order. */
export const ACCESS_PLUGINS: readonly AccessPlugin[] = [cors, jwt, keyAuth, basicAuth, rateLimiting]

export const PLUGIN_NAMES: readonly string[] = [
  ...KAFKA_PLUGINS.map(({ name }) => name),
  ...ACCESS_PLUGINS.map(({ name }) => name),
]

const accessPlugins = new Map(ACCESS_PLUGINS.map((plugin) => [plugin.name, plugin]))

/** Whether a plugin can be for one consumer only. */
export function isForConsumers(name: string): boolean {
  return accessPlugins.get(name)?.isForConsumers ?? true
}

/** The protocols of requests to HTTP routes and to routes for WebSockets. */
export const WEB_PROTOCOLS = ['grpc', 'grpcs', 'http', 'https', 'ws', 'wss'] as const
/** The protocols of requests to HTTP routes alone. */
const HTTP_PROTOCOLS = ['grpc', 'grpcs', 'http', 'https'] as const
/** Plugins that Kong does not run on routes for WebSockets. */
const HTTP_ONLY = new Set(['cors', 'jwt', 'rate-limiting', 'confluent', 'kafka-upstream'])

type PluginProtocol = (typeof WEB_PROTOCOLS)[number]

/** The protocols that a plugin may have. They are also its default. */
export function pluginProtocols(name: string): readonly PluginProtocol[] {
  return HTTP_ONLY.has(name) ? HTTP_PROTOCOLS : WEB_PROTOCOLS
}

type AnyPluginConfig = Readonly<Record<string, unknown>>

/**
 * Checks a plugin's `config` and fills in Kong's defaults.
 *
 * @param plugin One whose name is among {@link PLUGIN_NAMES}.
 * @throws SchemaViolation with fields under `config`, or of the entity as a whole.
 */
export function readConfig(
  plugin: { readonly name: string; readonly id: string },
  config: unknown,
): AnyPluginConfig {
  const access = accessPlugins.get(plugin.name)
  if (!access) return readPluginConfig(config, plugin).config
  const result = v.safeParse(access.schema as v.GenericSchema<unknown, AnyPluginConfig>, config)
  if (result.success) return result.output
  const { '@entity': entity, ...fields } = fieldErrors(result.issues)
  throw new SchemaViolation({
    ...(Object.keys(fields).length > 0 ? { config: fields } : {}),
    ...(entity === undefined ? {} : { '@entity': entity }),
  })
}

/** Kong's description of a plugin's `config`. Undefined for a plugin that is not supported. */
export function configField(name: string): KongField | undefined {
  const kafka = kafkaPluginOf(name)
  if (kafka) return kafka.field
  const access = accessPlugins.get(name)
  return access && { type: 'record', required: true, fields: describeFields(access.schema) }
}
