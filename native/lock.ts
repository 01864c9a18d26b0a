import type { Database } from 'bun:sqlite'

/**
 * Takes a lock between processes: SQLite's on an empty database. The system releases it when its
 * holder dies, however that happens, so no stale one is left behind; closing the database does too.
 *
 * @returns false while another process has it.
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
