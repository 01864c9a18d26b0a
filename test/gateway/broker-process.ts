/** An embedded broker in a process of its own, which a test can freeze. */
import { startEmbeddedBroker } from '../../kafka/embedded/embedded.ts'
import { within } from '../support/wait.ts'

export class BrokerProcess implements AsyncDisposable {
  readonly address: string
  readonly #child: Bun.Subprocess

  private constructor(child: Bun.Subprocess, address: string) {
    this.#child = child
    this.address = address
  }

  static async start(topic: string): Promise<BrokerProcess> {
    const child = Bun.spawn([process.execPath, import.meta.path, topic], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
    })
    try {
      const first = await within(child.stdout.getReader().read(), 'the broker to start')
      return new BrokerProcess(child, new TextDecoder().decode(first.value).trim())
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
  }

  /** It keeps its connections and answers nothing more. */
  freeze(): void {
    this.#child.kill('SIGSTOP')
  }

  /** It answers again, as well what it was asked meanwhile. */
  thaw(): void {
    this.#child.kill('SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await within(this.#child.exited, 'the broker to exit')
  }
}

if (import.meta.main) {
  const [, , topic = ''] = process.argv
  const broker = await startEmbeddedBroker({ topic, records: 100, recordsPerSecond: 20 })
  console.log(broker.bootstrapServers.join(','))
}
