/** A gateway says when it comes near its limit of open files: Bun says nothing when it cannot accept a connection. */
import { expect, test } from 'bun:test'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { until } from '../support/wait.ts'
import { GatewayProcess } from './gateway-process.ts'

const LIMIT = 400
const root = join(import.meta.dirname, '../..')

test('a gateway warns of a low limit of open files, and once when clients take nearly all of them', async () => {
  const gateway = GatewayProcess.spawnCommand(
    [
      ...['sh', '-c', `ulimit -n ${LIMIT}; exec "$@"`, 'sh', process.execPath, 'src/server.ts'],
      ...['--port', '0', '--host', '127.0.0.1', '--admin-port', 'off'],
    ],
    { WORKERS: '1' },
    root,
  )
  await using _ = gateway
  const { hostname, port } = new URL(await gateway.url())
  const low = `This process may open ${LIMIT} files, fewer than the 20000 streams of --max-subscribers`
  await until(
    () => gateway.logged(low) === 1,
    () => `the low limit in ${gateway.stderr}`,
  )
  expect(gateway.logged('are open')).toBe(0)

  const sockets: Socket[] = []
  try {
    for (let n = 0; n < LIMIT; n++) {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => undefined)
      sockets.push(socket)
    }
    const near = `of the ${LIMIT} files that this process may open are open`
    await until(
      () => gateway.logged(near) === 1,
      () => `the number of files in ${gateway.stderr}`,
      20_000,
    )
  } finally {
    for (const socket of sockets) socket.destroy()
  }
  await until(
    async () => (await fetch(`http://${hostname}:${port}/healthz`)).ok,
    'an answer',
    20_000,
  )
  expect(gateway.logged('are open')).toBe(1)
}, 90_000)
