import { freePorts } from '../../../tools/kafka/ports.ts'
import { GatewayProcess } from '../../gateway/gateway-process.ts'

/** A gateway that is killed and started again at the same port. */
export class FieldGateway implements AsyncDisposable {
  readonly port: number
  readonly #flags: readonly string[]
  #process: GatewayProcess

  private constructor(port: number, flags: readonly string[], process: GatewayProcess) {
    this.port = port
    this.#flags = flags
    this.#process = process
  }

  static async start(...flags: string[]): Promise<FieldGateway> {
    const [port] = (await freePorts(1)) as [number]
    return new FieldGateway(port, flags, await spawn(port, flags))
  }

  /** Kills it without a word to its clients, and starts another one. */
  async killAndRestart(): Promise<void> {
    await this.#process.kill()
    this.#process = await spawn(this.port, this.#flags)
  }

  /** The lines of its log. */
  get log(): string {
    return this.#process.stderr
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process.kill()
  }
}

async function spawn(port: number, flags: readonly string[]): Promise<GatewayProcess> {
  const address = ['--host', '127.0.0.1', '--port', String(port), '--admin-port', 'off']
  const gateway = GatewayProcess.spawn([...address, ...flags])
  await gateway.url()
  return gateway
}
