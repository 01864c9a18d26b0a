import type { KnownClient } from './auth/clients.ts'
import type { GuardOptions } from './auth/guard.ts'

/** How commands of the banner show credentials: a placeholder, or curl's question, in place of a secret. */
export interface SampleCredentials {
  /** The options of curl; undefined where only a browser can log in. */
  readonly curl: string | undefined
  /** A clause that explains the options. */
  readonly hint: string
  /** Whether such a client may have a scope, and so must not read as the group that all clients share. */
  readonly hasScope: boolean
}

/** The credentials that a guard accepts, as an example; undefined where it requires none. */
export function sampleCredentials(guard: GuardOptions | undefined): SampleCredentials | undefined {
  const { clients, tokens, oidc } = guard ?? {}
  const [client] = (clients ?? []).toSorted((a, b) => Number(!!a.only) - Number(!!b.only))
  if (client) return credentialsOf(client)
  if (tokens) {
    const hint = 'TOKEN is a JSON Web Token of the issuer'
    return { curl: bearer('TOKEN'), hint, hasScope: tokens.claim !== undefined }
  }
  if (oidc) return { curl: undefined, hint: 'a browser logs in at the issuer', hasScope: false }
  return clients && { curl: bearer('KEY'), hint: 'KEY is the key of a client', hasScope: false }
}

function credentialsOf({ name, key, only }: KnownClient): SampleCredentials {
  const hasScope = only !== undefined
  return key === undefined
    ? { curl: `-u ${quoted(name)}`, hint: `curl asks for the password of ${name}`, hasScope }
    : { curl: bearer('KEY'), hint: `KEY is the key of ${name}`, hasScope }
}

function bearer(placeholder: string): string {
  return `-H 'Authorization: Bearer ${placeholder}'`
}

/** A word for a shell. */
function quoted(word: string): string {
  return /^[\w.@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
