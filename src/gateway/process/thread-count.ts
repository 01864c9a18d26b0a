import { availableParallelism } from 'node:os'

/** The cores from which on the gateway serves by several threads. */
const MANY_CORES = 3

/**
 * The threads that serve clients. Only Linux spreads connections over listeners of one port: elsewhere
 * one of them gets all, so that several threads are for those who ask for them.
 */
export function threadCount(workers: number | 'auto'): number {
  if (workers !== 'auto') return workers
  const cores = availableParallelism()
  return cores < MANY_CORES || process.platform !== 'linux' ? 1 : cores - 1
}
