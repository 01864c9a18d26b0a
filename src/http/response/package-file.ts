/**
 * Reads a file of this package or of a dependency. The console and the API docs send such files to
 * browsers. Nothing else in `src/` needs a file system, so a runtime without one lacks only these.
 */
export async function readPackageFile(url: string | URL): Promise<Uint8Array<ArrayBuffer>> {
  // biome-ignore lint/style/noRestrictedImports: Bun, Deno and Node all have it, and fetch() reads no file: URLs on Node
  const { readFile } = await import('node:fs/promises')
  // To Deno's types its own URL is not quite Node's.
  const path = new URL(url) as Parameters<typeof readFile>[0]
  return (await readFile(path)) as Uint8Array<ArrayBuffer>
}
