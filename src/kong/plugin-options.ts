import { type KafkaConsumeOptions, resolveOptions } from '../config/options.ts'
import { KafkaConsumeError } from '../errors.ts'
import type { Plugin } from './entities.ts'
import { type FieldErrors, SchemaViolation } from './errors.ts'
import { readPluginConfig } from './plugin-config.ts'
import { type Environment, isVaultReference, mapTexts, resolveVault } from './references.ts'

type Config = Plugin['config']

/**
 * A plugin's configuration with what its vault references stand for.
 *
 * @throws SchemaViolation that names what leads nowhere.
 */
export function resolveConfig(config: Config, environment: Environment): Config {
  return mapTexts(config, (text, path) => {
    if (!isVaultReference(text)) return text
    const found = resolveVault(text, environment)
    if (found.problem === undefined) return found.value
    throw new SchemaViolation(nest(['config', ...path], found.problem))
  }) as Config
}

/**
 * What `kafkaConsume` takes for a plugin.
 *
 * @param resolved Its configuration without references.
 * @throws SchemaViolation, in which a secret is shown as what stands for it.
 */
export function pluginOptions({ id, config }: Plugin, resolved: Config): KafkaConsumeOptions {
  try {
    const { options } = readPluginConfig(resolved, { id })
    resolveOptions(options)
    return options
  } catch (error) {
    if (error instanceof KafkaConsumeError) {
      throw new SchemaViolation({ config: { '@entity': error.message } })
    }
    if (!(error instanceof SchemaViolation)) throw error
    throw new SchemaViolation(conceal(error.fields, secretsOf(config, resolved)))
  }
}

type Secrets = ReadonlyArray<readonly [value: string, reference: string]>

function secretsOf(written: unknown, resolved: unknown): Secrets {
  if (typeof written === 'string' && typeof resolved === 'string') {
    return written === resolved || resolved === '' ? [] : [[resolved, written]]
  }
  if (typeof written !== 'object' || written === null) return []
  return Object.entries(written).flatMap(([key, inner]) =>
    secretsOf(inner, (resolved as Readonly<Record<string, unknown>>)[key]),
  )
}

function conceal(fields: FieldErrors, secrets: Secrets): FieldErrors {
  return Object.fromEntries(
    Object.entries(fields).map(([field, problem]) => [
      field,
      typeof problem === 'string'
        ? secrets.reduce((text, [value, reference]) => text.replaceAll(value, reference), problem)
        : conceal(problem, secrets),
    ]),
  )
}

function nest([field = '', ...rest]: readonly string[], problem: string): FieldErrors {
  return { [field]: rest.length === 0 ? problem : nest(rest, problem) }
}
