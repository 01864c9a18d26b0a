/** The end of a measured process: it does what `bench/child.ts` asks for, one message each. */

/** What a program can be asked for, by name. */
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

/** What a process has used since it began. */
export interface Usage {
  /** Seconds of all its threads, in user and system mode. */
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
  // Nobody is left to ask: the benchmark ended, however it did.
  process.on('disconnect', () => process.exit(0))
  // Ctrl-C reaches the whole group; the benchmark decides when its processes end.
  process.on('SIGINT', () => {})
}

function usage(): Usage {
  const { user, system } = process.cpuUsage()
  return { cpu: (user + system) / 1e6, rss: process.memoryUsage.rss() }
}
