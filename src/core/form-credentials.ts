/** Credentials that users write into a form. */

/** Credentials that a form may hold: a key or token, or a name and a password. */
export interface FormCredentials {
  /** Empty for a key or token. */
  readonly name: string
  readonly secret: string
}

/** The kinds of credentials that a form may hold. */
export interface AcceptedCredentials {
  readonly keys: boolean
  readonly tokens: boolean
  readonly passwords: boolean
}
