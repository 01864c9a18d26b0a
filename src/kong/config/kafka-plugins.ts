/**
 * Kong's plugins that read and write Kafka: the fields, defaults and rules of this package's own
 * options, in Kong's names, and the options that are made of them.
 */
import type * as v from 'valibot'
import type { confluentCloud } from '../../options/confluent-cloud.ts'
import {
  confluentConsumeSchema,
  confluentSchema,
  kongConsumeSchema,
  kongLogSchema,
  kongUpstreamSchema,
} from '../../options/kong-schemas.ts'
import type {
  AuthenticationOptions,
  KafkaConsumeOptions,
  KafkaLogOptions,
  KafkaUpstreamOptions,
} from '../../options/option-types.ts'
import { describeFields, type KongField } from '../model/field-description.ts'
import { renameKey } from '../model/field-names.ts'

/** The options of a plugin by the middleware that they are for. */
export type KafkaPluginOptions =
  | { readonly middleware: 'kafkaConsume'; readonly options: KafkaConsumeOptions }
  | { readonly middleware: 'kafkaUpstream'; readonly options: KafkaUpstreamOptions }
  | { readonly middleware: 'kafkaLog'; readonly options: KafkaLogOptions }

/** A plugin of Kong's that reads or writes Kafka. */
export interface KafkaPlugin<S extends v.GenericSchema = v.GenericSchema> {
  readonly name: string
  /** Kong's priority: plugins of a higher one run earlier. */
  readonly priority: number
  /** Whether Kong has it on services. */
  readonly isForServices: boolean
  /** Whether it answers requests, in Kong's phase `access`; else it only sees their end. */
  readonly isAnswering: boolean
  /** The fields of `config` in this package's names. */
  readonly schema: S
  /** The description of `config`, as Kong has it. */
  readonly field: KongField
  /** The options, but for certificates and for brokers that the plugin does not name. */
  optionsOf(fields: v.InferOutput<S>, id: string): KafkaPluginOptions
}

function kafkaPlugin<S extends v.GenericSchema>(
  plugin: Omit<KafkaPlugin<S>, 'field'>,
): KafkaPlugin {
  const fields = describeFields(plugin.schema, {}, renameKey)
  const field: KongField = { type: 'record', required: true, fields }
  return { ...plugin, field } as unknown as KafkaPlugin
}

/**
 * The consumer group of a plugin with `consumer_group.mode` `random`, and of clients without a name
 * with `kong_consumer`.
 */
export function pluginGroupId(id: string): string {
  return `hono-kafka-consume-${id}`
}

/** The plugins in Kong's order. */
export const KAFKA_PLUGINS: readonly KafkaPlugin[] = [
  kafkaPlugin({
    name: 'confluent-consume',
    priority: 754,
    isForServices: true,
    isAnswering: true,
    schema: confluentConsumeSchema,
    optionsOf: ({ keepalive: _, keepaliveEnabled, timeout, ...fields }, id) =>
      consumeOptions(withoutCloud(fields), id),
  }),
  kafkaPlugin({
    name: 'kafka-consume',
    priority: 753,
    isForServices: false,
    isAnswering: true,
    schema: kongConsumeSchema,
    optionsOf: (fields, id) => consumeOptions({ ...fields, ...connection(fields) }, id),
  }),
  kafkaPlugin({
    name: 'confluent',
    priority: 752,
    isForServices: true,
    isAnswering: true,
    schema: confluentSchema,
    optionsOf: (fields) => ({
      middleware: 'kafkaUpstream',
      options: producerOptions(withoutCloud(fields)),
    }),
  }),
  kafkaPlugin({
    name: 'kafka-upstream',
    priority: 751,
    isForServices: true,
    isAnswering: true,
    schema: kongUpstreamSchema,
    optionsOf: (fields) => ({
      middleware: 'kafkaUpstream',
      options: { ...producerOptions(fields), ...connection(fields) },
    }),
  }),
  kafkaPlugin({
    name: 'kafka-log',
    priority: 5,
    isForServices: true,
    isAnswering: false,
    schema: kongLogSchema,
    optionsOf: (fields) => ({
      middleware: 'kafkaLog',
      options: { ...producerOptions(fields), ...connection(fields) },
    }),
  }),
]

const byName = new Map(KAFKA_PLUGINS.map((plugin) => [plugin.name, plugin]))

/** The plugin of a name; undefined for a plugin that does not read or write Kafka. */
export function kafkaPluginOf(name: string): KafkaPlugin | undefined {
  return byName.get(name)
}

type ConsumeFields = Omit<
  v.InferOutput<typeof kongConsumeSchema>,
  'authentication' | 'security' | 'bootstrapServers'
> &
  Pick<KafkaConsumeOptions, 'authentication' | 'security'> & {
    readonly bootstrapServers?: readonly string[] | undefined
  }

function consumeOptions(fields: ConsumeFields, id: string): KafkaPluginOptions {
  const { enforceLatestOffsetReset, autoOffsetReset, consumerGroup, bootstrapServers = [] } = fields
  const { enforceLatestOffsetReset: _, ...options } = fields
  return {
    middleware: 'kafkaConsume',
    options: {
      ...options,
      bootstrapServers,
      // In Kong `latest` is the end only when it is enforced.
      autoOffsetReset: enforceLatestOffsetReset ? autoOffsetReset : 'earliest',
      consumerGroup:
        consumerGroup.mode === 'random'
          ? { mode: 'manual', consumerGroupId: pluginGroupId(id) }
          : consumerGroup,
    },
  }
}

interface ProducerFields {
  readonly bootstrapServers?: readonly string[] | undefined
  readonly keepalive: number
  readonly keepaliveEnabled: boolean
}

/** The fields that have an effect here, apart from those of the connection. */
function producerOptions<T extends ProducerFields>(fields: T) {
  const { keepalive, keepaliveEnabled, bootstrapServers = [], ...options } = fields
  return { ...options, bootstrapServers }
}

type SecuredBy = Pick<KafkaConsumeOptions, 'authentication' | 'security'>

function connection({
  authentication,
  security: { ssl, sslVerify },
}: Pick<v.InferOutput<typeof kongConsumeSchema>, 'authentication' | 'security'>): SecuredBy {
  return { authentication: usedOf(authentication), security: { ssl, sslVerify } }
}

/** Kong allows fields that its strategy and mechanism do not use; the middlewares do not. */
function usedOf({
  strategy,
  mechanism,
  user,
  password,
  tokenauth,
  oauthbearer,
}: v.InferOutput<typeof kongConsumeSchema>['authentication']): AuthenticationOptions {
  if (strategy === undefined) return {}
  if (mechanism === 'OAUTHBEARER') return { strategy, mechanism, oauthbearer }
  return { strategy, mechanism, user, password, tokenauth }
}

type CloudFields = Pick<
  v.InferOutput<typeof confluentSchema>,
  keyof typeof confluentCloud | 'security'
>

/** Fields with a connection in place of those of Confluent Cloud. */
function withoutCloud<T extends CloudFields>(fields: T) {
  const {
    clusterApiKey,
    clusterApiSecret,
    oauthbearer,
    confluentCloudApiKey,
    confluentCloudApiSecret,
    security,
    ...others
  } = fields
  return { ...others, ...cloudConnection(fields) }
}

/** Confluent Cloud: TLS always, and SASL by a token, or else by the key of the cluster. */
function cloudConnection({
  clusterApiKey: user,
  clusterApiSecret: password,
  oauthbearer,
  security: { sslVerify },
}: CloudFields): SecuredBy {
  const sasl = oauthbearer
    ? ({ strategy: 'sasl', mechanism: 'OAUTHBEARER', oauthbearer } as const)
    : ({ strategy: 'sasl', mechanism: 'PLAIN', user, password } as const)
  const isAnonymous = !oauthbearer && user === undefined
  return { authentication: isAnonymous ? {} : sasl, security: { ssl: true, sslVerify } }
}
