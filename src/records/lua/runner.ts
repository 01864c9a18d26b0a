// biome-ignore lint/style/noRestrictedImports: a type only
import type { Worker } from 'node:worker_threads'
import { KafkaConsumeError } from '../../core/errors.ts'
import { logOf } from '../../core/log.ts'
import { threadProgram } from '../../core/package-url.ts'
import type { LuaPurpose, LuaThreadAnswer, LuaThreadData } from './thread.ts'

const log = logOf('lua')

/** The time that all functions together may take for one message, on a busy machine, too. */
const LIMIT_MS = 5_000
/** The time that a thread may take to start. */
const START_LIMIT_MS = 30_000

/** The result of running a message through the functions. */
export type LuaResult = Extract<
  LuaThreadAnswer,
  { status: 'done' | 'dropped' | 'failed' | 'exceeded' }
>

interface Call {
  readonly texts: readonly string[]
  resolve(result: LuaResult): void
  reject(error: unknown): void
}

/**
 * Runs messages through Lua functions, one after another in a thread of its own. When the functions
 * take too much time or memory, the message fails and the thread is replaced: neither a loop that
 * catches all errors nor a pattern that backtracks for ever can prevent that.
 */
export class LuaRunner {
  readonly #functions: readonly string[]
  readonly #purpose: LuaPurpose
  readonly #limit: number
  /** Messages without an answer. The first one is in progress. */
  #calls: Call[] = []
  #thread: Worker | undefined
  #starting: Promise<Worker> | undefined
  #deadline: ReturnType<typeof setTimeout> | undefined
  #closed = false

  /** @param limit Milliseconds for one message. */
  constructor(functions: readonly string[], purpose: LuaPurpose, limit = LIMIT_MS) {
    this.#functions = functions
    this.#purpose = purpose
    this.#limit = limit
  }

  /** Messages that wait for their result. */
  get pending(): number {
    return this.#calls.length
  }

  /**
   * @param texts What the purpose needs, as JSON: a record; a request's message and its circumstances;
   *   the circumstances of an entry.
   * @throws KafkaConsumeError when the functions cannot be run at all.
   */
  async run(...texts: string[]): Promise<LuaResult> {
    if (this.#closed) throw closed()
    const { promise, resolve, reject } = Promise.withResolvers<LuaResult>()
    this.#calls.push({ texts, resolve, reject })
    if (this.#thread) this.#post(this.#thread, texts)
    else void this.#begin()
    return promise
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#starting?.catch(() => {})
    this.#failAll(closed())
    await this.#end()
  }

  /** Starts a thread, and sends it all messages without an answer. */
  async #begin(): Promise<void> {
    if (this.#starting) return
    this.#starting = startThread(this.#functions, this.#purpose)
    try {
      const thread = await this.#starting
      if (this.#closed) {
        await thread.terminate()
        return
      }
      this.#thread = thread
      thread.on('message', (answer: LuaResult) => this.#answered(thread, answer))
      thread.on('error', (error: Error) => this.#stop(thread, error.message))
      thread.on('exit', () => this.#stop(thread, 'their thread ended'))
      // The thread must not keep a process alive that ends without closing this runner.
      thread.unref()
      for (const { texts } of this.#calls) this.#post(thread, texts)
    } catch (error) {
      this.#failAll(error)
    } finally {
      this.#starting = undefined
    }
  }

  #post(thread: Worker, texts: readonly string[]): void {
    thread.postMessage(texts)
    this.#deadline ??= this.#watch(thread)
  }

  #watch(thread: Worker): ReturnType<typeof setTimeout> {
    return setTimeout(
      () => this.#stop(thread, `they took more than ${this.#limit} ms`),
      this.#limit,
    )
  }

  #answered(thread: Worker, answer: LuaResult): void {
    if (thread !== this.#thread) return
    if (answer.status === 'exceeded') {
      this.#stop(thread, answer.error)
      return
    }
    clearTimeout(this.#deadline)
    this.#calls.shift()?.resolve(answer)
    this.#deadline = this.#calls.length > 0 ? this.#watch(thread) : undefined
  }

  /** Fails the first message, and leaves the others to the next thread. */
  #stop(thread: Worker, error: string): void {
    if (thread !== this.#thread) return
    log.warn('Lua functions were stopped: {error}', { error })
    void this.#end()
    this.#calls.shift()?.resolve({ status: 'exceeded', error })
    if (this.#calls.length > 0 && !this.#closed) void this.#begin()
  }

  async #end(): Promise<void> {
    clearTimeout(this.#deadline)
    this.#deadline = undefined
    const thread = this.#thread
    this.#thread = undefined
    await thread?.terminate()
  }

  #failAll(error: unknown): void {
    for (const call of this.#calls.splice(0)) call.reject(error)
  }
}

async function startThread(functions: readonly string[], purpose: LuaPurpose): Promise<Worker> {
  // biome-ignore lint/style/noRestrictedImports: threads are the runtime's own; loaded where Lua is used
  const { Worker } = await import('node:worker_threads')
  const workerData: LuaThreadData = { purpose, functions }
  // Deno's type of URL differs from Node's.
  const program = threadProgram('src/records/lua/thread') as ConstructorParameters<typeof Worker>[0]
  const thread = new Worker(program, { workerData })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const late = setTimeout(
    () => reject(unable(`it was not ready within ${START_LIMIT_MS} ms`)),
    START_LIMIT_MS,
  )
  const onError = (error: Error) => reject(unable(error.message))
  const onExit = () => reject(unable('its thread ended'))
  const onMessage = (answer: LuaThreadAnswer) => {
    if (answer.status === 'broken') reject(unable(answer.error))
    else resolve()
  }
  thread.on('error', onError).on('exit', onExit).once('message', onMessage)
  try {
    await promise
    return thread
  } catch (error) {
    await thread.terminate()
    throw error
  } finally {
    clearTimeout(late)
    thread.off('error', onError).off('exit', onExit)
  }
}

/** The error of a thread that did not start. It is retryable: records wait until the cause is fixed. */
function unable(detail: string): KafkaConsumeError {
  return new KafkaConsumeError('INTERNAL', 'Cannot run Lua functions: their state did not start', {
    detail,
    retryable: true,
  })
}

function closed(): KafkaConsumeError {
  return new KafkaConsumeError('SHUTTING_DOWN', 'Cannot run Lua functions: the route is closing')
}
