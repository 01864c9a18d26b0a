import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from './port.ts'

/** A port that nobody listens on, until `open` forwards it: a broker that comes up later. */
export class LatePort {
  readonly port: number
  #server: Server | undefined
  readonly #sockets = new Set<Socket>()

  private constructor(port: number) {
    this.port = port
  }

  static async reserve(): Promise<LatePort> {
    return new LatePort(await freePort())
  }

  async open(target: string): Promise<void> {
    const port = Number(target.split(':')[1])
    const server = createServer((client) => {
      const broker = connect(port, '127.0.0.1')
      for (const socket of [client, broker]) {
        this.#sockets.add(socket)
        socket.on('error', () => undefined)
        socket.on('close', () => {
          client.destroy()
          broker.destroy()
        })
      }
      client.pipe(broker).pipe(client)
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve))
  }

  close(): void {
    this.#server?.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
