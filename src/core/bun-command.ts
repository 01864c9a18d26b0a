/**
 * How the reader of a message calls Bun: by npx where npx has started this process, since `bun` is then on
 * the PATH of this process only.
 *
 * @param execPath The path of Bun's program. npx keeps what it runs in the folder `_npx` of npm's cache.
 */
export function bunCommand(
  execPath: string = process.execPath,
  version: string = process.versions['bun'] ?? '',
): string {
  return /[\\/]_npx[\\/]/.test(execPath) && version !== '' ? `npx -y bun@${version}` : 'bun'
}
