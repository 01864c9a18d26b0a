/** A registry of npm on this machine, with the manifests of packages and nothing else in them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './run-program.ts'

/** The part of a package.json by which a registry describes the package. */
interface PackageManifest {
  readonly name: string
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
}

export class NpmRegistry implements Disposable {
  readonly url: string
  readonly #server: Bun.Server<undefined>

  private constructor(server: Bun.Server<undefined>) {
    this.#server = server
    this.url = `http://localhost:${server.port}`
  }

  /** Serves each package as a tarball that has only its manifest. Other packages are 404. */
  static async serve(manifests: readonly PackageManifest[]): Promise<NpmRegistry> {
    const tarballs = new Map<string, Uint8Array<ArrayBuffer>>()
    for (const manifest of manifests) tarballs.set(manifest.name, await packManifest(manifest))
    return new NpmRegistry(
      Bun.serve({
        port: 0,
        hostname: 'localhost',
        fetch({ url }) {
          const { origin, pathname } = new URL(url)
          const [, name = '', file] = pathname.split('/')
          const manifest = manifests.find((one) => one.name === name)
          const tarball = tarballs.get(name)
          if (!manifest || !tarball) return new Response(null, { status: 404 })
          if (file !== undefined) return new Response(tarball)
          const sha512 = new Bun.CryptoHasher('sha512').update(tarball).digest('base64')
          const dist = { tarball: `${origin}/${name}/package.tgz`, integrity: `sha512-${sha512}` }
          return Response.json({
            name,
            'dist-tags': { latest: manifest.version },
            versions: { [manifest.version]: { ...manifest, dist } },
          })
        },
      }),
    )
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true)
  }
}

async function packManifest(manifest: PackageManifest): Promise<Uint8Array<ArrayBuffer>> {
  const folder = mkdtempSync(join(tmpdir(), 'tarball-'))
  try {
    mkdirSync(join(folder, 'package'))
    writeFileSync(join(folder, 'package/package.json'), JSON.stringify(manifest))
    await run(['tar', '-czf', 'package.tgz', 'package'], folder)
    return await Bun.file(join(folder, 'package.tgz')).bytes()
  } finally {
    rmSync(folder, { recursive: true })
  }
}
