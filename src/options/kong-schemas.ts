/**
 * The fields of Kong's plugins under our names, with the forms and values that Kong accepts. Only the gateway
 * reads Kong's configuration: an app starts without these schemas.
 */
import * as v from 'valibot'
import { kongAuthentication, kongSecurity } from './authentication.ts'
import { kongBrokers, kongTopics, optionalKongBrokers } from './cluster.ts'
import { confluentCloud, confluentRules, confluentSecurity } from './confluent-cloud.ts'
import { consumeFields, MODES } from './consume-options.ts'
import { flag, oneOf, record } from './fields.ts'
import { logFields } from './log-options.ts'
import { kongConnection, kongSocket, kongTarget } from './producer-options.ts'
import { rules } from './rules.ts'
import { somethingForwarded, upstreamFields } from './upstream-options.ts'

// The order of fields in Kong's schema.
const { messageDeserializer, autoOffsetReset, commitStrategy, clusterName, ...otherConsumeFields } =
  consumeFields
// Kong has a default for it, but refuses null.
const mode = v.pipe(v.optional(oneOf(...MODES), 'http-get'), v.metadata({ required: true }))

/** The plugin `kafka-consume`. The options of `kafkaConsume` have its fields, too, and more. */
export const kongConsumeSchema = v.pipe(
  record({
    bootstrapServers: kongBrokers,
    topics: kongTopics,
    mode,
    messageDeserializer,
    autoOffsetReset,
    enforceLatestOffsetReset: v.optional(flag, false),
    commitStrategy,
    clusterName,
    authentication: kongAuthentication,
    security: kongSecurity,
    ...otherConsumeFields,
  }),
  rules(),
)

/** The plugin `confluent-consume`. */
export const confluentConsumeSchema = v.pipe(
  record({
    bootstrapServers: optionalKongBrokers,
    topics: kongTopics,
    mode,
    messageDeserializer,
    autoOffsetReset: v.optional(autoOffsetReset.wrapped, 'earliest'),
    enforceLatestOffsetReset: v.optional(flag, false),
    commitStrategy,
    clusterName,
    ...kongSocket,
    ...confluentCloud,
    security: confluentSecurity,
    ...otherConsumeFields,
  }),
  rules(),
  confluentRules(),
)

const FORWARDED = 'forward_method, forward_uri, forward_headers, forward_body'

/** The plugin `kafka-upstream`. */
export const kongUpstreamSchema = v.pipe(
  record({ ...kongTarget, ...kongConnection, ...upstreamFields }),
  rules(),
  somethingForwarded(FORWARDED),
)

/** The plugin `confluent`. */
export const confluentSchema = v.pipe(
  record({ ...kongTarget, ...confluentCloud, security: confluentSecurity, ...upstreamFields }),
  confluentRules(),
  somethingForwarded(FORWARDED),
)

/** The plugin `kafka-log`. */
export const kongLogSchema = v.pipe(
  record({ ...kongTarget, ...kongConnection, ...logFields }),
  rules(),
)
