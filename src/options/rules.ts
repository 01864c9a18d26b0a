/** Rules between fields: which fields others require, and which do not go together. */
import * as v from 'valibot'
import { issueOf, type OptionError } from './option-errors.ts'

/** The fields that the rules read. */
interface RuledFields {
  /** Absent in the fields of plugins for Confluent Cloud. */
  readonly authentication?: {
    readonly strategy?: string | undefined
    readonly mechanism?: string | undefined
    readonly user?: string | undefined
    readonly password?: unknown
    readonly tokenauth?: boolean | undefined
    readonly oauthbearer?:
      | {
          readonly tokenEndpointUrl?: string | undefined
          readonly clientId?: string | undefined
          readonly clientSecret?: unknown
        }
      | undefined
  }
  readonly security: {
    readonly ssl?: boolean | undefined
    readonly sslVerify?: boolean | undefined
    readonly ca?: unknown
    readonly certificate?: unknown
    readonly key?: unknown
  }
  readonly topics?: ReadonlyArray<{ readonly name: string }>
  readonly enableDlq?: boolean | undefined
  readonly dlqTopic?: string | undefined
  /** Absent in the options of `kafkaProduce`. */
  readonly consumerGroup?: {
    readonly mode: string
    readonly consumerGroupId?: string | undefined
  }
}

type Path = OptionError['path']

/**
 * The rules between fields, for the pipe behind their schema. Fields that do not go together are
 * reported only where nothing else is wrong, since other corrections may resolve that.
 */
export function rules<T extends RuledFields>() {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const missing = missingOf(dataset.value)
    const isWrong = dataset.issues !== undefined || missing.length > 0
    for (const error of isWrong ? missing : clashesOf(dataset.value)) {
      addIssue(issueOf(dataset.value, error))
    }
  })
}

/**
 * Refuses fields without effect. Kong accepts them; but a user who sets a password without a strategy
 * would believe that connections are secured.
 */
export function unused<T extends RuledFields>() {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    for (const error of unusedOf(dataset.value)) addIssue(issueOf(dataset.value, error))
  })
}

function unusedOf({ authentication = {}, security, consumerGroup }: RuledFields): OptionError[] {
  const { strategy, mechanism, user, password, tokenauth, oauthbearer } = authentication
  const isUnnamed = strategy === undefined
  const hasToken = mechanism === 'OAUTHBEARER'
  const given: ReadonlyArray<
    readonly [isUnused: boolean, path: Path, value: unknown, when: string]
  > = [
    [
      consumerGroup?.mode !== 'manual',
      ['consumerGroup', 'consumerGroupId'],
      consumerGroup?.consumerGroupId,
      'the mode is "manual"',
    ],
    [isUnnamed, ['authentication', 'mechanism'], mechanism, 'the strategy is "sasl"'],
    [isUnnamed || hasToken, ['authentication', 'user'], user, 'SASL is PLAIN or SCRAM'],
    [isUnnamed || hasToken, ['authentication', 'password'], password, 'SASL is PLAIN or SCRAM'],
    [isUnnamed, ['authentication', 'tokenauth'], tokenauth, 'the strategy is "sasl"'],
    [
      isUnnamed || !hasToken,
      ['authentication', 'oauthbearer'],
      oauthbearer,
      'the mechanism is "OAUTHBEARER"',
    ],
    [
      !security.ssl && !hasToken,
      ['security', 'ca'],
      security.ca,
      'ssl is true, or with the mechanism "OAUTHBEARER",',
    ],
    [!security.ssl, ['security', 'certificate'], security.certificate, 'ssl is true'],
    [!security.ssl, ['security', 'key'], security.key, 'ssl is true'],
  ]
  return given
    .filter(([isUnused, , value]) => isUnused && value !== undefined)
    .map(([, path, , when]) => ({ path, message: `${path.at(-1)} is of use when ${when} only` }))
}

/** Fields that other fields require, and that are missing. */
function missingOf(options: RuledFields): OptionError[] {
  const { authentication = {}, security, consumerGroup, enableDlq, dlqTopic } = options
  const { strategy, mechanism, user, password, oauthbearer } = authentication
  const hasToken = strategy === 'sasl' && mechanism === 'OAUTHBEARER'
  const inToken = ['authentication', 'oauthbearer'] as const
  const { tokenEndpointUrl, clientId, clientSecret } = oauthbearer ?? {}
  const hasUser = strategy === 'sasl' && mechanism !== 'OAUTHBEARER'
  const needed: ReadonlyArray<readonly [isMissing: boolean, path: Path, when: string]> = [
    [
      strategy === 'sasl' && mechanism === undefined,
      ['authentication', 'mechanism'],
      'the strategy is "sasl"',
    ],
    [hasUser && user === undefined, ['authentication', 'user'], 'SASL is PLAIN or SCRAM'],
    [hasUser && password === undefined, ['authentication', 'password'], 'SASL is PLAIN or SCRAM'],
    [hasToken && !oauthbearer, inToken, 'SASL is OAUTHBEARER'],
    ...(
      [
        ['tokenEndpointUrl', tokenEndpointUrl],
        ['clientId', clientId],
        ['clientSecret', clientSecret],
      ] as const
    ).map(
      ([name, value]) =>
        [
          hasToken && oauthbearer !== undefined && value === undefined,
          [...inToken, name],
          'SASL is OAUTHBEARER',
        ] as const,
    ),
    [
      security.certificate !== undefined && security.key === undefined,
      ['security', 'key'],
      'there is a certificate',
    ],
    [
      security.key !== undefined && security.certificate === undefined,
      ['security', 'certificate'],
      'there is a key',
    ],
    [
      consumerGroup?.mode === 'manual' && consumerGroup.consumerGroupId === undefined,
      ['consumerGroup', 'consumerGroupId'],
      'the mode is "manual"',
    ],
    [enableDlq === true && dlqTopic === undefined, ['dlqTopic'], 'enableDlq is true'],
  ]
  return needed
    .filter(([isMissing]) => isMissing)
    .map(([, path, when]) => ({
      path,
      message: `${path.at(-1)} is required when ${when}`,
      isMissing: true,
    }))
}

/** Fields that do not go together. */
function clashesOf({
  authentication = {},
  topics,
  enableDlq,
  dlqTopic,
}: RuledFields): OptionError[] {
  const { strategy, mechanism, tokenauth } = authentication
  const isScram = mechanism?.startsWith('SCRAM-')
  const isLoop = enableDlq === true && topics?.some(({ name }) => name === dlqTopic)
  const given: ReadonlyArray<readonly [isGiven: boolean | undefined, path: Path, message: string]> =
    [
      [
        strategy === 'sasl' && tokenauth && !isScram,
        ['authentication', 'tokenauth'],
        'Kafka takes delegation tokens by "SCRAM-SHA-256" and "SCRAM-SHA-512" only',
      ],
      // A dead letter that is read again would become a dead letter again, for ever.
      [isLoop, ['dlqTopic'], 'it must not be one of the topics that are read'],
    ]
  return given.filter(([isGiven]) => isGiven).map(([, path, message]) => ({ path, message }))
}
