import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import type { StateFile } from '../../kong/config/persisted-state.ts'

/**
 * A file that is replaced whole: a process that reads it sees the old content or the new one, also
 * after a crash. Each write creates a draft exclusively and renames it. A user who may write to the
 * folder therefore cannot place a link that reveals the content or has another file overwritten.
 */
export function stateFile(path: string): StateFile {
  return {
    name: path,
    read: () => (existsSync(path) ? readFileSync(path, 'utf8') : undefined),
    write: (text) => {
      const draft = `${path}.${process.pid}.new`
      // A crashed process that had this process id may have left a draft.
      rmSync(draft, { force: true })
      const file = openSync(draft, 'wx', 0o600)
      try {
        writeSync(file, text)
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      renameSync(draft, path)
    },
  }
}
