/** Rounds in which all sides take turns, so that other load of the machine affects them alike. */

/** Runs one side once and measures it. */
export type Side<M> = () => Promise<M>

/**
 * Measures sides in turn, A B C A B C …, after one unmeasured round that warms them up.
 *
 * @param onMeasured Called with each measurement.
 * @param warmUp Default: true. False for sides that warm up by themselves.
 */
export async function alternate<K extends string, M>(
  sides: Readonly<Record<K, Side<M>>>,
  rounds: number,
  onMeasured: (side: NoInfer<K>, round: number, measured: M) => void,
  warmUp = true,
): Promise<Record<K, M[]>> {
  const names = Object.keys(sides) as K[]
  const all = Object.fromEntries(names.map((name) => [name, [] as M[]])) as Record<K, M[]>
  for (let round = warmUp ? 0 : 1; round <= rounds; round++) {
    for (const name of names) {
      const measured = await sides[name]()
      if (round === 0) continue
      all[name].push(measured)
      onMeasured(name, round, measured)
    }
  }
  return all
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle] as number
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

/** One value over several rounds. */
export interface Statistic {
  readonly median: number
  /** The largest value less the smallest, as a share of the median; undefined after a single round. */
  readonly spread: number | undefined
}

export function statisticOf<M>(measured: readonly M[], of: (one: M) => number): Statistic {
  const values = measured.map(of)
  const middle = median(values)
  const range = Math.max(...values) - Math.min(...values)
  return { median: middle, spread: values.length > 1 ? range / middle : undefined }
}
