/** How Kafka is to know us, and we it. */
import * as v from 'valibot'
import { flag, list, map, oneOf, record, secret, text } from './fields.ts'

/** A path is no part of the schema's messages: what is given may be the secret itself. */
const file = record({ file: text })

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

/** RFC 7628, 3.1: a name has letters only, and `auth` is the token itself. */
const EXTENSIONS =
  'names of letters only, but not "auth", are required, and values without control characters'

const extensions = v.pipe(
  map(text),
  v.check(
    (extensions) =>
      Object.entries(extensions).every(
        ([name, value]) =>
          // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
          /^(?!auth$)[A-Za-z]+$/.test(name) && !/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(value),
      ),
    EXTENSIONS,
  ),
)

/** What differs between Kong's schema, which looks at types only, and ours. */
interface Forms {
  readonly secret: v.GenericSchema<string | { file: string }>
  readonly url: v.GenericSchema<string>
  readonly extensions: v.GenericSchema<Record<string, string>>
}

function authenticationBy<const T extends Forms>({ secret: password, url, extensions }: T) {
  return record({
    strategy: v.optional(oneOf('sasl')),
    mechanism: v.optional(oneOf('PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER')),
    user: v.optional(secret),
    password: v.optional(password),
    tokenauth: v.optional(flag),
    oauthbearer: v.optional(
      record({
        tokenEndpointUrl: v.optional(url),
        clientId: v.optional(text),
        clientSecret: v.optional(password),
        scopes: v.optional(list(text)),
        extensions: v.optional(extensions),
        tokenEndpointTlsVerify: v.optional(flag, true),
      }),
    ),
  })
}

export const authentication = v.optional(
  authenticationBy({ secret: secretOrFile, url: tokenEndpoint, extensions }),
  {},
)
/** As Kong has it: a secret is text. */
export const kongAuthentication = v.optional(
  authenticationBy({ secret, url: text, extensions: map(text) }),
  {},
)

const ssl = v.optional(flag)
const sslVerify = v.optional(flag, true)

export const security = v.optional(
  record({
    ssl,
    sslVerify,
    ca: v.optional(pem),
    certificate: v.optional(pem),
    key: v.optional(pem),
  }),
  {},
)

/** As Kong has it: certificates are entities of their own. */
export const kongSecurity = v.optional(
  record({
    ssl,
    certificateId: v.optional(v.pipe(text, v.uuid('it must be a UUID'))),
    sslVerify,
  }),
  {},
)
