/** How this gateway is started: by a script of the checkout, or by the package's command. */
export const COMMAND = import.meta.url.includes('/node_modules/')
  ? 'bunx hono-kafka-consume server'
  : 'bun run server'
