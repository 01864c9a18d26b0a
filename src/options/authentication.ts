/** The options of SASL and TLS. */
import * as v from 'valibot'
import { flag, list, map, oneOf, record, referenceable, secret, text } from './fields.ts'

/** The messages do not repeat the path, since a user may have put the secret itself there. */
const file = v.pipe(
  record({ file: v.pipe(text, v.description('Path of the file')) }),
  v.title('FileReference'),
  v.description('A file that holds the value. It is read again for each new connection.'),
)

/** A secret, or the file that holds it. */
const secretOrFile = v.union([secret, file], 'text is required, or {file: "path"}')

/** Certificates or a key, or the file that holds them. */
const pem = v.union(
  [
    v.pipe(
      text,
      v.includes(
        '-----BEGIN ',
        'it must be PEM, which begins with "-----BEGIN"; a file is given as {file: "path"}',
      ),
    ),
    file,
  ],
  'PEM text is required, or {file: "path"}',
)

const tokenEndpoint = v.pipe(
  text,
  v.check(
    (url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol),
    'an http or https URL is required',
  ),
)

/** RFC 7628, 3.1: the name of an extension consists of letters; `auth` is reserved for the token. */
const EXTENSIONS =
  'names of letters only, but not "auth", are required, and values without control characters'

const extensions = v.pipe(
  map(text),
  v.check(
    (extensions) =>
      Object.entries(extensions).every(
        ([name, value]) =>
          // biome-ignore lint/suspicious/noControlCharactersInRegex: the rule refuses these characters
          /^(?!auth$)[A-Za-z]+$/.test(name) && !/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(value),
      ),
    EXTENSIONS,
  ),
)

/** The fields that differ between Kong's schema, which checks types only, and ours. */
interface Forms {
  readonly secret: v.GenericSchema<string | { file: string }>
  readonly url: v.GenericSchema<string>
  readonly extensions: v.GenericSchema<Record<string, string>>
}

function oauthBearerBy<const T extends Forms>({ secret, url, extensions }: T) {
  return v.pipe(
    record({
      tokenEndpointUrl: v.pipe(
        v.optional(url),
        v.description('URL of the OAuth 2 token endpoint. Required'),
      ),
      clientId: v.pipe(
        v.optional(referenceable),
        v.description('Client id at the token endpoint. Required'),
      ),
      clientSecret: v.pipe(
        v.optional(secret),
        v.description('Client secret at the token endpoint. Required'),
      ),
      scopes: v.pipe(v.optional(list(text)), v.description('Scopes to request')),
      extensions: v.pipe(
        v.optional(extensions),
        v.description('SASL extensions (RFC 7628) to send to the broker, by name'),
      ),
      tokenEndpointTlsVerify: v.pipe(
        v.optional(flag, true),
        v.description('Whether the certificate of the token endpoint is verified'),
      ),
    }),
    v.title('OauthBearerOptions'),
    v.description('How a token for SASL OAUTHBEARER is requested (client credentials).'),
  )
}

function authenticationBy<const T extends Forms>({ secret: password, url, extensions }: T) {
  return v.pipe(
    record({
      strategy: v.pipe(
        v.optional(oneOf('sasl')),
        v.description('`sasl` authenticates by SASL; without it there is no authentication'),
      ),
      mechanism: v.pipe(
        v.optional(oneOf('PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER')),
        v.description('SASL mechanism. Required with `strategy`'),
      ),
      user: v.pipe(
        v.optional(secret),
        v.description('User name, or id of a delegation token. Required with PLAIN and SCRAM'),
      ),
      password: v.pipe(
        v.optional(password),
        v.description('Password, or HMAC of a delegation token. Required with PLAIN and SCRAM'),
      ),
      tokenauth: v.pipe(
        v.optional(flag),
        v.description(
          'Whether `user` and `password` are those of a delegation token, which needs SCRAM',
        ),
      ),
      oauthbearer: v.pipe(
        v.optional(oauthBearerBy({ secret: password, url, extensions })),
        v.description('Token endpoint and client. Required with `mechanism: "OAUTHBEARER"`'),
      ),
    }),
    v.title('AuthenticationOptions'),
    v.description('How to authenticate at Kafka by SASL.'),
  )
}

export const authentication = v.pipe(
  v.optional(authenticationBy({ secret: secretOrFile, url: tokenEndpoint, extensions }), {}),
  v.description(
    'SASL: `strategy: "sasl"` and a `mechanism`, with `user` and `password`, or with `oauthbearer`. Secrets are text, or `{file}`',
  ),
)
/** Kong's form: a secret is text. */
const kongForms = { secret, url: referenceable, extensions: map(text) }
export const kongAuthentication = v.optional(authenticationBy(kongForms), {})
export const kongOauthBearer = v.optional(oauthBearerBy(kongForms))

const ssl = v.optional(flag)
const sslVerify = v.optional(flag, true)

export const security = v.pipe(
  v.optional(
    v.pipe(
      record({
        ssl: v.pipe(ssl, v.description('Whether to connect by TLS')),
        sslVerify: v.pipe(
          sslVerify,
          v.description("Whether the brokers' certificates and host names are verified"),
        ),
        ca: v.pipe(
          v.optional(pem),
          v.description(
            "Certificates of the authorities by which brokers and token endpoints are verified, as PEM; without it the system's",
          ),
        ),
        certificate: v.pipe(
          v.optional(pem),
          v.description('Client certificate to show to brokers, as PEM. It needs `key`'),
        ),
        key: v.pipe(v.optional(pem), v.description('Private key of `certificate`, as PEM')),
      }),
      v.title('SecurityOptions'),
      v.description('How to connect to Kafka by TLS.'),
    ),
    {},
  ),
  v.description(
    "TLS: `ssl: true`, verified by `ca` or the system's authorities unless `sslVerify` is false; `certificate` and `key` are the client's. Each is PEM text, or `{file}`",
  ),
)

/** Kong's form: certificates are entities of their own. */
export const kongSecurity = v.optional(
  record({
    ssl,
    certificateId: v.optional(v.pipe(text, v.uuid('it must be a UUID'))),
    sslVerify,
  }),
  {},
)
