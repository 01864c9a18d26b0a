import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { logOf } from '../../core/log.ts'
import { MAX_EAGER_STARTS } from '../supervisor.ts'

/** Files that the member of a consumer group has open: connections to brokers, and pipes of their threads. */
const FILES_PER_GROUP = 8
/** The share of a process's files that the groups which start before their first request may take. */
const SHARE_OF_GROUPS = 1 / 2
/** The limits of this process on Linux. Other systems have no such file. */
const LIMITS_FILE = '/proc/self/limits'
const OPEN_FILES = '/proc/self/fd'
/** The share of its limit from which on a process is said to have nearly all files open. */
const SHARE_NEAR_LIMIT = 9 / 10
/** The share below which that is over, so that it may be said again. */
const SHARE_OF_RELIEF = 8 / 10
const WATCH_INTERVAL_MS = 1_000

const log = logOf('server')

/**
 * The handlers that may connect to Kafka before their first request, so that enough files are left for
 * the connections of clients. A process without a free file cannot resolve the name of a broker, and
 * reports that as an outage.
 */
export function maxEagerStarts(limits = readLimits()): number {
  const room = Math.floor((maxOpenFiles(limits) * SHARE_OF_GROUPS) / FILES_PER_GROUP)
  return Math.max(1, Math.min(MAX_EAGER_STARTS, room))
}

/**
 * Warns where this process may open fewer files than streams, and from now on when nearly all of its files
 * are open: the system then lets connections wait that Bun cannot accept, and nothing else tells of it.
 *
 * @param maxSubscribers Streams that may be open.
 */
export function watchOpenFiles(maxSubscribers: number): void {
  const limit = maxOpenFiles(readLimits())
  if (limit === Infinity) return
  if (limit < maxSubscribers) {
    const text =
      'This process may open {limit} files, fewer than the {maxSubscribers} streams of --max-subscribers: raise the limit (ulimit -n, or LimitNOFILE of systemd)'
    log.warn(text, { limit, maxSubscribers })
  }
  let isNear = false
  const check = () => {
    const open = countOpenFiles() ?? limit
    if (open < limit * SHARE_OF_RELIEF) isNear = false
    if (isNear || open < limit * SHARE_NEAR_LIMIT) return
    isNear = true
    const text =
      '{open} of the {limit} files that this process may open are open: without a free one it accepts no connection. Raise the limit (ulimit -n, or LimitNOFILE of systemd), or lower --max-subscribers'
    log.warn(text, { open, limit })
  }
  setInterval(check, WATCH_INTERVAL_MS).unref()
}

/** @returns undefined where no file is left to count them by. */
function countOpenFiles(): number | undefined {
  // Linux tells the number by the size since version 6.2. This way takes no file, of which none may be free.
  const { size } = statSync(OPEN_FILES)
  if (size > 0) return size
  try {
    return readdirSync(OPEN_FILES).length
  } catch {
    return undefined
  }
}

function maxOpenFiles(limits: string): number {
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Infinity)
}

function readLimits(): string {
  return existsSync(LIMITS_FILE) ? readFileSync(LIMITS_FILE, 'utf8') : ''
}
