/** Runs each measured program in its own process, so that it has its own event loop and heap. */
import { join } from 'node:path'
import type { Commands, Reply, Usage } from './programs/serve.ts'

/** Milliseconds for a process to answer one command, unless the call names another limit. */
const LIMIT_MS = 30_000
const KILL_AFTER_MS = 2_000

interface Pending {
  resolve(result: unknown): void
  reject(error: Error): void
}

/** A program of `programs/` in its own process, which takes commands. */
export class Child<C extends Commands> {
  readonly #name: string
  readonly #process: Bun.Subprocess
  readonly #pending = new Map<number, Pending>()
  #count = 0

  /** @param runtime The path of the runtime: Bun or Node. */
  constructor(name: string, runtime = process.execPath) {
    this.#name = name
    this.#process = Bun.spawn([runtime, join(import.meta.dirname, 'programs', `${name}.ts`)], {
      stdin: 'ignore',
      stdout: 'inherit',
      stderr: 'inherit',
      serialization: runtime === process.execPath ? 'advanced' : 'json',
      ipc: (reply: Reply) => this.#settle(reply),
    })
    void this.#process.exited.then(() => {
      const state = this.#process.signalCode ?? `exit code ${this.#process.exitCode}`
      for (const { reject } of this.#pending.values()) {
        reject(new Error(`Cannot go on with process ${name}: it ended by ${state}`))
      }
      this.#pending.clear()
    })
  }

  /**
   * @param limit Milliseconds for the answer.
   * @throws Error that the program threw, or if the program ended or exceeded the limit.
   */
  async ask<K extends string & keyof C>(
    command: K,
    ...rest: Parameters<C[K]> extends [] ? [] : [argument: Parameters<C[K]>[0], limit?: number]
  ): Promise<Awaited<ReturnType<C[K]>>> {
    const [argument, limit = LIMIT_MS] = rest as [unknown?, number?]
    return (await this.#send(command, argument, limit)) as Awaited<ReturnType<C[K]>>
  }

  async usage(): Promise<Usage> {
    return (await this.#send('usage', undefined, LIMIT_MS)) as Usage
  }

  /** Resolves when the process has ended. */
  async stop(): Promise<void> {
    this.#process.kill('SIGTERM')
    const late = setTimeout(() => this.#process.kill('SIGKILL'), KILL_AFTER_MS)
    await this.#process.exited
    clearTimeout(late)
  }

  #send(command: string, argument: unknown, limit: number): Promise<unknown> {
    const id = this.#count++
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const late = setTimeout(() => {
      reject(
        new Error(`Cannot ${command} in process ${this.#name}: no answer in ${limit / 1000} s`),
      )
    }, limit)
    this.#pending.set(id, { resolve, reject })
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
      reject(new Error(`Cannot ${command} in process ${this.#name}: it has ended`))
    } else this.#process.send({ id, command, argument })
    return promise.finally(() => {
      clearTimeout(late)
      this.#pending.delete(id)
    })
  }

  #settle(reply: Reply): void {
    const pending = this.#pending.get(reply.id)
    if ('error' in reply) pending?.reject(new Error(reply.error))
    else pending?.resolve(reply.result)
  }
}
