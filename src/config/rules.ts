/** What holds between fields, and what is understood but does not work yet. */
import * as v from 'valibot'

/** A field that is understood and of no effect yet: it is refused, since it must not be ignored. */
export const NOT_YET = 'not supported yet'

/** The fields that the rules are about. */
interface Ruled {
  readonly authentication: {
    readonly strategy?: string | undefined
    readonly mechanism?: string | undefined
    readonly user?: string | undefined
    readonly password?: string | undefined
  }
  readonly security: {
    readonly ssl?: boolean | undefined
    readonly certificateId?: string | undefined
  }
  readonly schemaRegistry: { readonly confluent?: object | undefined }
  readonly messageByLuaFunctions?: readonly string[] | undefined
  readonly enableDlq?: boolean | undefined
  readonly dlqTopic?: string | undefined
  readonly consumerGroup: {
    readonly mode: string
    readonly consumerGroupId?: string | undefined
  }
}

type Path = readonly [string, ...string[]]

interface Problem {
  readonly path: Path
  readonly message: string
  /** The field is missing, rather than wrong. */
  readonly isMissing?: true
}

/**
 * The rules between fields, to stand behind the schema of them. What does not work yet is told
 * where nothing else is wrong: it does not help to mend it first.
 */
export function rules<T extends Ruled>() {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const missing = missingOf(dataset.value)
    const isWrong = dataset.issues !== undefined || missing.length > 0
    for (const problem of isWrong ? missing : notYetOf(dataset.value)) {
      addIssue(issueOf(dataset.value, problem))
    }
  })
}

/** A group's id that nothing would use. Kong lets it stand. */
export function unusedGroupId<T extends Ruled>() {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const { mode, consumerGroupId } = dataset.value.consumerGroup
    if (mode === 'manual' || consumerGroupId === undefined) return
    const message = 'consumerGroupId is of use when the mode is "manual" only'
    addIssue(issueOf(dataset.value, { path: ['consumerGroup', 'consumerGroupId'], message }))
  })
}

/** Fields that others make necessary. */
function missingOf({ authentication, consumerGroup, enableDlq, dlqTopic }: Ruled): Problem[] {
  const { strategy, mechanism, user, password } = authentication
  const hasUser = strategy === 'sasl' && mechanism !== 'OAUTHBEARER'
  const needed: ReadonlyArray<readonly [isMissing: boolean, path: Path, when: string]> = [
    [
      strategy === 'sasl' && mechanism === undefined,
      ['authentication', 'mechanism'],
      'the strategy is "sasl"',
    ],
    [hasUser && user === undefined, ['authentication', 'user'], 'SASL is PLAIN or SCRAM'],
    [hasUser && password === undefined, ['authentication', 'password'], 'SASL is PLAIN or SCRAM'],
    [
      consumerGroup.mode === 'manual' && consumerGroup.consumerGroupId === undefined,
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

/** Without a strategy the rest of `authentication` has no effect, in Kong too; so has `sslVerify` without TLS. */
function notYetOf(options: Ruled): Problem[] {
  const { authentication, security, schemaRegistry } = options
  const given: ReadonlyArray<readonly [isGiven: boolean, path: Path, name?: string]> = [
    [authentication.strategy !== undefined, ['authentication', 'strategy']],
    [security.ssl === true, ['security', 'ssl']],
    [security.certificateId !== undefined, ['security', 'certificateId']],
    [schemaRegistry.confluent !== undefined, ['schemaRegistry', 'confluent']],
    [(options.messageByLuaFunctions ?? []).length > 0, ['messageByLuaFunctions']],
    [options.enableDlq === true, ['enableDlq']],
    [options.dlqTopic !== undefined && options.enableDlq !== true, ['dlqTopic']],
  ]
  return given
    .filter(([isGiven]) => isGiven)
    .map(([, path, name]) => ({ path, message: name ? `${name} is ${NOT_YET}` : NOT_YET }))
}

function issueOf(value: object, { path, message, isMissing }: Problem) {
  const items: v.ObjectPathItem[] = []
  let input = value as Record<string, unknown>
  for (const key of path) {
    items.push({ type: 'object', origin: 'value', input, key, value: input[key] })
    input = input[key] as Record<string, unknown>
  }
  return {
    message,
    // By this, too, a missing field is told from a wrong one.
    input: isMissing ? undefined : items.at(-1)?.value,
    path: items as [v.ObjectPathItem, ...v.ObjectPathItem[]],
  }
}
