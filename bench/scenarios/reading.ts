/** The speed and cost of one reader, and their figures, for the scenarios `replay` and `live`. */
import type { Child } from '../child.ts'
import { type Figure, figure } from '../figure.ts'
import type { BareSettings } from '../programs/bare.ts'
import type { Commands } from '../programs/serve.ts'
import { statisticOf } from '../rounds.ts'
import type { Bench } from '../scenario.ts'

/** Milliseconds for one round of one reader. */
export const READ_LIMIT_MS = 120_000

/** One round of one reader. */
export interface Reading {
  /** Records per second. */
  readonly rate: number
  /** Seconds of processor time of the reader's process for a million records. */
  readonly cpu: number
}

/** Measures the resources that a process uses while it reads. */
export async function measure<C extends Commands>(
  child: Child<C>,
  read: () => Promise<{ records: number; rate: number }>,
): Promise<Reading> {
  const before = await child.usage()
  const { records, rate } = await read()
  const after = await child.usage()
  return { rate, cpu: ((after.cpu - before.cpu) / records) * 1e6 }
}

export function teller(bench: Bench, title: string) {
  return (side: string, round: number, { rate, cpu }: Reading) =>
    bench.say(
      `  ${title} ${round}: ${side.padEnd(14)} ${Math.round(rate / 1000)} K records/s, ${cpu.toFixed(2)} s of CPU for 1 M`,
    )
}

/**
 * @param measured The rounds of the gateway and of both bare loops.
 * @param goal The lowest rate of the gateway, as a multiple of the bare loop's.
 */
export function readingFigures(
  name: string,
  measured: Readonly<Record<'gateway' | BareSettings, readonly Reading[]>>,
  goal: number | null,
): Figure[] {
  const rate = (side: keyof typeof measured) => statisticOf(measured[side], (one) => one.rate)
  const cpu = (side: keyof typeof measured) => statisticOf(measured[side], (one) => one.cpu)
  return [
    figure(name, 'records/s', rate('gateway'), rate('ours'), goal),
    figure(`${name}, beside defaults`, 'records/s', rate('gateway'), rate('defaults')),
    figure(`${name}, CPU`, 's/1 M records', cpu('gateway'), cpu('ours')),
  ]
}
