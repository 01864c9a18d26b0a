import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../../native/cache.ts'
import { run } from '../../native/command.ts'
import { canInstall } from '../../tools/kafka/system.ts'

/**
 * The path of Prometheus's `promtool`. Where it is missing, Debian's package is unpacked into the
 * cache: installing the package would start a Prometheus server.
 */
export async function promtool(): Promise<string> {
  const found = Bun.which('promtool')
  if (found) return found
  const folder = join(cacheFolder(), 'test-tools', 'prometheus')
  const program = join(folder, 'usr/bin/promtool')
  if (existsSync(program)) return program
  if (!canInstall())
    throw new Error('Cannot check metrics: this machine lacks promtool. Install it')
  mkdirSync(folder, { recursive: true })
  const log = join(folder, 'setup.log')
  const download = () => run({ argv: ['apt-get', 'download', 'prometheus'], cwd: folder, log })
  try {
    await download()
  } catch {
    // Package lists are probably missing, as in fresh images, or out of date.
    await run({ argv: ['apt-get', 'update'], cwd: folder, log })
    await download()
  }
  const [file = ''] = readdirSync(folder).filter((name) => name.endsWith('.deb'))
  await run({ argv: ['dpkg', '-x', file, '.'], cwd: folder, log })
  return program
}
