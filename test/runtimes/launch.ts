import { join } from 'node:path'
import type { BuiltPackage } from '../support/built-package.ts'
import { npmTool } from '../support/npm-tool.ts'
import { type RemoteHost, startHost } from './remote.ts'

export const runtimes = ['deno', 'node'] as const

const launcher = (runtime: string) => join(import.meta.dirname, `${runtime}.ts`)

/** Serves handlers on another runtime. */
export async function launch(
  runtime: (typeof runtimes)[number],
  { folder }: BuiltPackage,
): Promise<RemoteHost> {
  const program = await npmTool(runtime)
  return startHost((port) =>
    runtime === 'node'
      ? [program, launcher(runtime), folder, String(port)]
      : [
          ...[program, 'serve', '--allow-all', '--host', '127.0.0.1', '--port', String(port)],
          launcher(runtime),
        ],
  )
}
