import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import type { StateFile } from '../../kong/config/persisted-state.ts'

/**
 * A file that is replaced whole: a process that reads it sees the old content or the new one, also
 * after a crash. Each write creates a draft exclusively and renames it. A user who may write to the
 * folder therefore cannot place a link that reveals the content or has another file overwritten.
 *
 * @throws Error that names the file or its folder, where the file could never be written.
 */
export function stateFile(path: string): StateFile {
  assertWritable(path)
  return {
    name: path,
    read: () => (existsSync(path) ? readFileSync(path, 'utf8') : undefined),
    write: (text) => {
      const draft = `${path}.${process.pid}.new`
      // A crashed process that had this process id may have left a draft.
      rmSync(draft, { force: true })
      try {
        writeWhole(draft, text)
        renameSync(draft, path)
      } catch (error) {
        rmSync(draft, { force: true })
        throw error
      }
    },
  }
}

/**
 * Writes a new file and syncs it. A full disk takes a part of a single `write` without an error;
 * `writeFileSync` goes on until the whole text is written, or throws.
 */
function writeWhole(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    writeFileSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function assertWritable(path: string): void {
  const folder = dirname(path)
  const cannot = (state: string) => new Error(`Cannot keep the state in ${path}: ${state}`)
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw cannot(`the folder ${folder} does not exist. Create it, or choose another with --state`)
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw cannot('it is a folder. Name a file with --state')
  }
  try {
    accessSync(folder, constants.W_OK)
  } catch (cause) {
    const state = `this user may not write to the folder ${folder}`
    throw new Error(cannot(state).message, { cause })
  }
}
