/**
 * The types of fields in Kong's schemas, as schemas of valibot with Kong's messages. A missing or
 * null value of a required field is reported by `fieldErrors`, so that no message here covers it.
 */
import * as v from 'valibot'
import { isJsonObject } from '../../core/json-object.ts'
import { normalizePath } from './normalize-path.ts'
import { compilePathPattern } from './path-pattern.ts'

export const boolean = v.boolean('expected a boolean')
export const string = v.string('expected a string')

export function integer(min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER) {
  const range = `value should be between ${min} and ${max}`
  return v.pipe(
    v.number('expected an integer'),
    v.integer('expected an integer'),
    v.minValue(min, range),
    v.maxValue(max, range),
  )
}

export function number(min = -Infinity, max = Infinity) {
  const range = `value should be between ${min} and ${max}`
  return v.pipe(v.number('expected a number'), v.minValue(min, range), v.maxValue(max, range))
}

export const positive = v.pipe(
  v.number('expected a number'),
  v.gtValue(0, 'value must be greater than 0'),
)

/** A secret text: the Admin API answers `***` in its place. */
export const secret = v.pipe(
  string,
  v.minLength(1, 'length must be at least 1'),
  v.metadata({ secret: true }),
)

export function oneOf<const T extends string | number>(...values: readonly T[]) {
  return v.picklist(values, `expected one of: ${values.join(', ')}`)
}

export function array<T extends v.GenericSchema>(elements: T) {
  return v.array(elements, 'expected an array')
}

/** An array without repeated elements, which Kong calls a set. */
export function set<T extends v.GenericSchema<string>>(elements: T) {
  return v.pipe(
    v.array(elements, 'expected a set'),
    v.transform((values) => [...new Set(values)]),
  )
}

/** A record that may have these fields only. */
export function record<const T extends v.ObjectEntries>(entries: T) {
  return v.strictObject(entries, 'expected a record')
}

/** A field that may be missing or null. */
export function optional<T extends v.GenericSchema>(schema: T) {
  return v.optional(v.nullable(schema), null)
}

/**
 * A field of Kong that this gateway does not support: only null and an empty array are accepted. It
 * is shown as it was given, so that a client that compares the two finds no change.
 *
 * @param isOff Tells which records leave the feature off. Default: none, any record is refused.
 */
export function unserved(
  message: string,
  isOff: (value: Readonly<Record<string, unknown>>) => boolean = () => false,
) {
  return v.pipe(
    v.optional(v.unknown(), null),
    v.check((value) => {
      if (Array.isArray(value)) return value.every((each) => isJsonObject(each) && isOff(each))
      return value === null || (isJsonObject(value) && isOff(value))
    }, message),
  )
}

/** A field of Kong of which one value is supported, its default. */
export function only<T extends v.GenericSchema>(schema: T, value: v.InferInput<T>) {
  return v.pipe(
    v.optional(schema, value as v.Default<T, undefined>),
    v.check(
      (given) => given === value,
      ({ input }) => `${input} is not supported by this gateway`,
    ),
  )
}

/** The address of a server that this gateway does not use: it must not name a host. */
export function withoutHost(message: string) {
  return unserved(message, ({ host }) => host === undefined || host === null)
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export function isUuid(text: string): boolean {
  return UUID.test(text)
}

export const uuid = v.pipe(string, v.check(isUuid, 'expected a valid UUID'))
export const timestamp = integer(0)

export const name = v.pipe(
  string,
  v.regex(
    /^[\w.\-~\u{80}-\u{10ffff}]+$/u,
    ({ input }) =>
      `invalid value '${input}': the only accepted ascii characters are alphanumerics or ., -, _, and ~`,
  ),
)

export const tags = set(
  v.pipe(
    string,
    v.regex(
      /^[ !-+\-.0-~\u{80}-\u{10ffff}]+$/u,
      ({ input }) =>
        `invalid tag '${input}': expected printable ascii (except \`,\` and \`/\`) or valid utf-8 sequences`,
    ),
  ),
)

/** A reference by id. Clients such as decK send the name of the entity beside it. */
export const reference = v.pipe(
  record({ id: uuid, name: optional(string), username: optional(string) }),
  v.transform(({ id }) => ({ id })),
)

/** Labels of letters, digits, `-` and `_`, in 253 characters at most. */
const SERVER_NAME = /^(?=.{1,253}$)[\w-]{1,63}(?:\.[\w-]{1,63})*$/

/** Labels of letters, digits, `-` and, as in Kong, `_`; or an IP address; perhaps with a port. */
const HOST =
  /^(?:[\w-]+(?:\.[\w-]+)*\.?|\[[0-9a-fA-F:.]+\]|[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F.]*)$/
const HOST_WITH_PORT = /^(?:[\w-]+(?:\.[\w-]+)*\.?|\[[0-9a-fA-F:.]+\])(?::(\d{1,5}))?$/

export const host = v.pipe(
  string,
  v.regex(HOST, ({ input }) =>
    HOST_WITH_PORT.test(input) ? 'must not have a port' : `invalid value: ${input}`,
  ),
)

/** A host that a route matches. It may have one `*`, as its whole first or last label. */
export const routeHost = v.pipe(
  string,
  v.regex(/^[^*]*\*?[^*]*$/, 'invalid wildcard: must have at most one wildcard'),
  v.regex(
    /^\*\.|\.\*(?::\d+)?$|^[^*]*$/,
    'invalid wildcard: must be placed at leftmost or rightmost label',
  ),
  v.check(
    (text) => {
      const match = HOST_WITH_PORT.exec(text.replace('*', 'abc'))
      return match !== null && Number(match[1] ?? 0) <= 65_535
    },
    ({ input }) => `invalid hostname: ${input}`,
  ),
)

/** A host name of TLS that a route matches. */
export const routeSni = v.pipe(
  routeHost,
  v.check((text) => !/:\d*$|^\[|^\d+(?:\.\d+){3}$/.test(text), 'must be a name without a port'),
)

/** A host name of TLS: `*` alone, or as a whole label at either end. */
export const serverName = v.pipe(
  string,
  v.regex(/^[^*]*\*?[^*]*$/, 'only one wildcard must be specified'),
  v.regex(/^\*$|^\*\.|\.\*$|^[^*]*$/, 'wildcard must be leftmost or rightmost character'),
  v.check((text) => !/^\[|:.*:|^\d+(?:\.\d+){3}$/.test(text), 'must not be an IP'),
  v.check((text) => !/:\d*$/.test(text), 'must not have a port'),
  v.check(
    (text) => SERVER_NAME.test(text.replace('*', 'abc')),
    ({ input }) => `invalid value: ${input}`,
  ),
)

/** RFC 3986: unreserved, sub-delims, `:`, `@`, `/` and percent-encoded. */
const PATH = /^\/[\w.\-~/%:@!$&'()*+,;=]*$/

function hasOnlyPathCharacters({ input }: { readonly input: string }): string {
  return `invalid path: '${input}' (characters outside of the reserved list of RFC 3986 found)`
}

const noEmptySegments = v.check(
  (text: string) => !text.includes('//'),
  'must not have empty segments',
)

export const path = v.pipe(
  string,
  v.startsWith('/', 'should start with: /'),
  noEmptySegments,
  v.regex(PATH, hasOnlyPathCharacters),
)

/** A prefix, or a regular expression after `~`. */
export const routePath = v.pipe(
  string,
  v.regex(/^~?\//, 'should start with: / (fixed path) or ~/ (regex path)'),
  noEmptySegments,
  v.check((text) => text.startsWith('~') || PATH.test(text), hasOnlyPathCharacters),
  v.check(
    (text) => text.startsWith('~') || !/%(?![0-9a-fA-F]{2})/.test(text),
    ({ input }) => `invalid url-encoded value: '${/%(?![0-9a-fA-F]{2}).{0,2}/.exec(input)?.[0]}'`,
  ),
  v.check(
    (text) => text.startsWith('~') || normalizePath(text) === text,
    ({ input }) => `non-normalized path, consider use '${normalizePath(input)}' instead`,
  ),
  v.check(
    (text) => !text.startsWith('~') || compilePathPattern(text.slice(1)).error === undefined,
    ({ input }) => compilePathPattern(input.slice(1)).error ?? '',
  ),
)

export const method = v.pipe(
  string,
  v.regex(/^[A-Z]+$/, ({ input }) => `invalid value: ${input}`),
)

export const headerName = v.pipe(
  string,
  v.regex(
    /^[\w-]+$/,
    ({ input }) => `bad header name '${input}', allowed characters are A-Z, a-z, 0-9, '_', and '-'`,
  ),
  v.check(
    (text) => text.toLowerCase() !== 'host',
    "cannot contain 'host' header, which must be specified in the 'hosts' attribute",
  ),
)

/** `{vault://env/NAME}`: a reference to a secret. */
const VAULT_REFERENCE = /^\{vault:\/\/[^{}]+\}$/

/**
 * PEM text whose first block has one of these labels; or a vault reference; or the mask of a secret.
 */
export function pem(labels: RegExp, what: string, mask?: string) {
  return v.pipe(
    string,
    v.check((text) => {
      if (text === mask || VAULT_REFERENCE.test(text)) return true
      const match = /^\s*-----BEGIN ([A-Z ]+)-----\s+([\s\S]+?)\s+-----END \1-----/.exec(text)
      return match !== null && labels.test(match[1] ?? '')
    }, `invalid ${what}: PEM is expected`),
  )
}
