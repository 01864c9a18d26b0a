/** A lock file that lets one process at a time work on a folder. */
import { Database } from 'bun:sqlite'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { tryLock } from '../../native/lock.ts'

/** Waits for the lock, at most for the given time, and runs the work while it holds the lock. */
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
