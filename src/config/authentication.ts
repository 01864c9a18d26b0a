/** How Kafka is to know us, and we it. */
import * as v from 'valibot'
import { flag, list, map, oneOf, record, secret, text } from './fields.ts'

export const authentication = v.optional(
  record({
    strategy: v.optional(oneOf('sasl')),
    mechanism: v.optional(oneOf('PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER')),
    user: v.optional(secret),
    password: v.optional(secret),
    tokenauth: v.optional(flag),
    oauthbearer: v.optional(
      record({
        tokenEndpointUrl: v.optional(text),
        clientId: v.optional(text),
        clientSecret: v.optional(secret),
        scopes: v.optional(list(text)),
        extensions: v.optional(map(text)),
        tokenEndpointTlsVerify: v.optional(flag, true),
      }),
    ),
  }),
  {},
)

export const security = v.optional(
  record({
    ssl: v.optional(flag),
    certificateId: v.optional(v.pipe(text, v.uuid('it must be a UUID'))),
    sslVerify: v.optional(flag, true),
  }),
  {},
)
