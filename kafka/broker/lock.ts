/** One process at a time works on a folder. */
import { Database } from 'bun:sqlite'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'

/** The lock is SQLite's on an empty database: the system releases it when its holder dies. */
export async function withLock<T>(path: string, milliseconds: number, work: () => Promise<T>) {
  mkdirSync(dirname(path), { recursive: true })
  const database = new Database(path)
  const deadline = performance.now() + milliseconds
  try {
    while (!tryLock(database)) {
      if (performance.now() > deadline) {
        throw new Error(`Cannot lock ${path}: another process has held it for too long`)
      }
      await Bun.sleep(50)
    }
    return await work()
  } finally {
    database.close()
  }
}

function tryLock(database: Database): boolean {
  try {
    database.run('BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY') return false
    throw error
  }
}
