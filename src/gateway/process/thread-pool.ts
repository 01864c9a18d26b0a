/**
 * Threads that run one program and serve clients. This thread owns Kafka and the limits of all threads.
 * A thread that ends by an error, or is blocked, is replaced.
 */
import { Worker } from 'node:worker_threads'
import { settledWithin } from '../../core/deadline.ts'
import { logOf } from '../../core/log.ts'
import { threadProgram } from '../../core/package-url.ts'
import { KafkaHost, SharedKafka } from '../../threads/kafka-host.ts'
import { BLOCKED_SECONDS, LivenessChecks, livenessMemory } from '../../threads/liveness.ts'
import { type MessageChannelEnd, type MessageHandlers, Messenger } from '../../threads/messenger.ts'
import { SharedCounters } from '../../threads/shared-counters.ts'
import { GaugePlaces, gaugeMemory } from '../../threads/shared-gauges.ts'
import { NameLists } from '../../threads/shared-names.ts'

/** Milliseconds before a thread that has ended is replaced: at first, and at most. */
const RESTART_MS = 100
const MAX_RESTART_MS = 10_000
/** Milliseconds after which a thread counts as one that lasts. */
const LASTING_MS = 30_000
/** Milliseconds within which a thread begins to serve, by default. */
export const START_LIMIT_MS = 60_000
/** Milliseconds within which a thread ends that has not begun, before this process gives up. */
const END_LIMIT_MS = 15_000
/** Milliseconds that threads may take to end. */
const ENDING_MS = 1_000
/** Milliseconds that a thread may take to answer for its metrics and its state. */
const REPORT_MS = 3_000

const log = logOf('threads')

/** The settings that a thread is started with. */
export interface ThreadSettings<Own> {
  /** The number of this thread, from 0. */
  readonly index: number
  /** How many threads serve. */
  readonly threads: number
  readonly gauges: SharedArrayBuffer
  readonly liveness: SharedArrayBuffer
  /** The settings of its program. */
  readonly own: Own
}

/** The program of the threads, and this thread's part of it. */
export interface ThreadProgram<Own> {
  /** Its file, from the folder of the package, without an extension. */
  readonly path: string
  /** The module or program that threads serve, for messages. */
  readonly name: string
  /** Milliseconds within which a thread begins. Default: {@link START_LIMIT_MS}. */
  readonly startLimit?: number
  /** The program's settings for a thread that starts now. */
  settings(): Own
  /** The requests that a new thread may send. */
  handlers(thread: PooledThread): MessageHandlers
  /** Makes a thread that takes another one's place serve as the others do. */
  bringUp(thread: PooledThread): Promise<void>
  /**
   * Called when such a thread serves: resolves when it has its shares of Kafka, which may take as long as an
   * outage. The ended thread keeps its own until then, at most some seconds. Default: at once.
   */
  start?(thread: PooledThread): Promise<unknown>
  /** Called when no thread can be started any more, or one that is blocked cannot be ended. */
  onFatalError(error: unknown): void
}

/** One running thread. */
export interface PooledThread {
  readonly index: number
  readonly messenger: Messenger
  /** Resolves when the thread can be given work; rejects when it ends before. */
  readonly ready: Promise<void>
}

interface RunningThread extends PooledThread {
  readonly host: KafkaHost
  readonly beginning: PromiseWithResolvers<void>
  readonly startedAt: number
  /** Finds that the thread does not begin. */
  readonly starting: ReturnType<typeof setTimeout>
  /** Whether it was told to end at once. */
  isEnding: boolean
  /** Whether it has begun to serve. */
  hasBegun: boolean
  /** Ends the thread at once. Resolves when it has ended. */
  end(): Promise<unknown>
}

export class ThreadPool<Own> {
  readonly #program: ThreadProgram<Own>
  readonly #count: number
  readonly #gauges: SharedArrayBuffer
  readonly #places: GaugePlaces
  readonly #liveness: SharedArrayBuffer
  readonly #checks: LivenessChecks
  readonly #kafka = new SharedKafka()
  readonly #counters = new SharedCounters()
  readonly #names = new NameLists()
  /** The running threads by their number. */
  readonly #threads = new Map<number, RunningThread>()
  /** Milliseconds before the next replacement, by the number of the thread. */
  readonly #delays = new Map<number, number>()
  #stage: 'new' | 'serving' | 'closing' = 'new'

  constructor(program: ThreadProgram<Own>, count: number) {
    this.#program = program
    this.#count = count
    this.#gauges = gaugeMemory(count)
    this.#places = new GaugePlaces(this.#gauges, count)
    this.#liveness = livenessMemory(count)
    this.#checks = new LivenessChecks(this.#liveness, (index) => this.#onBlocked(index))
  }

  /**
   * Starts the threads.
   *
   * @throws Error by which a thread has ended instead.
   */
  async start(): Promise<void> {
    const count = this.#count
    for (let index = 0; index < count; index++) this.#begin(index)
    try {
      await Promise.all(this.threads.map(({ ready }) => ready))
    } catch (error) {
      await this.end()
      throw error
    }
    log.info('{count} threads serve, and one owns Kafka', { count })
  }

  get threads(): readonly PooledThread[] {
    return [...this.#threads.values()]
  }

  /** Replaces threads that end from now on. */
  replaceEnded(): void {
    this.#stage = 'serving'
  }

  /** Replaces no thread any more. */
  stopReplacing(): void {
    this.#stage = 'closing'
  }

  /** Ends the threads, and with the last of them what they had of Kafka. */
  async close(): Promise<void> {
    this.stopReplacing()
    const threads = [...this.#threads.values()]
    // A thread that has not begun serves no client, and may never answer a request.
    const closing = threads.map((thread) =>
      thread.hasBegun ? thread.messenger.request('close') : thread.end(),
    )
    await Promise.allSettled(closing)
    await Promise.all(threads.map(({ host }) => host.dispose(Promise.resolve())))
    this.#checks.stop()
  }

  /** Ends all threads at once. Resolves when they have ended, or cannot be ended. */
  async end(): Promise<void> {
    this.stopReplacing()
    this.#checks.stop()
    const ending = [...this.#threads.values()].map((thread) => thread.end())
    await settledWithin(Promise.allSettled(ending), ENDING_MS)
  }

  /** Asks a thread; undefined when it has ended. */
  async ask<T>(
    { messenger, ready }: PooledThread,
    name: string,
    payload?: unknown,
  ): Promise<T | undefined> {
    try {
      await ready
      return await messenger.request<T>(name, payload)
    } catch (error) {
      if (messenger.isClosed) return undefined
      throw error
    }
  }

  /** Asks all threads. The answer of one that ends meanwhile is undefined. */
  askAll<T>(name: string, payload?: unknown): Promise<Array<T | undefined>> {
    return Promise.all(this.threads.map((thread) => this.ask<T>(thread, name, payload)))
  }

  /** Asks all threads, and leaves out those that do not answer in time. */
  async askForReports<T>(name: string): Promise<T[]> {
    const found: T[] = []
    const asking = this.threads.map(async ({ messenger }) => {
      found.push(await messenger.request<T>(name))
    })
    await settledWithin(Promise.allSettled(asking), REPORT_MS)
    return found
  }

  #begin(index: number): RunningThread {
    const settings: ThreadSettings<Own> = {
      index,
      threads: this.#count,
      gauges: this.#gauges,
      liveness: this.#liveness,
      own: this.#program.settings(),
    }
    const worker = new Worker(threadProgram(this.#program.path), { workerData: settings })
    const messenger = new Messenger(worker as unknown as MessageChannelEnd)
    const beginning = Promise.withResolvers<void>()
    beginning.promise.catch(() => undefined)
    const thread: RunningThread = {
      index,
      messenger,
      host: new KafkaHost(messenger, this.#kafka),
      beginning,
      ready: beginning.promise,
      startedAt: performance.now(),
      starting: setTimeout(() => this.#onLate(thread), this.#startLimit),
      isEnding: false,
      hasBegun: false,
      end: () => worker.terminate(),
    }
    this.#places.serve(messenger, index)
    this.#counters.serve(messenger)
    this.#names.serve(messenger)
    messenger.handle({
      begun: () => {
        clearTimeout(thread.starting)
        thread.hasBegun = true
        this.#checks.watch(index)
        beginning.resolve()
      },
      failed: (error: string) => this.#onError(thread, error),
      ...this.#program.handlers(thread),
    })
    worker.on('error', (error: unknown) => this.#onError(thread, error))
    worker.on('exit', () => {
      void this.#onExit(thread).catch((error: unknown) => this.#program.onFatalError(error))
    })
    this.#threads.set(index, thread)
    return thread
  }

  #onError({ beginning, index }: RunningThread, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    // A process that cannot begin says why as one with a single thread does.
    if (this.#stage === 'new') beginning.reject(new Error(message, { cause: error }))
    else log.error('Thread {index} ends by an error: {message}', { index, message })
  }

  get #startLimit(): number {
    return this.#program.startLimit ?? START_LIMIT_MS
  }

  /** Ends a thread that does not begin, as one whose module waits for ever. */
  #onLate(thread: RunningThread): void {
    if (this.#isClosing) return
    const { index, beginning } = thread
    const error = new Error(
      `Cannot serve ${this.#program.name}: thread ${index} has not begun within ${this.#startLimit / 1_000} s; an endless loop or an await at the top level of a module may keep it from that`,
    )
    if (this.#stage === 'new') {
      beginning.reject(error)
      return
    }
    log.error('{message}', { message: error.message })
    thread.isEnding = true
    void thread.end()
    // A thread that is in native code for ever cannot be ended.
    setTimeout(() => {
      if (this.#threads.get(index) === thread && !this.#isClosing) this.#program.onFatalError(error)
    }, END_LIMIT_MS).unref()
  }

  /** Ends a thread that does nothing any more, as in an endless loop. */
  #onBlocked(index: number): void {
    const thread = this.#threads.get(index)
    if (!thread || this.#isClosing) return
    // A thread ends once it is back in JavaScript. One that never is holds its share of the port.
    if (thread.isEnding) {
      this.#program.onFatalError(new Error(`Cannot end thread ${index}: it is blocked`))
      return
    }
    thread.isEnding = true
    log.error('Thread {index} has been blocked for {seconds} s: it is ended', {
      index,
      seconds: BLOCKED_SECONDS,
    })
    void thread.end()
  }

  /** Ends what the thread had of Kafka, and starts another one in its place. */
  async #onExit(thread: RunningThread): Promise<void> {
    const { index, host, beginning, messenger, startedAt, starting } = thread
    this.#threads.delete(index)
    clearTimeout(starting)
    this.#checks.forget(index)
    this.#places.forget(index)
    this.#names.forget(messenger)
    beginning.reject(new Error(`Cannot serve: thread ${index} has ended`))
    const replaced = Promise.withResolvers<void>()
    void host.dispose(replaced.promise).catch((error: unknown) => {
      log.error('Cannot end what thread {index} had: {error}', { index, error })
    })
    if (this.#stage !== 'serving') return replaced.resolve()
    const hasLasted = performance.now() - startedAt > LASTING_MS
    const delay = hasLasted ? RESTART_MS : (this.#delays.get(index) ?? RESTART_MS)
    this.#delays.set(index, Math.min(2 * delay, MAX_RESTART_MS))
    log.warn('Thread {index} has ended: another one takes its place in {delay} ms', {
      index,
      delay,
    })
    await new Promise((resolve) => setTimeout(resolve, delay))
    if (this.#isClosing) return replaced.resolve()
    const next = this.#begin(index)
    try {
      await next.ready
      // A thread that began while the pool closed would serve after its end.
      if (this.#isClosing) return replaced.resolve()
      await this.#program.bringUp(next)
      log.info('Thread {index} serves again', { index })
      await this.#program.start?.(next)
    } catch (error) {
      // A thread that has ended meanwhile is replaced by the handler of its end.
      if (!next.messenger.isClosed) {
        log.error('Cannot use thread {index}: {error}', { index, error })
        void next.end()
      }
    }
    replaced.resolve()
  }

  get #isClosing(): boolean {
    return this.#stage === 'closing'
  }
}
