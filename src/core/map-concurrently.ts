import { Turns } from './sliced-work.ts'

/**
 * Maps items in order, at most `limit` of them at a time. A result that is not a promise is taken
 * without a wait, and the event loop has its turn every few milliseconds. After an error no further item
 * is started.
 */
export async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  limit: number,
  map: (item: Item) => Result | Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = new Array(items.length)
  const turns = new Turns()
  let next = 0
  const work = async () => {
    while (next < items.length) {
      const index = next++
      try {
        const result = map(items[index] as Item)
        results[index] = result instanceof Promise ? await result : result
        const rest = turns.next()
        if (rest) await rest
      } catch (error) {
        next = items.length
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work))
  return results
}
