/** Lists of names that threads share: one thread knows which thread uses which name. */
import type { NameUsers, SharedNames, ShareNames } from '../core/shared-names.ts'
import type { Messenger } from './messenger.ts'

interface SentUse {
  readonly list: string
  readonly limit: number
  readonly name: string
}

interface SentName {
  readonly list: string
  readonly name: string
}

interface NameList {
  /** The threads that use each name. */
  readonly users: Map<string, Set<Messenger>>
  /** Settles when the last request for a name is answered: requests are answered in turn. */
  answering: Promise<unknown>
}

/** Answers threads that use names. */
export class NameLists {
  readonly #lists = new Map<string, NameList>()

  /** Answers for a thread. */
  serve(messenger: Messenger): void {
    messenger.handle({
      useName: (sent: SentUse) => this.#use(sent, messenger),
      leaveName: ({ list, name }: SentName) => this.#leave(list, name, messenger),
    })
  }

  /** Counts nothing of a thread any more. */
  forget(messenger: Messenger): void {
    for (const [list, { users }] of this.#lists) {
      for (const name of [...users.keys()]) this.#leave(list, name, messenger)
    }
  }

  #use({ list, limit, name }: SentUse, by: Messenger): Promise<boolean> {
    const found = this.#lists.get(list) ?? { users: new Map(), answering: Promise.resolve() }
    this.#lists.set(list, found)
    const answering = found.answering.then(async () => {
      const { users } = found
      if (!users.has(name) && users.size >= limit) await this.#leaveOldest(list, users)
      if (by.isClosed || (!users.has(name) && users.size >= limit)) return false
      users.set(name, (users.get(name) ?? new Set()).add(by))
      this.#lists.set(list, found)
      return true
    })
    found.answering = answering.catch(() => undefined)
    return answering
  }

  #leave(list: string, name: string, by: Messenger): void {
    const users = this.#lists.get(list)?.users
    const ofName = users?.get(name)
    if (!users || !ofName?.delete(by)) return
    if (ofName.size === 0) users.delete(name)
    if (users.size === 0) this.#lists.delete(list)
  }

  /** Makes threads leave the least recently used name that no thread needs at present. */
  async #leaveOldest(list: string, users: NameList['users']): Promise<void> {
    const idle = await idleNames(list, new Set([...users.values()].flatMap((each) => [...each])))
    const candidates = [...users].flatMap(([name, ofName]) => {
      const usedAt = [...ofName].map((thread) => idle.get(thread)?.get(name) ?? Infinity)
      const last = Math.max(...usedAt)
      return last === Infinity ? [] : [{ name, ofName, last }]
    })
    for (const { name, ofName } of candidates.toSorted((a, b) => a.last - b.last)) {
      for (const thread of [...ofName]) {
        const sent: SentName = { list, name }
        const hasLeft = await thread.request<boolean>('leaveIdleName', sent).catch(() => true)
        if (hasLeft) this.#leave(list, name, thread)
      }
      if (!users.has(name)) return
    }
  }
}

/** The idle names of each thread, with the time of their last use. A thread that has ended has none. */
async function idleNames(
  list: string,
  threads: ReadonlySet<Messenger>,
): Promise<ReadonlyMap<Messenger, ReadonlyMap<string, number>>> {
  const found = await Promise.all(
    [...threads].map(async (thread) => {
      const idle = await thread
        .request<ReturnType<NameUsers['idle']>>('idleNames', list)
        .catch(() => [])
      return [thread, new Map(idle)] as const
    }),
  )
  return new Map(found)
}

/** Shares names by another thread's {@link NameLists}. */
export function remoteNames(messenger: Messenger): ShareNames {
  const lists = new Map<string, NameUsers>()
  messenger.handle({
    idleNames: (list: string) => lists.get(list)?.idle() ?? [],
    leaveIdleName: ({ list, name }: SentName) => lists.get(list)?.leaveIdle(name) ?? true,
  })
  return (list, limit, users): SharedNames => {
    lists.set(list, users)
    const own = new Set<string>()
    const leave = (name: string) => {
      if (own.delete(name)) messenger.notify('leaveName', { list, name } satisfies SentName)
    }
    return {
      use: async (name) => {
        const isGranted = await messenger.request<boolean>('useName', {
          list,
          limit,
          name,
        } satisfies SentUse)
        if (isGranted) own.add(name)
        return isGranted
      },
      leave,
      release() {
        for (const name of own) leave(name)
        if (lists.get(list) === users) lists.delete(list)
      },
    }
  }
}
