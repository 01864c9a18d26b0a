/** The resources of a process that is not ours, as Linux tells them. */
import { readFileSync } from 'node:fs'
import type { Usage } from './serve.ts'

const TICKS_PER_SECOND = 100

/** @returns undefined if the system does not say. */
export function usageOf(pid: number | undefined): Usage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [user, system] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14)
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return {
      cpu: (Number(user) + Number(system)) / TICKS_PER_SECOND,
      rss: Number(kilobytes) * 1024,
    }
  } catch {
    return undefined
  }
}
