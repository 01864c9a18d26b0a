import type { Database } from 'bun:sqlite'

/**
 * Takes a lock between processes: SQLite's lock of an empty database. The system releases it when its
 * holder dies, so that no stale lock is left behind. Closing the database releases it, too.
 *
 * @returns False while another process holds the lock.
 */
export function tryLock(database: Database): boolean {
  try {
    database.run('BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY') return false
    throw error
  }
}
