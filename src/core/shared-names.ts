/** Names in use, such as of the groups that members read as: several threads together may use a limited number at a time. */
export interface SharedNames {
  /**
   * Makes this thread use a name, if need be in place of an unused name.
   *
   * @returns false when other names already use up the limit.
   */
  use(name: string): Promise<boolean>
  /** Tells that this thread has left a name. */
  leave(name: string): void
  /** Leaves all names for good. */
  release(): void
}

/** The names that a thread could do without. */
export interface NameUsers {
  /** Names that are not in use at present, each with the time of its last use in milliseconds since 1970. */
  idle(): ReadonlyArray<readonly [name: string, usedAt: number]>
  /**
   * Leaves a name.
   *
   * @returns false when it is in use.
   */
  leaveIdle(name: string): boolean
}

/** The names of a list, which all threads of a process that ask for the list share. */
export type ShareNames = (list: string, limit: number, users: NameUsers) => SharedNames
