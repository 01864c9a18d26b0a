/** The command that starts this gateway: a script of the checkout, or the package's command. */
export const COMMAND = import.meta.url.includes('/node_modules/')
  ? 'bunx hono-kafka-consume server'
  : 'bun run server'
