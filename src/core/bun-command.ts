/**
 * How the reader of a message calls Bun: by npx where npx has started this process, since `bun` is then on
 * the PATH of this process only.
 *
 * @param execPath The path of Bun's program. npx keeps what it runs in the folder `_npx` of npm's cache.
 */
export function bunCommand(
  version: string | undefined = process.versions['bun'],
  // Deno needs a permission to read its path.
  execPath: string = version === undefined ? '' : process.execPath,
): string {
  return /[\\/]_npx[\\/]/.test(execPath) ? `npx -y bun@${version}` : 'bun'
}
