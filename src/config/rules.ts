/** What holds between fields, and what is understood but does not work yet. */
import * as v from 'valibot'
import { issueOf, NOT_YET, type Problem } from './problems.ts'

/** The fields that the rules are about. */
interface Ruled {
  readonly authentication: {
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
    readonly ca?: unknown
    readonly certificate?: unknown
    readonly key?: unknown
  }
  readonly topics?: ReadonlyArray<{ readonly name: string }>
  readonly enableDlq?: boolean | undefined
  readonly dlqTopic?: string | undefined
  /** Absent where nothing is read. */
  readonly consumerGroup?: {
    readonly mode: string
    readonly consumerGroupId?: string | undefined
  }
}

type Path = Problem['path']

/**
 * The rules between fields, to stand behind the schema of them. What does not work yet is told
 * where nothing else is wrong: it does not help to mend it first.
 */
export function rules<T extends Ruled>() {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const missing = missingOf(dataset.value)
    const isWrong = dataset.issues !== undefined || missing.length > 0
    const others = [...loopsOf(dataset.value), ...notYetOf(dataset.value)]
    for (const problem of isWrong ? missing : others) {
      addIssue(issueOf(dataset.value, problem))
    }
  })
}

/**
 * What nothing would use. Kong lets it stand; but who gives a password and no strategy takes
 * connections for secured that are not.
 */
export function unused<T extends Ruled>() {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    for (const problem of unusedOf(dataset.value)) addIssue(issueOf(dataset.value, problem))
  })
}

function unusedOf({ authentication, security, consumerGroup }: Ruled): Problem[] {
  const { strategy, mechanism, user, password, oauthbearer } = authentication
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
    [
      isUnnamed || !hasToken,
      ['authentication', 'oauthbearer'],
      oauthbearer,
      'the mechanism is "OAUTHBEARER"',
    ],
    [!security.ssl, ['security', 'ca'], security.ca, 'ssl is true'],
    [!security.ssl, ['security', 'certificate'], security.certificate, 'ssl is true'],
    [!security.ssl, ['security', 'key'], security.key, 'ssl is true'],
  ]
  return given
    .filter(([isUnused, , value]) => isUnused && value !== undefined)
    .map(([, path, , when]) => ({ path, message: `${path.at(-1)} is of use when ${when} only` }))
}

/** Fields that others make necessary. */
function missingOf(options: Ruled): Problem[] {
  const { authentication, security, consumerGroup, enableDlq, dlqTopic } = options
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

/** A dead letter that is read again would be one again, for ever. */
function loopsOf({ topics, enableDlq, dlqTopic }: Ruled): Problem[] {
  if (!enableDlq || dlqTopic === undefined) return []
  if (!topics?.some(({ name }) => name === dlqTopic)) return []
  return [{ path: ['dlqTopic'], message: 'it must not be one of the topics that are read' }]
}

function notYetOf(options: Ruled): Problem[] {
  const { authentication } = options
  const { strategy, tokenauth } = authentication
  const given: ReadonlyArray<readonly [isGiven: boolean, path: Path, name?: string]> = [
    // librdkafka sends no extensions of SCRAM, and Kafka takes no delegation token without one.
    [strategy === 'sasl' && tokenauth === true, ['authentication', 'tokenauth']],
  ]
  return given
    .filter(([isGiven]) => isGiven)
    .map(([, path, name]) => ({ path, message: name ? `${name} is ${NOT_YET}` : NOT_YET }))
}
