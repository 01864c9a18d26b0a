/** Counts failed logins, perhaps in another thread. */
export interface LoginCounter {
  /**
   * Counts a login if it has failed.
   *
   * @param key The user name's `limiterKey`.
   * @returns The seconds until the user name may try again; undefined where it need not wait.
   */
  count(key: string, hasFailed: boolean): number | undefined | Promise<number | undefined>
}

/** The rules by which failed logins make a user wait: Kong's of `basic-auth`, or the gateway's own. */
export type LoginRules = 'kong' | 'gateway'

/** Makes the counter of a name, which all threads of a process that ask for the name share. */
export type MakeLoginCounter = (name: string, rules: LoginRules) => LoginCounter
