/** A gateway in a process of its own, with the processor time of each of its threads. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { untilListening } from './until-listening.ts'

const SERVER = join(import.meta.dirname, '..', '..', 'src', 'server.ts')
const TICKS_PER_SECOND = 100
const PORT = 18_321
/** Milliseconds in which an idle gateway spends no more than a share of one processor. */
const IDLE_MS = 500
const IDLE_SHARE = 0.1
const MAX_IDLE_ROUNDS = 120

/** Seconds of processor time. */
export interface ThreadUsage {
  /** The thread that spent most. */
  readonly busiest: number
  /** All threads together. */
  readonly all: number
}

export class ThreadedGateway implements AsyncDisposable {
  readonly port = PORT
  readonly #server: Bun.Subprocess

  private constructor(server: Bun.Subprocess) {
    this.#server = server
  }

  static async start(brokers: string, topic: string, workers: number): Promise<ThreadedGateway> {
    const flags = ['--brokers', brokers, '--topics', topic, '--workers', String(workers)]
    const others = ['--port', String(PORT), '--admin-port', 'off', '--log-level', 'error']
    const command = [process.execPath, SERVER, ...flags, ...others]
    const server = Bun.spawn(command, { stdout: 'ignore', stderr: 'inherit' })
    const gateway = new ThreadedGateway(server)
    try {
      await untilListening('the gateway', PORT, server, 20_000)
      return gateway
    } catch (error) {
      await gateway[Symbol.asyncDispose]()
      throw error
    }
  }

  /** The processor time that some work takes. */
  async measure(work: () => Promise<unknown>): Promise<ThreadUsage> {
    const before = this.#times()
    await work()
    const spent = [...this.#times()].map(([thread, time]) => time - (before.get(thread) ?? 0))
    return { busiest: Math.max(...spent), all: spent.reduce((sum, time) => sum + time, 0) }
  }

  /** Waits until the gateway has read what was written: its live consumer reads all records. */
  async untilIdle(): Promise<void> {
    for (let round = 0; round < MAX_IDLE_ROUNDS; round++) {
      const { all } = await this.measure(() => Bun.sleep(IDLE_MS))
      if (all < IDLE_SHARE * (IDLE_MS / 1_000)) return
    }
    throw new Error('Cannot measure: the gateway is never idle')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.kill('SIGKILL')
    await this.#server.exited
  }

  /** Seconds of processor time by thread. */
  #times(): Map<string, number> {
    const tasks = `/proc/${this.#server.pid}/task`
    return new Map(
      readdirSync(tasks).map((thread) => {
        const stat = readFileSync(join(tasks, thread, 'stat'), 'utf8')
        const [user, system] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14)
        return [thread, (Number(user) + Number(system)) / TICKS_PER_SECOND]
      }),
    )
  }
}
