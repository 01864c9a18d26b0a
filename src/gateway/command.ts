// A package and a bundle hold JavaScript.
const isInstalled = !import.meta.url.endsWith('.ts')

/** The command that starts this gateway: a script of the checkout, or the package's command. */
export const COMMAND = isInstalled ? 'bunx hono-kafka-consume server' : 'bun run server'

/** The command that installs packages and compiles the Kafka client. */
export const SETUP_COMMAND = isInstalled ? 'bunx hono-kafka-consume setup' : 'bun run setup'
