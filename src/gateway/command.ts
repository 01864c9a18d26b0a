import { bunCommand } from '../core/bun-command.ts'

// A package and a bundle hold JavaScript.
const isInstalled = !import.meta.url.endsWith('.ts')

/** The command that runs a script of the checkout, or the package's command. */
function commandOf(script: string): string {
  const bun = bunCommand()
  if (!isInstalled) return `${bun} run ${script}`
  return `${bun === 'bun' ? 'bunx' : `${bun} x`} hono-kafka-consume ${script}`
}

/** The command that starts this gateway. */
export const COMMAND = commandOf('server')

/** The command that installs packages and compiles the Kafka client. */
export const SETUP_COMMAND = commandOf('setup')
