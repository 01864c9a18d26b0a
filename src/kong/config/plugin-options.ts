/**
 * Converts plugins for Kafka to options of the middlewares that serve them. Vault references and
 * certificates are resolved on the way.
 */
import { KafkaConsumeError } from '../../core/errors.ts'
import { resolveOptions } from '../../options/consume-options.ts'
import { resolveLogOptions } from '../../options/log-options.ts'
import { resolveUpstreamOptions } from '../../options/upstream-options.ts'
import type { Certificate, KongPlugin, KongSnapshot } from '../model/entities.ts'
import {
  type Environment,
  isVaultReference,
  type MayShow,
  mapTexts,
  resolveVault,
  variableIn,
} from '../model/references.ts'
import { errorAt, type FieldErrors, SchemaViolation } from '../model/schema-violation.ts'
import type { KafkaPluginOptions } from './kafka-plugins.ts'
import { isSecret, readPluginConfig } from './plugin-config.ts'

type PluginConfig = KongPlugin['config']

const SHOWN =
  'this field is shown, so it may only read variables that the file of --config reads in such fields'

/**
 * @throws SchemaViolation that names a vault reference that cannot be resolved or may not be read.
 */
function resolve(
  fields: PluginConfig,
  environment: Environment,
  place: readonly string[],
  mayRead: (variable: string, path: readonly string[]) => boolean,
): PluginConfig {
  return mapTexts(fields, (text, path) => {
    if (!isVaultReference(text)) return text
    const variable = variableIn(text)
    const found =
      variable !== undefined && !mayRead(variable, path)
        ? { error: `cannot resolve '${text}': ${SHOWN}` }
        : resolveVault(text, environment)
    if (found.error === undefined) return found.value
    throw new SchemaViolation(errorAt([...place, ...path], found.error))
  }) as PluginConfig
}

/** The variables that a snapshot's plugins read into fields that answers show. */
export function shownVariables({ plugins }: Pick<KongSnapshot, 'plugins'>): ReadonlySet<string> {
  const variables = new Set<string>()
  for (const { config } of plugins) {
    mapTexts(config, (text, path) => {
      const variable = isSecret(path) ? undefined : variableIn(text)
      if (variable !== undefined) variables.add(variable)
      return text
    })
  }
  return variables
}

/** Whether a configuration reads variables. */
export function hasReferences(config: PluginConfig): boolean {
  return JSON.stringify(config).includes('"{vault://')
}

/** A plugin with its references resolved. */
export interface PluginParts {
  readonly plugin: KongPlugin
  /** The configuration, with vault references resolved. */
  readonly config: PluginConfig
  /** The client certificate for Kafka, with vault references resolved. */
  readonly certificate: Pick<Certificate, 'cert' | 'key'> | undefined
}

/**
 * Resolves the references of a plugin: variables and its certificate.
 *
 * @param mayShow Called for fields that are not secrets.
 * @throws SchemaViolation that names a reference that cannot be resolved.
 */
export function partsOf(
  plugin: KongPlugin,
  certificates: readonly Certificate[],
  environment: Environment,
  mayShow: MayShow,
): PluginParts {
  const config = resolve(
    plugin.config,
    environment,
    ['config'],
    (variable, path) => isSecret(path) || mayShow(variable),
  )
  const { ssl, certificate_id: id } = config['security'] as SecurityConfig
  if (!ssl || !id) return { plugin, config, certificate: undefined }
  const certificate = certificates.find((each) => each.id === id)
  if (!certificate) {
    const error = `there is no certificate with the id ${id}`
    throw new SchemaViolation(errorAt(['config', 'security', 'certificate_id'], error))
  }
  const { cert, key } = certificate
  // A certificate may read any variable: it is sent to brokers only, and must be PEM.
  const pair = resolve({ cert, key }, environment, ['certificates', id], () => true)
  return { plugin, config, certificate: pair as Pick<Certificate, 'cert' | 'key'> }
}

interface SecurityConfig {
  /** Absent in plugins for Confluent Cloud, as is `certificate_id`. */
  readonly ssl?: boolean | null
  readonly certificate_id?: string | null
}

/** Settings of the gateway that plugins fall back to. */
export interface PluginSurroundings {
  /** The file of the authorities that brokers are verified by. Default: the system's. */
  readonly ca?: string | undefined
  /** The brokers of plugins that name none, as `host:port`. Default: a name that never resolves. */
  readonly brokers?: readonly string[] | undefined
}

/** Kong accepts plugins without brokers, which fail with each request. RFC 2606 reserves the domain. */
const NO_BROKERS = ['no-bootstrap-servers.invalid:9092']
/** Kong accepts brokers of the port 0, too, where nothing can listen: the name shows in the outage. */
const PORT_0 = 'bootstrap-servers-of-port-0.invalid:9092'

/**
 * The options of the middleware that serves a plugin.
 *
 * @throws SchemaViolation, which shows a secret as its reference or mask.
 */
export function pluginOptions(
  { plugin: { name, id, config }, config: resolved, certificate }: PluginParts,
  { ca, brokers = NO_BROKERS }: PluginSurroundings = {},
): KafkaPluginOptions {
  try {
    const { made } = readPluginConfig(resolved, { name, id })
    const { bootstrapServers, security, authentication } = made.options
    const isVerifying = security?.ssl || authentication?.mechanism === 'OAUTHBEARER'
    const surroundings = {
      bootstrapServers: bootstrapServers.length > 0 ? connectable(bootstrapServers) : brokers,
      security: {
        ...security,
        ...(isVerifying && ca !== undefined && { ca: { file: ca } }),
        ...(certificate && { certificate: certificate.cert, key: certificate.key }),
      },
    }
    const complete = { ...made, options: { ...made.options, ...surroundings } } as typeof made
    check(complete)
    return complete
  } catch (error) {
    if (error instanceof KafkaConsumeError) {
      throw new SchemaViolation({ config: { '@entity': error.message } })
    }
    if (!(error instanceof SchemaViolation)) throw error
    throw new SchemaViolation(conceal(error.fields, secretsOf(config, resolved)))
  }
}

function connectable(brokers: KafkaPluginOptions['options']['bootstrapServers']) {
  return Array.from(brokers, (broker) => (String(broker).endsWith(':0') ? PORT_0 : broker))
}

/** @throws KafkaConsumeError INVALID_OPTIONS */
function check({ middleware, options }: KafkaPluginOptions): void {
  if (middleware === 'kafkaConsume') resolveOptions(options)
  else if (middleware === 'kafkaUpstream') resolveUpstreamOptions(options)
  else resolveLogOptions(options)
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
    Object.entries(fields).map(([field, error]) => [
      field,
      typeof error === 'string'
        ? secrets.reduce((text, [value, reference]) => text.replaceAll(value, reference), error)
        : conceal(error, secrets),
    ]),
  )
}
