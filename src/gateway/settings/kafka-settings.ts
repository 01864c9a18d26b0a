/** How the gateway connects to Kafka: settings that become the options `authentication` and `security`. */
import * as v from 'valibot'
import { optionsSchema } from '../../options/consume-options.ts'
import type { KafkaConsumeOptions } from '../../options/option-types.ts'

const mechanism = v.unwrap(v.unwrap(optionsSchema.entries.authentication).entries.mechanism)

/** Each setting with the names of its flag and variable; every value comes as text. */
export const kafkaSettings = {
  kafkaTls: v.pipe(
    v.optional(v.picklist(['true', 'false'], 'true or false is required')),
    v.description('Connect to --brokers by TLS'),
    v.metadata({ flag: 'kafka-tls', variable: 'KAFKA_TLS' }),
  ),
  kafkaTlsVerify: v.pipe(
    v.optional(v.picklist(['on', 'off'], 'on or off is required')),
    v.description("Whether the brokers' certificates and host names are verified: on, off"),
    v.metadata({
      flag: 'kafka-tls-verify',
      variable: 'KAFKA_TLS_VERIFY',
      value: 'switch',
      default: 'on',
    }),
  ),
  kafkaCa: v.pipe(
    v.optional(v.string()),
    v.description(
      "Certificates of the authorities by which brokers are verified, in PEM, also for Kong's plugins; default: the system's",
    ),
    v.metadata({ flag: 'kafka-ca', variable: 'KAFKA_CA', value: 'file' }),
  ),
  kafkaCertificate: v.pipe(
    v.optional(v.string()),
    v.description('Client certificate for --brokers, in PEM'),
    v.metadata({ flag: 'kafka-certificate', variable: 'KAFKA_CERTIFICATE', value: 'file' }),
  ),
  kafkaKey: v.pipe(
    v.optional(v.string()),
    v.description('Private key of the client certificate, in PEM'),
    v.metadata({ flag: 'kafka-key', variable: 'KAFKA_KEY', value: 'file' }),
  ),
  kafkaMechanism: v.pipe(
    v.optional(mechanism),
    v.description(`SASL mechanism for --brokers: ${mechanism.options.join(', ')}`),
    v.metadata({ flag: 'kafka-mechanism', variable: 'KAFKA_MECHANISM', value: 'name' }),
  ),
  kafkaUser: v.pipe(
    v.optional(v.string()),
    v.description('User of SASL; with OAUTHBEARER the client id'),
    v.metadata({ flag: 'kafka-user', variable: 'KAFKA_USER', value: 'name' }),
  ),
  kafkaPassword: v.pipe(
    v.optional(v.string()),
    v.description('Password, or client secret; no flag, since other users see command lines'),
    v.metadata({ variable: 'KAFKA_PASSWORD', value: 'secret' }),
  ),
  kafkaPasswordFile: v.pipe(
    v.optional(v.string()),
    v.description('File with the password or client secret, read again for each connection'),
    v.metadata({ flag: 'kafka-password-file', variable: 'KAFKA_PASSWORD_FILE', value: 'file' }),
  ),
  kafkaDelegationToken: v.pipe(
    v.optional(v.picklist(['true', 'false'], 'true or false is required')),
    v.description("User and password are a delegation token's id and HMAC; SCRAM only"),
    v.metadata({ flag: 'kafka-delegation-token', variable: 'KAFKA_DELEGATION_TOKEN' }),
  ),
  kafkaTokenUrl: v.pipe(
    v.optional(v.string()),
    v.description('OAuth 2 token endpoint of OAUTHBEARER'),
    v.metadata({ flag: 'kafka-token-url', variable: 'KAFKA_TOKEN_URL', value: 'url' }),
  ),
  kafkaScopes: v.pipe(
    v.optional(v.string()),
    v.description('Scopes to request from the token endpoint'),
    v.metadata({ flag: 'kafka-scopes', variable: 'KAFKA_SCOPES', value: 'name,…' }),
  ),
}

type Given = v.InferOutput<v.ObjectSchema<typeof kafkaSettings, undefined>>
/** The name of one of these settings. */
export type KafkaSetting = keyof typeof kafkaSettings
type Options = Pick<KafkaConsumeOptions, 'authentication' | 'security'>

/** The option field that each setting sets. */
const FIELDS: ReadonlyArray<readonly [setting: KafkaSetting, field: string]> = [
  ['kafkaTls', 'security.ssl'],
  ['kafkaTlsVerify', 'security.sslVerify'],
  ['kafkaCa', 'security.ca'],
  ['kafkaCertificate', 'security.certificate'],
  ['kafkaKey', 'security.key'],
  ['kafkaMechanism', 'authentication.mechanism'],
  ['kafkaUser', 'authentication.user'],
  ['kafkaUser', 'authentication.oauthbearer.clientId'],
  ['kafkaPassword', 'authentication.password'],
  ['kafkaPassword', 'authentication.oauthbearer.clientSecret'],
  ['kafkaDelegationToken', 'authentication.tokenauth'],
  ['kafkaTokenUrl', 'authentication.oauthbearer.tokenEndpointUrl'],
  ['kafkaScopes', 'authentication.oauthbearer.scopes'],
]

/** Replaces the settings by a cluster's options; the settings, with the password, go no further. */
export function withConnection<T extends Given>(given: T) {
  const { kafkaTls, kafkaTlsVerify, kafkaCertificate, kafkaKey, kafkaMechanism, ...others } = given
  const { kafkaUser, kafkaPassword, kafkaPasswordFile, kafkaDelegationToken, ...withoutUser } =
    others
  const { kafkaTokenUrl, kafkaScopes, ...rest } = withoutUser
  return { ...rest, connection: connectionOptions(given) }
}

function connectionOptions(given: Given): Options {
  const security = securityOf(given)
  const authentication = authenticationOf(given)
  return { ...(security && { security }), ...(authentication && { authentication }) }
}

function securityOf({
  kafkaTls,
  kafkaTlsVerify,
  kafkaCa,
  kafkaCertificate,
  kafkaKey,
  kafkaMechanism,
}: Given): Options['security'] {
  const ssl = kafkaTls === 'true'
  const fields = {
    ...(ssl && { ssl, sslVerify: kafkaTlsVerify !== 'off' }),
    // A token endpoint may be verified by it, too.
    ...((ssl || kafkaMechanism === 'OAUTHBEARER') && kafkaCa && { ca: { file: kafkaCa } }),
    ...(kafkaCertificate && { certificate: { file: kafkaCertificate } }),
    ...(kafkaKey && { key: { file: kafkaKey } }),
  }
  return Object.keys(fields).length > 0 ? fields : undefined
}

function authenticationOf(given: Given): Options['authentication'] {
  const { kafkaMechanism, kafkaUser, kafkaPassword, kafkaPasswordFile } = given
  const { kafkaTokenUrl, kafkaScopes } = given
  const password = kafkaPasswordFile ? { file: kafkaPasswordFile } : kafkaPassword
  const strategy = kafkaMechanism && ('sasl' as const)
  const tokenauth = given.kafkaDelegationToken === 'true' ? true : undefined
  const hasToken = kafkaTokenUrl !== undefined || kafkaScopes !== undefined
  if (kafkaMechanism === 'OAUTHBEARER' || hasToken) {
    const scopes = kafkaScopes?.split(',').map((scope) => scope.trim())
    const oauthbearer = {
      tokenEndpointUrl: kafkaTokenUrl,
      clientId: kafkaUser,
      clientSecret: password,
      scopes,
    }
    return { strategy, mechanism: kafkaMechanism, tokenauth, oauthbearer }
  }
  const fields = { strategy, mechanism: kafkaMechanism, user: kafkaUser, password, tokenauth }
  return Object.values(fields).some((field) => field !== undefined) ? fields : undefined
}

/**
 * Errors of settings that do not fit together, each with the setting to change.
 *
 * @param brokers The value of `--brokers`, if any.
 */
export function connectionErrors(
  given: Given,
  brokers: readonly string[] | undefined,
): ReadonlyArray<readonly [setting: KafkaSetting, message: string]> {
  if (!brokers) {
    const names = Object.keys(kafkaSettings) as KafkaSetting[]
    return names
      .filter((name) => name !== 'kafkaCa' && given[name] !== undefined)
      .map((name) => [name, "of use with --brokers only: Kong's plugins have fields for it"])
  }
  if (given.kafkaPassword !== undefined && given.kafkaPasswordFile !== undefined) {
    return [['kafkaPasswordFile', 'not together with KAFKA_PASSWORD']]
  }
  const isVerifying = given.kafkaTls === 'true' || given.kafkaMechanism === 'OAUTHBEARER'
  if (given.kafkaCa !== undefined && !isVerifying) {
    return [['kafkaCa', 'of use with --kafka-tls or --kafka-mechanism OAUTHBEARER only']]
  }
  const { issues = [] } = v.safeParse(optionsSchema, {
    bootstrapServers: 'localhost:9092',
    topics: 'topic',
    ...connectionOptions(given),
  })
  return issues.map((issue) => {
    const path = v.getDotPath(issue) ?? ''
    const [setting] = FIELDS.find(
      ([, field]) => path === field || path.startsWith(`${field}.`),
    ) ?? [path.includes('oauthbearer') ? 'kafkaTokenUrl' : 'kafkaMechanism']
    return [setting as KafkaSetting, issue.message]
  })
}
