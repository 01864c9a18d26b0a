import { connect, createServer, type Server, type Socket } from 'node:net'

/** Passes bytes on, and cuts each connection after a number of bytes of the answer. */
export class CuttingProxy implements Disposable {
  /** Connections that were cut. */
  cuts = 0
  readonly #server: Server
  readonly #target: number
  readonly #random: () => number
  readonly #maxBytes: number
  readonly #sockets = new Set<Socket>()

  private constructor(target: number, maxBytes: number, random: () => number) {
    this.#target = target
    this.#maxBytes = maxBytes
    this.#random = random
    this.#server = createServer((client) => this.#forward(client))
  }

  /**
   * @param target A port of this machine.
   * @param maxBytes A connection is cut after 1 to so many bytes of the answer.
   * @param random Numbers from 0 up to 1.
   */
  static async listen(
    target: number,
    maxBytes: number,
    random: () => number,
  ): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target, maxBytes, random)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('The proxy is closed')
    return address.port
  }

  /** Cuts what is open, wherever it is. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #forward(client: Socket): void {
    let left = 1 + Math.floor(this.#random() * this.#maxBytes)
    const isReset = this.#random() < 0.5
    const server = connect(this.#target, '127.0.0.1')
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        // The other side gets what was sent before.
        if (!other.destroyed) other.end()
      })
    }
    client.pipe(server)
    server.on('data', (bytes: Buffer) => {
      if (left <= 0) return
      const passed = bytes.subarray(0, left)
      left -= passed.length
      const isCut = left <= 0
      if (isCut) {
        this.cuts++
        // Both ends of a connection occur: closed in order, and reset.
        client.write(passed, () => (isReset ? client.resetAndDestroy() : client.destroySoon()))
        server.destroy()
      } else if (!client.write(passed)) {
        server.pause()
        client.once('drain', () => server.resume())
      }
    })
    server.on('end', () => client.end())
  }

  [Symbol.dispose](): void {
    this.#server.close()
    this.cutAll()
  }
}
