/**
 * Runs a program to its end.
 *
 * @returns What it has written to its standard output.
 * @throws Error with all that it has written, where its exit code is not 0.
 */
export async function run(argv: readonly string[], cwd: string): Promise<string> {
  const child = Bun.spawn([...argv], {
    cwd,
    env: { ...process.env, NO_COLOR: '1' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, error] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  if ((await child.exited) === 0) return out
  throw new Error(`${argv.join(' ')} ended with ${child.exitCode}:\n${out}${error}`)
}
