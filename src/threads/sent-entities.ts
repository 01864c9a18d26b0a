/**
 * Lists of objects that never change, sent to another thread again and again: each object is sent once,
 * and stays one object there. Equal lists stay one list.
 */

/** Lists by their names. */
type Lists = Readonly<Record<string, readonly object[]>>

/** A state of the lists: numbers of objects, and the objects that are new. */
export interface SentLists {
  readonly numbers: Readonly<Record<string, readonly number[]>>
  readonly added: ReadonlyArray<readonly [number: number, entity: object]>
}

/** Tells one other thread the lists. */
export class ListSender {
  #numbers = new Map<object, number>()
  #next = 0

  send(lists: Lists): SentLists {
    const previous = this.#numbers
    this.#numbers = new Map()
    const added: Array<readonly [number, object]> = []
    const numberOf = (entity: object) => {
      let number = previous.get(entity)
      if (number === undefined) {
        number = this.#next++
        added.push([number, entity])
      }
      this.#numbers.set(entity, number)
      return number
    }
    const numbers = Object.entries(lists).map(([name, list]) => [name, list.map(numberOf)] as const)
    return { numbers: Object.fromEntries(numbers), added }
  }
}

/** The lists, in the other thread. */
export class ListReceiver {
  #entities = new Map<number, object>()
  #lists: Lists = {}

  receive({ numbers, added }: SentLists): Lists {
    const known = new Map([...this.#entities, ...added])
    this.#entities = new Map()
    const listOf = (name: string, all: readonly number[]) => {
      const list = all.map((number) => {
        const entity = known.get(number) as object
        this.#entities.set(number, entity)
        return entity
      })
      const before = this.#lists[name]
      const isEqual =
        before?.length === list.length && list.every((entity, index) => entity === before[index])
      return isEqual ? before : list
    }
    this.#lists = Object.fromEntries(
      Object.entries(numbers).map(([name, all]) => [name, listOf(name, all)]),
    )
    return this.#lists
  }
}
