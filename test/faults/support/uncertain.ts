/** Reads from a gateway's log the records that another member of its group may deliver again. */
export function uncertainIn(log: string): number {
  const lines = log.matchAll(/(\d+) records of group \S+ may be delivered again/g)
  return [...lines].reduce((sum, [, records]) => sum + Number(records), 0)
}
