/** The fields of Kong's plugins for Confluent Cloud: `confluent` and `confluent-consume`. */
import * as v from 'valibot'
import { kongOauthBearer } from './authentication.ts'
import { flag, record, secret } from './fields.ts'
import { issueOf, type OptionError } from './option-errors.ts'

export const confluentCloud = {
  clusterApiKey: v.optional(secret),
  clusterApiSecret: v.optional(secret),
  oauthbearer: kongOauthBearer,
  // Kong's fields for the management of the cloud, which nothing here does: without effect.
  confluentCloudApiKey: v.optional(secret),
  confluentCloudApiSecret: v.optional(secret),
}

/** TLS has no switch: Confluent Cloud is reached by TLS only. */
export const confluentSecurity = v.optional(record({ sslVerify: v.optional(flag, true) }), {})

interface ConfluentFields {
  readonly clusterApiKey?: string | undefined
  readonly clusterApiSecret?: string | undefined
  readonly oauthbearer?:
    | {
        readonly tokenEndpointUrl?: string | undefined
        readonly clientId?: string | undefined
        readonly clientSecret?: unknown
      }
    | undefined
}

/** The rules between these fields: a token needs its client, and a key its secret. */
export function confluentRules<T extends ConfluentFields>() {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    for (const error of missingOf(dataset.value)) addIssue(issueOf(dataset.value, error))
  })
}

function missingOf({
  clusterApiKey: key,
  clusterApiSecret: secret,
  oauthbearer,
}: ConfluentFields): OptionError[] {
  const { tokenEndpointUrl, clientId, clientSecret } = oauthbearer ?? {}
  const token = Object.entries({ tokenEndpointUrl, clientId, clientSecret }).map(
    ([name, value]) => [oauthbearer && value === undefined, ['oauthbearer', name]] as const,
  )
  const needed = [
    ...token,
    [key === undefined && secret !== undefined, ['clusterApiKey']] as const,
    [secret === undefined && key !== undefined, ['clusterApiSecret']] as const,
  ]
  return needed
    .filter(([isMissing]) => isMissing)
    .map(([, path]) => ({
      path: path as OptionError['path'],
      message: `${path.at(-1)} is required`,
      isMissing: true,
    }))
}
