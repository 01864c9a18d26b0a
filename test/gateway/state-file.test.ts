/** The file of `--state`, on a disk that takes a part of what is written. */
import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MODULE = join(import.meta.dir, '../../src/gateway/process/state-file.ts')
/** A process may write 4 blocks of 512 bytes to a file, so that the next write is cut there. */
const LIMIT = "trap '' XFSZ; ulimit -f 4; exec"

test('a state that the disk takes only in part is an error, and leaves the file as it was', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'state-'))
  try {
    const path = join(folder, 'state.json')
    writeFileSync(path, 'as it was')
    const script = `
      import { stateFile } from ${JSON.stringify(MODULE)}
      try {
        stateFile(${JSON.stringify(path)}).write('x'.repeat(100_000))
        console.log('written')
      } catch (error) {
        console.log(error.code)
      }`
    const child = Bun.spawn(['sh', '-c', `${LIMIT} "$0" -e "$1"`, process.execPath, script])
    expect(await new Response(child.stdout).text()).toBe('EFBIG\n')
    expect(readFileSync(path, 'utf8')).toBe('as it was')
    expect(readdirSync(folder)).toEqual(['state.json'])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
