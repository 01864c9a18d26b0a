/** The option `librdkafka`: properties that are passed on unchanged. */
import * as v from 'valibot'

/** Properties that our options set, by name or prefix, with the option that sets each. */
const OURS: ReadonlyArray<readonly [name: RegExp, option: string]> = [
  [/^(?:bootstrap\.servers|metadata\.broker\.list)$/, 'bootstrapServers'],
  [/^group\.(?:id|instance\.id|protocol|remote\.assignor)$/, 'consumerGroup'],
  [/^(?:enable\.auto\.commit|auto\.commit\.|enable\.auto\.offset\.store$)/, 'commitStrategy'],
  [/^auto\.offset\.reset$/, 'autoOffsetReset'],
  [/^security\.protocol$/, 'security.ssl and authentication.strategy'],
  [
    /^sasl\.(?:mechanisms?|username|password|scram\.|oauthbearer\.)|^enable\.sasl\./,
    'authentication',
  ],
  [/^enable\.ssl\.certificate\.verification$|^ssl\.endpoint\./, 'security.sslVerify'],
  [/^ssl\.ca\./, 'security.ca'],
  [/^ssl\.(?:certificate|key)\.(?:location|pem)$/, 'security.certificate and security.key'],
]

/** Properties on which reading, writing or metrics depend: another value would lose or duplicate records. */
const FIXED = new RegExp(
  [
    'enable\\.partition\\.eof$',
    'partition\\.assignment\\.strategy$',
    'isolation\\.level$',
    'allow\\.auto\\.create\\.topics$',
    'statistics\\.interval\\.ms$',
    'enable\\.idempotence$',
    '(?:request\\.required\\.)?acks$',
    'transactional\\.id$',
    'partitioner$',
    'default_topic_conf$',
    'opaque$',
    '(?:event|dr)_',
    '.*_cb$',
  ]
    .map((name) => `^${name}`)
    .join('|'),
)

function refusal(name: string): string | undefined {
  const option = OURS.find(([names]) => names.test(name))?.[1]
  if (option !== undefined) return `"${name}" is set by ${option}`
  return FIXED.test(name) ? `"${name}" cannot be set: reading rests on its value` : undefined
}

export const librdkafka = v.pipe(
  v.optional(
    v.pipe(
      v.record(
        v.string(),
        v.union(
          [v.string(), v.number(), v.boolean()],
          'text, a number or true or false is required',
        ),
        'an object is required: properties of librdkafka by name',
      ),
      v.rawCheck(({ dataset, addIssue }) => {
        if (!dataset.typed) return
        for (const name of Object.keys(dataset.value)) {
          const message = refusal(name)
          if (message !== undefined) addIssue({ message })
        }
      }),
    ),
  ),
  v.description(
    'Further properties of librdkafka, by name. Those that other options set are refused, and so are those that reading and writing depend on',
  ),
)
