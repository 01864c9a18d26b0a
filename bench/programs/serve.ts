/** The measured process's end of the connection: runs the commands of `bench/child.ts`, one message each. */

/** The commands of a program, by name. */
export type Commands = { readonly [name: string]: (argument: never) => unknown }

export interface Question {
  readonly id: number
  readonly command: string
  readonly argument: unknown
}

export type Reply = { readonly id: number } & (
  | { readonly result: unknown }
  | { readonly error: string }
)

/** The resources that a process has used since its start. */
export interface Usage {
  /** Seconds of processor time of all threads, in user and system mode. */
  readonly cpu: number
  /** Bytes resident now. */
  readonly rss: number
}

export function serveCommands(commands: Commands): void {
  const all: Commands = { ...commands, usage }
  process.on('message', async ({ id, command, argument }: Question) => {
    let reply: Reply
    try {
      const run = all[command]
      if (!run) throw new Error(`Cannot run command ${command}: this program does not have it`)
      reply = { id, result: await run(argument as never) }
    } catch (error) {
      reply = { id, error: error instanceof Error ? error.message : String(error) }
    }
    process.send?.(reply)
  })
  // The benchmark has ended, even if it was killed.
  process.on('disconnect', () => process.exit(0))
  // Ctrl-C reaches the whole process group, but the benchmark decides when its processes end.
  process.on('SIGINT', () => {})
}

function usage(): Usage {
  const { user, system } = process.cpuUsage()
  return { cpu: (user + system) / 1e6, rss: process.memoryUsage.rss() }
}
