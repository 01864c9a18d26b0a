/** TCP ports of this machine's loopback address. */
import { createServer } from 'node:net'

/**
 * A range below the ports that systems give to outgoing connections: a stopped broker must find its port
 * free when it starts again.
 */
const FIRST = 20_000
const LAST = 32_000

/** Different ports that are free now. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  for (let tries = 0; ports.size < count && tries < 1000; tries++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST))
    if (await isPortFree(port)) ports.add(port)
  }
  if (ports.size === count) return [...ports]
  throw new Error(`Cannot find ${count} free ports between ${FIRST} and ${LAST}`)
}

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error) => {
      if ('code' in error && error.code === 'EADDRINUSE') resolve(false)
      else reject(error)
    })
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
