import { existsSync, readFileSync } from 'node:fs'
import { MAX_EAGER_STARTS } from '../supervisor.ts'

/** Files that the member of a consumer group has open: connections to brokers, and pipes of their threads. */
const FILES_PER_GROUP = 8
/** The share of a process's files that the groups which start before their first request may take. */
const SHARE_OF_GROUPS = 1 / 2
/** The limits of this process on Linux. Other systems have no such file. */
const LIMITS_FILE = '/proc/self/limits'

/**
 * The handlers that may connect to Kafka before their first request, so that enough files are left for
 * the connections of clients. A process without a free file cannot resolve the name of a broker, and
 * reports that as an outage.
 */
export function maxEagerStarts(limits = readLimits()): number {
  const files = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Infinity)
  const room = Math.floor((files * SHARE_OF_GROUPS) / FILES_PER_GROUP)
  return Math.max(1, Math.min(MAX_EAGER_STARTS, room))
}

function readLimits(): string {
  return existsSync(LIMITS_FILE) ? readFileSync(LIMITS_FILE, 'utf8') : ''
}
