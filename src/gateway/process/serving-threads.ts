/**
 * Serves clients by several threads, which listen on the same ports. This thread owns Kafka, the
 * entities and the limits of all threads. A thread that ends by an error, or is blocked, is replaced.
 */
import { Worker } from 'node:worker_threads'
import { getLogger } from '@logtape/logtape'
import { settledWithin } from '../../core/deadline.ts'
import { LOG_ROOT } from '../../core/log.ts'
import { threadProgram } from '../../core/package-url.ts'
import type { SlicedWork } from '../../core/turns.ts'
import type { KongSnapshot } from '../../kong/model/entities.ts'
import { type FieldErrors, SchemaViolation } from '../../kong/model/schema-violation.ts'
import { combineMetrics } from '../../observability/metrics.ts'
import { combineStatus } from '../../observability/status.ts'
import { KafkaHost, SharedKafka } from '../../threads/kafka-host.ts'
import { BLOCKED_SECONDS, LivenessChecks, livenessMemory } from '../../threads/liveness.ts'
import { type MessageChannelEnd, Messenger } from '../../threads/messenger.ts'
import { ListSender, type SentLists } from '../../threads/sent-entities.ts'
import { SharedCounters } from '../../threads/shared-counters.ts'
import { GaugePlaces, gaugeMemory } from '../../threads/shared-gauges.ts'
import { NameLists } from '../../threads/shared-names.ts'
import type { ThreadReport } from '../app.ts'
import type { KnownClient } from '../auth/clients.ts'
import { randomSecret } from '../auth/sealed-cookie.ts'
import type { NotReady } from '../health.ts'
import type { GatewayConfig } from '../settings/gateway-settings.ts'
import { loadClients } from './clients-file.ts'
import type { Configuration, ConfiguredPart } from './configuration.ts'
import { assertHttpsPortFree } from './https-server.ts'
import { assertPortFree } from './listen.ts'
import type { ServedCluster } from './served-cluster.ts'
import { HTTP_FLAGS, type Serving, type SharedPorts } from './serving.ts'
import { exitWithError } from './shutdown.ts'
import { ThreadLogs } from './thread-log.ts'

/** Milliseconds before a thread that has ended is replaced: at first, and at most. */
const RESTART_MS = 100
const MAX_RESTART_MS = 10_000
/** Milliseconds after which a thread counts as one that lasts. */
const LASTING_MS = 30_000
/** Milliseconds that a thread may take to answer for its metrics and its state. */
const REPORT_MS = 3_000

const log = getLogger([LOG_ROOT, 'threads'])

/** The settings that a thread is started with. */
export interface ThreadSettings {
  readonly config: GatewayConfig
  readonly cluster: ServedCluster
  /** The number of this thread, from 0. */
  readonly index: number
  /** How many threads serve. */
  readonly threads: number
  readonly gauges: SharedArrayBuffer
  readonly liveness: SharedArrayBuffer
}

/** Kong's entities on their way to a thread. */
export interface SentEntities {
  readonly lists: SentLists
  /** The variables that may be shown. */
  readonly shown: ReadonlySet<string>
}

/** A thread's answer to entities. */
export interface AppliedEntities {
  /** Why the thread refuses them; then it serves the previous ones. */
  readonly violation?: FieldErrors
}

/** One running thread. */
interface ServingThread {
  readonly index: number
  readonly messenger: Messenger
  readonly host: KafkaHost
  readonly entities: ListSender
  /** Resolves when the thread can be given work; rejects when it ends before. */
  readonly ready: PromiseWithResolvers<void>
  readonly startedAt: number
  /** Whether it was told to end at once. */
  isEnding: boolean
  /** Ends the thread at once. */
  end(): void
}

export class ServingThreads implements Serving {
  readonly parts: readonly ConfiguredPart[]
  #config: GatewayConfig
  readonly #cluster: ServedCluster
  readonly #shown: ReadonlySet<string>
  readonly #gauges: SharedArrayBuffer
  readonly #places: GaugePlaces
  readonly #liveness: SharedArrayBuffer
  readonly #checks: LivenessChecks
  readonly #count: number
  readonly #kafka = new SharedKafka()
  readonly #counters = new SharedCounters()
  readonly #names = new NameLists()
  readonly #logs = new ThreadLogs()
  /** The running threads by their number. */
  readonly #threads = new Map<number, ServingThread>()
  /** Milliseconds before the next replacement, by the number of the thread. */
  readonly #delays = new Map<number, number>()
  /** The entities that threads serve. */
  #snapshot: KongSnapshot | undefined
  #ports: SharedPorts | undefined
  #stage: 'new' | 'listening' | 'started' | 'closing' = 'new'

  private constructor(
    config: GatewayConfig,
    { shown }: Configuration,
    cluster: ServedCluster,
    count: number,
  ) {
    this.#config = config
    this.#shown = shown
    this.#cluster = cluster
    this.#count = count
    this.#gauges = gaugeMemory(count)
    this.#places = new GaugePlaces(this.#gauges, count)
    this.#liveness = livenessMemory(count)
    this.#checks = new LivenessChecks(this.#liveness, (index) => this.#onBlocked(index))
    this.parts = [
      {
        apply: (snapshot) => this.#apply(snapshot),
        applyInTurns: (snapshot) => this.#applyInTurns(snapshot),
      },
    ]
  }

  /**
   * Starts the threads, which do not listen yet.
   *
   * @throws Error that says why an address cannot be used, or a file of certificates.
   */
  static async start(
    config: GatewayConfig,
    configuration: Configuration,
    cluster: ServedCluster,
    count: number,
  ): Promise<ServingThreads> {
    const serving = new ServingThreads(forThreads(config), configuration, cluster, count)
    for (let index = 0; index < count; index++) serving.#begin(index)
    await Promise.all([...serving.#threads.values()].map(({ ready }) => ready.promise))
    log.info('{count} threads serve, and one owns Kafka', { count })
    return serving
  }

  get https(): Serving['https'] {
    const { https } = this.#config
    if (!https) return undefined
    return { port: this.#ports?.httpsPort ?? https.port, isRedirectedTo: https.redirect }
  }

  /** The first thread listens before the others: from then on its ports are those of this process. */
  async listen(): Promise<number> {
    for (const { messenger } of this.#threads.values()) {
      this.#ports = await messenger.request<SharedPorts>('listen', this.#ports)
    }
    this.#stage = 'listening'
    return this.#ports?.port ?? this.#config.port
  }

  async replaceClients(clients: readonly KnownClient[]): Promise<void> {
    const { guard } = this.#config
    if (guard) this.#config = { ...this.#config, guard: { ...guard, clients } }
    await this.#askAll('replaceClients', clients)
  }

  async reloadCertificates(): Promise<string> {
    const [served] = await this.#askAll<string>('reloadCertificates')
    return served ?? ''
  }

  async notReady(): Promise<readonly NotReady[]> {
    const all = (await this.#askForReports<readonly NotReady[]>('notReady')).flat()
    return [...new Map(all.map((reason) => [reason.message, reason])).values()]
  }

  async start(): Promise<void> {
    this.#stage = 'started'
    await this.#askAll('start')
  }

  async stop(): Promise<void> {
    this.#stage = 'closing'
  }

  /** Ends the threads, and with the last of them what they had of Kafka. */
  async close(): Promise<void> {
    this.#stage = 'closing'
    const threads = [...this.#threads.values()]
    await Promise.allSettled(threads.map(({ messenger }) => messenger.request('close')))
    await Promise.all(threads.map(({ host }) => host.dispose(Promise.resolve())))
  }

  /** @throws SchemaViolation when a thread refuses the entities. */
  async #apply(snapshot: KongSnapshot): Promise<void> {
    this.#snapshot = snapshot
    const applied = await Promise.all([...this.#threads.values()].map((each) => this.#send(each)))
    const violation = applied.find((each) => each?.violation)?.violation
    if (violation) throw new SchemaViolation(violation)
  }

  *#applyInTurns(snapshot: KongSnapshot): SlicedWork<void> {
    let error: unknown
    yield this.#apply(snapshot).catch((thrown: unknown) => {
      error = thrown
    })
    if (error) throw error
  }

  /** @returns undefined when the thread has ended: the one that replaces it gets the entities. */
  async #send({ messenger, entities, ready }: ServingThread): Promise<AppliedEntities | undefined> {
    if (!this.#snapshot) return undefined
    try {
      await ready.promise
      const lists = entities.send(this.#snapshot as unknown as Parameters<ListSender['send']>[0])
      const sent: SentEntities = { lists, shown: new Set(this.#shown) }
      return await messenger.request<AppliedEntities>('apply', sent)
    } catch (error) {
      if (messenger.isClosed) return undefined
      throw error
    }
  }

  /** Asks all threads, and leaves out those that end meanwhile. */
  async #askAll<T>(name: string, payload?: unknown): Promise<T[]> {
    const answers = await Promise.all(
      [...this.#threads.values()].map(async ({ messenger, ready }) => {
        try {
          await ready.promise
          return [await messenger.request<T>(name, payload)]
        } catch (error) {
          if (messenger.isClosed) return []
          throw error
        }
      }),
    )
    return answers.flat()
  }

  /** Asks all threads, and leaves out those that do not answer in time. */
  async #askForReports<T>(name: string): Promise<T[]> {
    const found: T[] = []
    const asking = [...this.#threads.values()].map(async ({ messenger }) => {
      found.push(await messenger.request<T>(name))
    })
    await settledWithin(Promise.allSettled(asking), REPORT_MS)
    return found
  }

  #begin(index: number): ServingThread {
    const workerData: ThreadSettings = {
      config: this.#config,
      cluster: this.#cluster,
      index,
      threads: this.#count,
      gauges: this.#gauges,
      liveness: this.#liveness,
    }
    const worker = new Worker(threadProgram('src/gateway/process/serving-thread'), { workerData })
    const messenger = new Messenger(worker as unknown as MessageChannelEnd)
    const thread: ServingThread = {
      index,
      messenger,
      host: new KafkaHost(messenger, this.#kafka),
      entities: new ListSender(),
      ready: Promise.withResolvers<void>(),
      startedAt: performance.now(),
      isEnding: false,
      end: () => void worker.terminate(),
    }
    thread.ready.promise.catch(() => undefined)
    this.#places.serve(messenger, index)
    this.#counters.serve(messenger)
    this.#names.serve(messenger)
    this.#logs.serve(messenger, index)
    messenger.handle({
      begun: () => {
        this.#checks.watch(index)
        thread.ready.resolve()
      },
      failed: (error: string) => this.#onError(thread, error),
      metrics: async () => combineMetrics(await this.#metrics()),
      status: async () => {
        const reports = await this.#askForReports<ThreadReport>('report')
        return combineStatus(reports.map(({ status }) => status))
      },
      sessionEnded: (id: string) => this.#endSession(id, thread),
    })
    worker.on('error', (error: unknown) => this.#onError(thread, error))
    worker.on('exit', () => void this.#onExit(thread).catch(exitWithError))
    this.#threads.set(index, thread)
    return thread
  }

  async #metrics(): Promise<Array<NonNullable<ThreadReport['metrics']>>> {
    const reports = await this.#askForReports<ThreadReport>('report')
    return reports.flatMap(({ metrics }) => (metrics ? [metrics] : []))
  }

  #endSession(id: string, by: ServingThread): void {
    for (const thread of this.#threads.values()) {
      if (thread !== by) thread.messenger.notify('endSession', id)
    }
  }

  #onError({ ready, index }: ServingThread, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    // A gateway that cannot begin says why as one with a single thread does.
    if (this.#stage === 'new') ready.reject(new Error(message, { cause: error }))
    else log.error('Thread {index} ends by an error: {message}', { index, message })
  }

  /** Ends a thread that does nothing any more, as in an endless loop. */
  #onBlocked(index: number): void {
    const thread = this.#threads.get(index)
    if (!thread || this.#isClosing) return
    // A thread ends once it is back in JavaScript. One that never is holds its share of the port.
    if (thread.isEnding) exitWithError(new Error(`Cannot end thread ${index}: it is blocked`))
    thread.isEnding = true
    log.error('Thread {index} has been blocked for {seconds} s: it is ended', {
      index,
      seconds: BLOCKED_SECONDS,
    })
    thread.end()
  }

  /** Ends what the thread had of Kafka, and starts another one in its place. */
  async #onExit(thread: ServingThread): Promise<void> {
    const { index, host, ready, startedAt } = thread
    this.#threads.delete(index)
    this.#checks.forget(index)
    this.#places.forget(index)
    this.#names.forget(thread.messenger)
    const ended = new Error(`Cannot serve: thread ${index} has ended`)
    ready.reject(ended)
    const replaced = Promise.withResolvers<void>()
    void host.dispose(replaced.promise).catch((error: unknown) => {
      log.error('Cannot end what thread {index} had: {error}', { index, error })
    })
    if (this.#stage === 'closing' || this.#stage === 'new') return replaced.resolve()
    const hasLasted = performance.now() - startedAt > LASTING_MS
    const delay = hasLasted ? RESTART_MS : (this.#delays.get(index) ?? RESTART_MS)
    this.#delays.set(index, Math.min(2 * delay, MAX_RESTART_MS))
    log.warn('Thread {index} has ended: another one takes its place in {delay} ms', {
      index,
      delay,
    })
    await Bun.sleep(delay)
    if (this.#isClosing) return replaced.resolve()
    const next = this.#begin(index)
    try {
      await this.#bringUp(next)
      log.info('Thread {index} serves again', { index })
    } catch (error) {
      // A thread that has ended meanwhile is replaced by the handler of its end.
      if (!next.messenger.isClosed) {
        log.error('Cannot use thread {index}: {error}', { index, error })
        next.end()
      }
    }
    replaced.resolve()
  }

  get #isClosing(): boolean {
    return this.#stage === 'closing'
  }

  /** Has a new thread serve the present entities. */
  async #bringUp(thread: ServingThread): Promise<void> {
    await thread.ready.promise
    let served: KongSnapshot | undefined
    // The entities may change while the thread takes them in.
    do {
      served = this.#snapshot
      await this.#send(thread)
    } while (served !== this.#snapshot)
    await thread.messenger.request('listen', this.#ports)
    if (this.#stage === 'started') await thread.messenger.request('start')
  }
}

/** The settings that all threads share, of which some are chosen only now. */
function forThreads(config: GatewayConfig): GatewayConfig {
  const { guard, https, host, sessions } = config
  assertPortFree(config, HTTP_FLAGS)
  if (https) assertHttpsPortFree(host, https)
  return {
    ...config,
    clients: undefined,
    guard: config.clients === undefined ? guard : { ...guard, clients: loadClients(config) },
    sessions: sessions && {
      isTemporary: !sessions.secret,
      ...sessions,
      secret: sessions.secret ?? randomSecret(),
    },
  }
}
