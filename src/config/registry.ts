/** Where the schemas of messages are. */
import * as v from 'valibot'
import { flag, list, map, oneOf, record, secret, text, whole } from './fields.ts'

const ttlRange = 'a number of seconds from 0 to 3600 is required'

const oauth2 = record({
  tokenEndpoint: text,
  grantType: v.optional(oneOf('client_credentials', 'password'), 'client_credentials'),
  clientId: v.optional(text),
  clientSecret: v.optional(secret),
  username: v.optional(text),
  password: v.optional(secret),
  scopes: v.optional(list(text), ['openid']),
  audience: v.optional(list(text), []),
  tokenHeaders: v.optional(map(secret)),
  tokenPostArgs: v.optional(map(secret)),
})

const oauth2Client = record({
  authMethod: v.optional(
    oneOf('client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'none'),
    'client_secret_post',
  ),
  clientSecretJwtAlg: v.optional(oneOf('HS256', 'HS512'), 'HS512'),
  httpProxy: v.optional(text),
  httpProxyAuthorization: v.optional(secret),
  httpVersion: v.optional(v.number('a number is required'), 1.1),
  httpsProxy: v.optional(text),
  httpsProxyAuthorization: v.optional(secret),
  keepAlive: v.optional(flag, true),
  noProxy: v.optional(text),
  sslVerify: v.optional(flag, true),
  timeout: v.optional(whole('milliseconds', 0, 2 ** 31 - 2), 10_000),
})

const confluent = record({
  url: v.optional(text),
  ttl: v.optional(v.pipe(v.number(ttlRange), v.minValue(0, ttlRange), v.maxValue(3_600, ttlRange))),
  sslVerify: v.optional(flag, true),
  authentication: v.optional(
    record({
      mode: v.optional(oneOf('none', 'basic', 'oauth2'), 'none'),
      basic: v.optional(record({ username: text, password: secret })),
      oauth2: v.optional(oauth2),
      oauth2Client: v.optional(oauth2Client),
    }),
    {},
  ),
})

export const schemaRegistry = v.optional(record({ confluent: v.optional(confluent) }), {})
