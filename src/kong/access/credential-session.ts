/** The sessions of browsers whose users have logged in as a consumer. */
import type { TokenFacts } from './verdict.ts'

/** A credential as a session names it. It never holds the secret itself. */
export interface CredentialReference {
  /** The plugin that checks such credentials: `key-auth`, `basic-auth` or `jwt`. */
  readonly plugin: string
  readonly id: string
  /** Changes with the credential's secret and its consumer. */
  readonly version: string
  readonly token?: TokenFacts | undefined
}

/** The session of a request. */
export interface CredentialSession {
  readonly credential: CredentialReference
  /** When the session ends, in milliseconds since 1970. */
  readonly until: number
  /** Whether a page of another origin sent the request. */
  readonly isForeign: boolean
}
