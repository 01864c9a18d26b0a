import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BuiltPackage } from './built-package.ts'
import { run } from './run-program.ts'

/** The package as npm packs it, installed and set up in an app of its own outside of the checkout. */
export class PackedApp implements Disposable {
  /** The app's folder. */
  readonly folder: string
  readonly tarball: string
  readonly #parent: string

  private constructor(parent: string, tarball: string) {
    this.#parent = parent
    this.folder = join(parent, 'app')
    this.tarball = tarball
  }

  /** @param packages What the app installs beside the package. */
  static async install(...packages: string[]): Promise<PackedApp> {
    const bun = process.execPath
    const parent = mkdtempSync(join(tmpdir(), 'package-'))
    try {
      using built = await BuiltPackage.build()
      const packed = await run(['npm', 'pack', built.folder, '--silent'], parent)
      const app = new PackedApp(parent, join(parent, packed.trim().split('\n').at(-1) as string))
      await Bun.write(join(app.folder, 'package.json'), '{"name": "app", "type": "module"}')
      await run([bun, 'add', ...packages, app.tarball], app.folder)
      await run([bun, 'x', 'hono-kafka-consume', 'setup'], app.folder)
      return app
    } catch (error) {
      rmSync(parent, { recursive: true, force: true })
      throw error
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#parent, { recursive: true, force: true })
  }
}
