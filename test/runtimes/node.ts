/**
 * `node test/runtimes/node.ts FOLDER PORT`, where the folder has the package as it is published: Node
 * reads no TypeScript of a dependency, and no JSX.
 */
import { join } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { serve } from '@hono/node-server'
import { WebSocketServer } from 'ws'
import { hostApp } from './host.ts'

type Sockets = NonNullable<Parameters<typeof serve>[0]['websocket']>['server']

const [folder = '', port = '0'] = process.argv.slice(2)
const entry = pathToFileURL(join(folder, 'src/index.js'))
const exported = (await import(entry.href)) as typeof import('../../src/index.ts')

// Its declarations allow what the adapter's do not, of options that we give here.
const sockets = new WebSocketServer({ noServer: true }) as unknown as Sockets
serve(
  {
    port: Number(port),
    hostname: '127.0.0.1',
    websocket: { server: sockets },
    fetch: hostApp(exported).fetch,
  },
  (info) => console.log(`http://127.0.0.1:${info.port}`),
)
