/** The options of a schema registry. */
import * as v from 'valibot'
import { flag, list, map, oneOf, record, referenceable, secret, text, whole } from './fields.ts'
import { issueOf, NOT_YET, type OptionError } from './option-errors.ts'

const ttlRange = 'a number of seconds from 0 to 3600 is required'

/** A URL, or a vault reference of Kong's documents. */
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

const oauth2 = v.pipe(
  record({
    tokenEndpoint: v.pipe(address, v.description('URL of the OAuth 2 token endpoint')),
    grantType: v.pipe(
      v.optional(oneOf('client_credentials', 'password'), 'client_credentials'),
      v.description('OAuth 2 grant by which a token is requested'),
    ),
    clientId: v.pipe(
      v.optional(referenceable),
      v.description('Client id. Required with the grant `client_credentials`'),
    ),
    clientSecret: v.pipe(
      v.optional(secret),
      v.description(
        'Client secret. Required with the grant `client_credentials`, unless `authMethod` is `none`',
      ),
    ),
    username: v.pipe(
      v.optional(referenceable),
      v.description('User name. Required with the grant `password`'),
    ),
    password: v.pipe(
      v.optional(secret),
      v.description('Password. Required with the grant `password`'),
    ),
    scopes: v.pipe(v.optional(list(text), ['openid']), v.description('Scopes to request')),
    audience: v.pipe(v.optional(list(text), []), v.description('Audiences to request')),
    tokenHeaders: v.pipe(
      v.optional(map(secret)),
      v.description(
        'Further headers of the token request, by name. `target-sr-cluster` and `Confluent-Identity-Pool-Id` are sent to the registry, too, as Confluent Cloud requires',
      ),
    ),
    tokenPostArgs: v.pipe(
      v.optional(map(secret)),
      v.description('Further form fields of the token request, by name'),
    ),
  }),
  v.title('RegistryOauth2Options'),
  v.description('How a token for the schema registry is requested.'),
)

const oauth2Client = v.pipe(
  record({
    authMethod: v.pipe(
      v.optional(
        oneOf('client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'none'),
        'client_secret_post',
      ),
      v.description('How the client authenticates at the token endpoint'),
    ),
    clientSecretJwtAlg: v.pipe(
      v.optional(oneOf('HS256', 'HS512'), 'HS512'),
      v.description('Algorithm of the JWT of `client_secret_jwt`'),
    ),
    httpProxy: v.pipe(
      v.optional(text),
      v.description("Kong's field for an HTTP proxy: not supported yet, and refused with `oauth2`"),
    ),
    httpProxyAuthorization: v.pipe(
      v.optional(secret),
      v.description("Kong's field for the credentials of `httpProxy`: without effect"),
    ),
    httpVersion: v.pipe(
      v.optional(v.number('a number is required'), 1.1),
      v.description('HTTP version of the token request; only 1.1 is supported'),
    ),
    httpsProxy: v.pipe(
      v.optional(text),
      v.description(
        "Kong's field for an HTTPS proxy: not supported yet, and refused with `oauth2`",
      ),
    ),
    httpsProxyAuthorization: v.pipe(
      v.optional(secret),
      v.description("Kong's field for the credentials of `httpsProxy`: without effect"),
    ),
    keepAlive: v.pipe(
      v.optional(flag, true),
      v.description("Kong's field for keeping connections open: without effect"),
    ),
    noProxy: v.pipe(
      v.optional(text),
      v.description("Kong's field for hosts without a proxy: without effect"),
    ),
    sslVerify: v.pipe(
      v.optional(flag, true),
      v.description('Whether the certificate of the token endpoint is verified'),
    ),
    timeout: v.pipe(
      v.optional(whole('milliseconds', 0, 2 ** 31 - 2), 10_000),
      v.description('Milliseconds that the token endpoint has for its answer'),
    ),
  }),
  v.title('RegistryOauth2ClientOptions'),
  v.description('How the client of the token endpoint behaves.'),
)

const basic = v.pipe(
  record({
    username: v.pipe(referenceable, v.description('User name')),
    password: v.pipe(secret, v.description('Password')),
  }),
  v.title('RegistryBasicOptions'),
  v.description('Basic authentication at the schema registry.'),
)

const registryAuthentication = v.pipe(
  record({
    mode: v.pipe(
      v.optional(oneOf('none', 'basic', 'oauth2'), 'none'),
      v.description('Method of authentication'),
    ),
    basic: v.pipe(
      v.optional(basic),
      v.description('User and password. Required with `mode: "basic"`'),
    ),
    oauth2: v.pipe(
      v.optional(oauth2),
      v.description('Token endpoint and grant. Required with `mode: "oauth2"`'),
    ),
    oauth2Client: v.pipe(
      v.optional(oauth2Client),
      v.description('How the token is requested, with `mode: "oauth2"`'),
    ),
  }),
  v.title('RegistryAuthenticationOptions'),
  v.description('How to authenticate at the schema registry.'),
)

const confluentFields = v.pipe(
  record({
    url: v.pipe(v.optional(address), v.description('URL of the registry. Required')),
    ttl: v.pipe(
      v.optional(v.pipe(v.number(ttlRange), v.minValue(0, ttlRange), v.maxValue(3_600, ttlRange))),
      v.description('Seconds for which a schema is cached; without it for ever'),
    ),
    sslVerify: v.pipe(
      v.optional(flag, true),
      v.description('Whether the certificate of the registry is verified'),
    ),
    authentication: v.pipe(
      v.optional(registryAuthentication, {}),
      v.description('How to authenticate at the registry'),
    ),
  }),
  v.title('ConfluentRegistryOptions'),
  v.description("A schema registry with Confluent's API."),
)

/** Checks what the fields of a registry require of each other. */
function registryRules<T extends RegistryOptions>() {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    if (!dataset.typed || dataset.issues) return
    const missing = missingOf(dataset.value)
    for (const error of missing.length > 0 ? missing : notYetOf(dataset.value)) {
      addIssue(issueOf(dataset.value, error))
    }
  })
}

const confluent = v.pipe(confluentFields, registryRules())

/** The options of a registry with Confluent's API. */
export type RegistryOptions = v.InferOutput<typeof confluentFields>

export const schemaRegistry = v.optional(
  v.pipe(
    record({
      confluent: v.pipe(
        v.optional(confluent),
        v.description("The registry, one with Confluent's API"),
      ),
    }),
    v.title('SchemaRegistryOptions'),
    v.description('Where the schemas of keys and values are.'),
  ),
  {},
)

const subject = v.optional(
  v.pipe(
    record({
      subjectName: v.pipe(v.optional(text), v.description('Subject of the schema. Required')),
      schemaVersion: v.pipe(
        v.optional(
          v.pipe(
            text,
            v.regex(
              /^(?:latest|[1-9]\d{0,8}|\{vault:\/\/[^{}]+\})$/,
              'it must be "latest", or a whole number from 1 as text',
            ),
          ),
        ),
        v.description(
          'Version of the schema: a number as text, or `latest`, which it is by default',
        ),
      ),
    }),
    v.title('RegistrySubjectOptions'),
    v.description('The schema by which keys or values are encoded.'),
    v.forward(
      v.partialCheck(
        [['subjectName'], ['schemaVersion']],
        ({ subjectName, schemaVersion }) =>
          subjectName !== undefined || schemaVersion === undefined,
        'subjectName is required when there is a version',
      ),
      ['subjectName'],
    ),
  ),
)

const producerConfluent = v.pipe(
  record({
    ...confluentFields.entries,
    valueSchema: v.pipe(
      subject,
      v.description('Schema of values; without it they are not encoded'),
    ),
    keySchema: v.pipe(subject, v.description('Schema of keys; without it they are not encoded')),
  }),
  v.title('ProducerConfluentRegistryOptions'),
  v.description("A schema registry with Confluent's API, and the schemas of what is written."),
  registryRules(),
)

/** The schema registry of a producer. */
export const producerRegistry = v.optional(
  v.pipe(
    record({
      confluent: v.pipe(
        v.optional(producerConfluent),
        v.description("The registry, one with Confluent's API"),
      ),
    }),
    v.title('ProducerRegistryOptions'),
    v.description('Where the schemas are by which records are encoded.'),
  ),
  {},
)

function missingOf({ url, authentication }: RegistryOptions): OptionError[] {
  const { mode, basic, oauth2: given, oauth2Client: client } = authentication
  const isOAuth2 = mode === 'oauth2'
  const isPassword = given?.grantType === 'password'
  const hasSecret = !isPassword && client?.authMethod !== 'none'
  const field = (name: string) => ['authentication', 'oauth2', name] as const
  const needed: ReadonlyArray<
    readonly [isMissing: boolean, path: OptionError['path'], when: string]
  > = [
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

function notYetOf({ authentication: { mode, oauth2Client } }: RegistryOptions): OptionError[] {
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
