import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { GatewayProcess } from '../../gateway/gateway-process.ts'
import { until } from '../../support/wait.ts'

/** The resources of a process. */
export interface Usage {
  readonly files: number
  readonly threads: number
  /** MiB that are resident. */
  readonly memory: number
  /** Running timers, of a process with {@link TIMERS_COUNTED}. */
  readonly timers: number
}

/** The environment of a process that tells how many timers it has. */
export const TIMERS_COUNTED = {
  BUN_OPTIONS: `--preload ${join(import.meta.dirname, 'count-timers.ts')}`,
}

export function memoryOf(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) / 1_024
}

export async function usageOf(gateway: GatewayProcess): Promise<Usage> {
  const { pid } = gateway
  const told = () => [...gateway.stderr.matchAll(/^timers: (\d+)$/gm)].map(([, count]) => count)
  const before = told().length
  process.kill(pid, 'SIGUSR2')
  await until(() => told().length > before, 'the number of timers')
  return {
    files: readdirSync(`/proc/${pid}/fd`).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
    memory: memoryOf(pid),
    timers: Number(told().at(-1)),
  }
}
