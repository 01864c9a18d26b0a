/**
 * Preloaded into a gateway's main thread: a port that the system chose for a listener goes to a stranger as
 * soon as that listener ends, as the system may give it to any process then.
 */
const { serve } = Bun

Bun.serve = ((options: Parameters<typeof serve>[0]) => {
  const server = serve(options)
  const isChosen = 'port' in options && Number(options.port) === 0
  const stop = server.stop.bind(server)
  server.stop = (closesConnections) => {
    const { port, hostname } = server
    const stopped = stop(closesConnections)
    if (isChosen && port !== undefined && hostname !== undefined) {
      serve({ port, hostname, reusePort: true, fetch: () => new Response('a stranger') })
    }
    return stopped
  }
  return server
}) as typeof serve
