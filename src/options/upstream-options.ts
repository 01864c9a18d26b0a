/** The options of `kafkaUpstream`. */
import * as v from 'valibot'
import { topicName } from './cluster.ts'
import { errorHandling } from './error-handling.ts'
import { flag, list, map, oneOf, record, text } from './fields.ts'
import { luaFunction } from './lua-syntax.ts'
import type { KafkaUpstreamOptions } from './option-types.ts'
import { producerFields, targetOptions } from './producer-options.ts'
import { resolveBy } from './resolve.ts'
import { rules, unused } from './rules.ts'

const headers = v.pipe(
  record({
    forwardHttpHeadersAsRecordHeaders: v.pipe(
      v.optional(flag, true),
      v.description('Whether headers of requests become headers of records at all'),
    ),
    forwardAllByDefault: v.pipe(
      v.optional(flag, false),
      v.description('`true`: all headers but `excludeHeaders`; `false`: only `includeHeaders`'),
    ),
    includeHeaders: v.pipe(
      v.optional(list(text), []),
      v.description('Names of the headers that become headers of records'),
    ),
    excludeHeaders: v.pipe(
      v.optional(list(text), []),
      v.description('Names of the headers that do not, with `forwardAllByDefault`'),
    ),
    nameMappings: v.pipe(
      v.optional(map(text), {}),
      v.description("From a header's name in the request to its name in the record"),
    ),
    repeatedHeadersBehavior: v.pipe(
      v.optional(
        oneOf('retain_duplicates', 'take_first', 'concatenate_by_comma'),
        'retain_duplicates',
      ),
      v.description(
        'How a repeated header of a request is written: as a header of the record for each value, for the first value, or for all values joined by commas',
      ),
    ),
  }),
  v.title('RecordHeadersOptions'),
  v.description('Which headers of a request become headers of its records.'),
)

/** Fields that Kong's plugin has, too, in an equal form. */
export const upstreamFields = {
  topicsQueryArg: v.pipe(
    v.optional(text),
    v.description(
      'Name of the query parameter by which a request names its topics, separated by commas; without it, or without the parameter, records go to `topic`',
    ),
  ),
  allowedTopics: v.pipe(
    v.optional(list(topicName)),
    v.description('Topics that requests may name, besides `topic`'),
  ),
  ...producerFields,
  forwardMethod: v.pipe(
    v.optional(flag, false),
    v.description("Whether values have the request's method"),
  ),
  forwardUri: v.pipe(
    v.optional(flag, false),
    v.description("Whether values have the request's path and query"),
  ),
  forwardHeaders: v.pipe(
    v.optional(flag, false),
    v.description("Whether values have the request's headers"),
  ),
  forwardBody: v.pipe(
    v.optional(flag, true),
    v.description("Whether values have the request's body"),
  ),
  headers: v.pipe(
    v.optional(headers, {}),
    v.description('Which headers of a request become headers of its records; none by default'),
  ),
  messageByLuaFunctions: v.pipe(
    v.optional(list(luaFunction)),
    v.description(
      'Lua functions, `return function(message) … end`, called in turn: each returns the message, changed or not, or what is sent in its place, or nil to send nothing',
    ),
  ),
  errorHandling,
}

interface Forwarding {
  readonly forwardMethod: boolean
  readonly forwardUri: boolean
  readonly forwardHeaders: boolean
  readonly forwardBody: boolean
}

/** @param names The fields as the message names them. */
export function somethingForwarded<T extends Forwarding>(names: string) {
  return v.check<T, string>(
    ({ forwardMethod, forwardUri, forwardHeaders, forwardBody }) =>
      forwardMethod || forwardUri || forwardHeaders || forwardBody,
    `at least one of these attributes must be true: ${names}`,
  )
}

/** The one source of `kafkaUpstream`'s types, defaults, docstrings (`option-types.ts`) and messages. */
export const upstreamSchema = v.pipe(
  v.strictObject({ ...targetOptions, ...upstreamFields }),
  rules(),
  unused(),
  somethingForwarded('forwardMethod, forwardUri, forwardHeaders, forwardBody'),
)

/** The options of `kafkaUpstream` with every default filled in. */
export type ResolvedUpstreamOptions = v.InferOutput<typeof upstreamSchema>

/** @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed. */
export function resolveUpstreamOptions(options: KafkaUpstreamOptions): ResolvedUpstreamOptions {
  return resolveBy(upstreamSchema, options, 'kafkaUpstream')
}
