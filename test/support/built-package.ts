/** The package as `bun run package` makes it, for the tests that run or pack it. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withLock } from '../../tools/kafka/lock.ts'
import { run } from './run-program.ts'

const root = join(import.meta.dirname, '../..')
// Inside the checkout, so that the package finds its dependencies.
const parent = join(root, 'node_modules', '.cache')
/** Milliseconds in which another process of the tests builds the package, on a busy machine. */
const BUILD_MS = 300_000

/** The folder for the package of one run of the tests, which `TEST_PACKAGE` names to their processes. */
export class SharedPackage implements Disposable {
  readonly folder: string

  constructor() {
    this.folder = join(parent, `package-${crypto.randomUUID()}`)
  }

  [Symbol.dispose](): void {
    const { part, lock } = besides(this.folder)
    for (const path of [this.folder, part, lock]) rmSync(path, { recursive: true, force: true })
  }
}

/** The package, built of the checkout: once in a run of all tests, and else for each that asks. */
export class BuiltPackage implements Disposable {
  readonly folder: string
  readonly #isShared: boolean

  private constructor(folder: string, isShared: boolean) {
    this.folder = folder
    this.#isShared = isShared
  }

  static async build(): Promise<BuiltPackage> {
    mkdirSync(parent, { recursive: true })
    const { TEST_PACKAGE: shared } = process.env
    if (shared) {
      const { part, lock } = besides(shared)
      await withLock(lock, BUILD_MS, async () => {
        if (existsSync(shared)) return
        // A process that was ended while it built has left a part.
        rmSync(part, { recursive: true, force: true })
        await buildIn(part)
        renameSync(part, shared)
      })
      return new BuiltPackage(shared, true)
    }
    const built = new BuiltPackage(mkdtempSync(join(parent, 'package-')), false)
    try {
      await buildIn(built.folder)
      return built
    } catch (error) {
      built[Symbol.dispose]()
      throw error
    }
  }

  [Symbol.dispose](): void {
    if (!this.#isShared) rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Builds the package outside of the checkout, where a bundler does not find packages by itself, and copies it. */
async function buildIn(folder: string): Promise<void> {
  const outside = mkdtempSync(join(tmpdir(), 'package-'))
  try {
    await run([process.execPath, 'package/build.ts', outside], root)
    cpSync(outside, folder, { recursive: true })
  } finally {
    rmSync(outside, { recursive: true })
  }
}

/** The files beside a shared folder: the package that is being built, and the lock of who builds it. */
function besides(folder: string) {
  return { part: `${folder}.part`, lock: `${folder}.lock` }
}
