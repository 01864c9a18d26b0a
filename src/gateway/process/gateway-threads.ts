/**
 * Serves a gateway's clients by several threads, which listen on the same ports. This thread owns Kafka,
 * the entities and the limits of all threads.
 */
import type { SlicedWork } from '../../core/sliced-work.ts'
import type { KongSnapshot } from '../../kong/model/entities.ts'
import { type FieldErrors, SchemaViolation } from '../../kong/model/schema-violation.ts'
import type { MessageHandlers } from '../../threads/messenger.ts'
import { ListSender, type SentLists } from '../../threads/sent-entities.ts'
import type { KnownClient } from '../auth/clients.ts'
import { randomSecret } from '../auth/sealed-cookie.ts'
import type { NotReady } from '../health.ts'
import type { GatewayConfig } from '../settings/gateway-settings.ts'
import { loadClients } from './clients-file.ts'
import type { Configuration, ConfiguredPart } from './configuration.ts'
import { type GatewayServer, HTTP_FLAGS, type SharedPorts } from './gateway-server.ts'
import { assertHttpsPortFree } from './https-server.ts'
import { assertPortFree } from './listen.ts'
import type { ServedCluster } from './served-cluster.ts'
import { exitWithError } from './shutdown.ts'
import { ThreadLogs } from './thread-log.ts'
import { type PooledThread, ThreadPool } from './thread-pool.ts'
import { ThreadReports } from './thread-reports.ts'

/** Why requests cannot be served while all threads are blocked, or are being replaced. */
const NO_THREAD = { code: 'STARTING', message: 'Cannot serve now: no thread answers' }

/** The settings of a thread's gateway. */
export interface GatewayThreadSettings {
  readonly config: GatewayConfig
  readonly cluster: ServedCluster
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

export class GatewayThreads implements GatewayServer {
  readonly parts: readonly ConfiguredPart[]
  #config: GatewayConfig
  readonly #shown: ReadonlySet<string>
  readonly #logs = new ThreadLogs()
  /** The entities that each thread was sent. */
  readonly #sent = new WeakMap<PooledThread, ListSender>()
  readonly #pool: ThreadPool<GatewayThreadSettings>
  readonly #reports = new ThreadReports(() => this.#pool.threads)
  /** The entities that threads serve. */
  #snapshot: KongSnapshot | undefined
  #ports: SharedPorts | undefined
  #isStarted = false

  private constructor(
    config: GatewayConfig,
    { shown }: Configuration,
    cluster: ServedCluster,
    count: number,
  ) {
    this.#config = config
    this.#shown = shown
    this.#pool = new ThreadPool(
      {
        path: 'src/gateway/process/gateway-thread',
        name: 'by threads',
        settings: () => ({ config: this.#config, cluster }),
        handlers: (thread) => this.#handlers(thread),
        bringUp: (thread) => this.#bringUp(thread),
        start: async ({ messenger }) => this.#isStarted && messenger.request('start'),
        onFatalError: exitWithError,
      },
      count,
    )
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
  ): Promise<GatewayThreads> {
    const threads = new GatewayThreads(forThreads(config), configuration, cluster, count)
    await threads.#pool.start()
    return threads
  }

  get https(): GatewayServer['https'] {
    const { https } = this.#config
    if (!https) return undefined
    return { port: this.#ports?.httpsPort ?? https.port, isRedirectedTo: https.redirect }
  }

  /** The first thread listens before the others: from then on its ports are those of this process. */
  async listen(): Promise<number> {
    for (const { messenger } of this.#pool.threads) {
      this.#ports = await messenger.request<SharedPorts>('listen', this.#ports)
    }
    this.#pool.replaceEnded()
    return this.#ports?.port ?? this.#config.port
  }

  async replaceClients(clients: readonly KnownClient[]): Promise<void> {
    const { guard } = this.#config
    if (guard) this.#config = { ...this.#config, guard: { ...guard, clients } }
    await this.#pool.askAll('replaceClients', clients)
  }

  async reloadCertificates(): Promise<string> {
    const served = await this.#pool.askAll<string>('reloadCertificates')
    return served.find((text) => text !== undefined) ?? ''
  }

  async notReady(): Promise<readonly NotReady[]> {
    const found = await this.#pool.askForReports<readonly NotReady[]>('notReady')
    if (found.length === 0) return [{ ...NO_THREAD, since: Date.now() }]
    const all = found.flat()
    return [...new Map(all.map((reason) => [reason.message, reason])).values()]
  }

  async start(): Promise<void> {
    this.#isStarted = true
    await this.#pool.askAll('start')
  }

  async stop(): Promise<void> {
    this.#pool.stopReplacing()
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  /** @throws SchemaViolation when a thread refuses the entities. */
  async #apply(snapshot: KongSnapshot): Promise<void> {
    this.#snapshot = snapshot
    const applied = await Promise.all(this.#pool.threads.map((thread) => this.#send(thread)))
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
  async #send(thread: PooledThread): Promise<AppliedEntities | undefined> {
    if (!this.#snapshot) return undefined
    const sender = this.#sent.get(thread) ?? new ListSender()
    this.#sent.set(thread, sender)
    const lists = sender.send(this.#snapshot as unknown as Parameters<ListSender['send']>[0])
    const sent: SentEntities = { lists, shown: new Set(this.#shown) }
    return this.#pool.ask<AppliedEntities>(thread, 'apply', sent)
  }

  #handlers(thread: PooledThread): MessageHandlers {
    return {
      ...this.#logs.handlers(thread.index),
      metrics: () => this.#reports.metrics(thread),
      status: () => this.#reports.status(thread),
      sessionEnded: (id: string) => this.#endSession(id, thread),
    }
  }

  #endSession(id: string, by: PooledThread): void {
    for (const { index, messenger } of this.#pool.threads) {
      if (index !== by.index) messenger.notify('endSession', id)
    }
  }

  /** Makes a new thread serve the present entities. */
  async #bringUp(thread: PooledThread): Promise<void> {
    let served: KongSnapshot | undefined
    // The entities may change while the thread takes them in.
    do {
      served = this.#snapshot
      await this.#send(thread)
    } while (served !== this.#snapshot)
    await thread.messenger.request('listen', this.#ports)
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
