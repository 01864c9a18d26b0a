/** Verdicts of the plugins that authenticate, on credentials. */
import type { KafkaConsumeError } from '../../core/errors.ts'

/** The facts of a token on which plugins may differ. A session keeps them in place of the token. */
export interface TokenFacts {
  /** `key_claim_name` of the plugin that accepted the token. */
  readonly claim: string
  /** `secret_is_base64` of the plugin that accepted the token. */
  readonly isBase64: boolean
  /** Seconds since 1970. */
  readonly exp?: number | undefined
  /** Seconds since 1970. */
  readonly nbf?: number | undefined
}

/** A credential that was found right. */
export interface Identified {
  readonly id: string
  readonly consumer: { readonly id: string }
  /** How upstreams are told of the credential. Default: its id. */
  readonly identifier?: string
  /** When the credential ends, in milliseconds since 1970. Default: it does not. */
  readonly until?: number | undefined
  /** The facts of the token; absent for other credentials. */
  readonly token?: TokenFacts
}

/** Missing or wrong credentials. */
export interface Unidentified {
  readonly message: string
  /** The value of `WWW-Authenticate`. */
  readonly challenge: string
  /** Whether there are no credentials at all, so that those of a session count. */
  readonly isMissing?: boolean
  /** More fields of the answer. */
  readonly rest?: Readonly<Record<string, string>>
}

/** Why a request is refused whatever its credentials are. */
export type Refused =
  | { readonly forbidden: string }
  /** The request cannot be read. */
  | { readonly error: KafkaConsumeError }
  /** Seconds until the client may try again. */
  | { readonly retryAfter: number }

export type Verdict = Identified | Unidentified | Refused
