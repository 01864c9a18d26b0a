import { connect, createServer, type Server, type Socket } from 'node:net'

/** One address for several servers, as a load balancer: each connection goes to one that accepts it. */
export class Balancer implements Disposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** The ports of the servers, in turn. */
  targets: readonly number[]
  #turn = 0

  private constructor(targets: readonly number[]) {
    this.targets = targets
    this.#server = createServer((client) => {
      this.#track(client)
      this.#forward(client, this.targets.length)
    })
  }

  static async listen(targets: readonly number[]): Promise<Balancer> {
    const balancer = new Balancer(targets)
    await new Promise<void>((resolve) => balancer.#server.listen(0, '127.0.0.1', resolve))
    return balancer
  }

  get url(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('The balancer is closed')
    return `http://127.0.0.1:${address.port}`
  }

  /** @param tries Servers that may still be asked before the client is sent away. */
  #forward(client: Socket, tries: number): void {
    const port = this.targets[this.#turn++ % this.targets.length]
    if (tries === 0 || port === undefined) {
      client.destroy()
      return
    }
    const server = connect(port, '127.0.0.1')
    this.#track(server)
    const refused = () => this.#forward(client, tries - 1)
    server.once('error', refused)
    server.once('connect', () => {
      server.off('error', refused)
      for (const socket of [client, server]) {
        socket.on('close', () => {
          client.destroy()
          server.destroy()
        })
      }
      client.pipe(server).pipe(client)
    })
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
  }

  [Symbol.dispose](): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}
