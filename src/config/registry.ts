/** Where the schemas of messages are. */
import * as v from 'valibot'
import { flag, list, map, oneOf, record, secret, text, whole } from './fields.ts'
import { issueOf, NOT_YET, type Problem } from './problems.ts'

const ttlRange = 'a number of seconds from 0 to 3600 is required'

/** Kong's documents may say where a value is kept instead. */
const address = v.pipe(
  text,
  v.check(
    (given) => given === '' || given.startsWith('{vault://') || isAddress(given),
    'an http or https URL without a user in it is required',
  ),
)

function isAddress(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.username === ''
}

const oauth2 = record({
  tokenEndpoint: address,
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

const confluentFields = record({
  url: v.optional(address),
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

const confluent = v.pipe(
  confluentFields,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || dataset.issues) return
    const missing = missingOf(dataset.value)
    for (const problem of missing.length > 0 ? missing : notYetOf(dataset.value)) {
      addIssue(issueOf(dataset.value, problem))
    }
  }),
)

/** How a registry of Confluent's API is reached. */
export type RegistryOptions = v.InferOutput<typeof confluentFields>

export const schemaRegistry = v.optional(record({ confluent: v.optional(confluent) }), {})

function missingOf({ url, authentication }: RegistryOptions): Problem[] {
  const { mode, basic, oauth2: given, oauth2Client: client } = authentication
  const isOAuth2 = mode === 'oauth2'
  const isPassword = given?.grantType === 'password'
  const hasSecret = !isPassword && client?.authMethod !== 'none'
  const field = (name: string) => ['authentication', 'oauth2', name] as const
  const needed: ReadonlyArray<readonly [isMissing: boolean, path: Problem['path'], when: string]> =
    [
      [url === undefined, ['url'], 'a schema registry is used'],
      [mode === 'basic' && !basic, ['authentication', 'basic'], 'the mode is "basic"'],
      [isOAuth2 && !given, ['authentication', 'oauth2'], 'the mode is "oauth2"'],
    ]
  const ofGrant: typeof needed =
    isOAuth2 && given
      ? [
          [!isPassword && !given.clientId, field('clientId'), 'the grant is of client credentials'],
          [hasSecret && !given.clientSecret, field('clientSecret'), 'the client has one'],
          [isPassword && !given.username, field('username'), 'the grant is of a password'],
          [isPassword && !given.password, field('password'), 'the grant is of a password'],
        ]
      : []
  return [...needed, ...ofGrant]
    .filter(([isMissing]) => isMissing)
    .map(([, path, when]) => ({
      path,
      message: `${path.at(-1)} is required when ${when}`,
      isMissing: true,
    }))
}

function notYetOf({ authentication: { mode, oauth2Client } }: RegistryOptions): Problem[] {
  if (mode !== 'oauth2' || !oauth2Client) return []
  const { httpProxy, httpsProxy, httpVersion } = oauth2Client
  const given: ReadonlyArray<readonly [isGiven: boolean, name: string]> = [
    [httpProxy !== undefined, 'httpProxy'],
    [httpsProxy !== undefined, 'httpsProxy'],
    [httpVersion !== 1.1, 'httpVersion'],
  ]
  return given
    .filter(([isGiven]) => isGiven)
    .map(([, name]) => ({ path: ['authentication', 'oauth2Client', name], message: NOT_YET }))
}
