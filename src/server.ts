/** `bun run server`: the gateway as a process. */
import { COMMAND, SETUP_COMMAND } from './gateway/command.ts'

// Imported here, not above, so that packages that are missing end the process with a plain message.
const { runGateway } = await import('./gateway/process/run-gateway.ts').catch(exitWithoutPackages)
await runGateway()

function exitWithoutPackages(error: unknown): never {
  const missing = error as { readonly code?: string; readonly specifier?: string }
  if (missing.code !== 'ERR_MODULE_NOT_FOUND') throw error
  console.error(
    `Cannot start: the package of ${missing.specifier} is not installed. Run \`${SETUP_COMMAND}\`, or \`${COMMAND}\`, which sets up first`,
  )
  process.exit(1)
}
