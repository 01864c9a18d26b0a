/** Starts and closes the gateway's handlers, whichever come and go, and watches Kafka for them. */
import type { Handler } from 'hono'
import { settledWithin } from '../core/deadline.ts'
import { asKafkaConsumeError } from '../core/errors.ts'
import { registerClosed, registerOpen } from '../core/hot-reload.ts'
import { allSettled, inTurn } from '../core/in-turn.ts'
import { logOf } from '../core/log.ts'
import { Semaphore } from '../core/semaphore.ts'
import type { PartitionRange, RouteStats } from '../http/route/route-stats.ts'
import type { TopicDetails } from '../http/route/topic-details.ts'
import type { KafkaOutage } from '../port/kafka.ts'
import type { PartitionReplicas, PartitionSizes, TopicSetting } from '../port/topic-details.ts'
import type { NotReady } from './health.ts'
import { isOfOneRoute, OutageLog } from './outage-log.ts'

/** Milliseconds between two polls of the outages, and between two attempts to start a handler. */
const POLL_INTERVAL_MS = 1_000
/**
 * Milliseconds between two reports while handlers start. A report asks all handlers: one for each
 * start would be quadratic, and block the process for seconds with thousands of routes.
 */
const REPORT_INTERVAL_MS = 100
/** Milliseconds that a replaced handler stays open at most until its successors have started. */
const HANDOVER_MS = 5_000
/** Handlers that start at a time: each may connect and join a group. */
const MAX_CONCURRENT_STARTS = 16
/**
 * Handlers that are started before their first request, at most. One that reads as a consumer group
 * has a client with some threads of its own: with thousands of routes they would exhaust the machine.
 * Overflow policy: a further handler starts with its first request, or when others are removed.
 */
export const MAX_EAGER_STARTS = 256

const log = logOf('gateway')

/** A handler that the gateway starts and closes. */
export interface SupervisedHandler extends Handler {
  start(): Promise<void>
  outage(): KafkaOutage | undefined
  close(): Promise<void>
}

/** A handler that reads Kafka: the part of `kafkaConsume`'s result that the gateway uses. */
export interface KafkaRoute extends SupervisedHandler {
  stats(): RouteStats
  partitions(): Promise<readonly PartitionRange[]>
  topicDetails(topics?: readonly string[]): Promise<TopicDetails>
  partitionSizes(partitions: readonly PartitionReplicas[]): Promise<PartitionSizes>
  topicSettings(topic: string): Promise<readonly TopicSetting[]>
}

interface SupervisedRoute {
  readonly route: SupervisedHandler
  /** The brokers of its cluster, for the log. */
  readonly brokers: string
  isStarted: boolean
  /** Whether its first request starts it. */
  isDeferred: boolean
  /** Resolves when the first attempt to start has ended, or the route is removed before. */
  readonly attempted: PromiseWithResolvers<void>
  /** The error of the last attempt to start. */
  startError: NotReady | undefined
  readonly removed: PromiseWithResolvers<void>
}

export class Supervisor {
  readonly #supervised = new Map<SupervisedHandler, SupervisedRoute>()
  /** Removed handlers that are not closed yet. */
  readonly #ending = new Set<Promise<void>>()
  readonly #starts = new Semaphore(MAX_CONCURRENT_STARTS)
  /** Handlers that were started here, or are starting. */
  readonly #eager = new Set<SupervisedRoute>()
  readonly #outages = new OutageLog()
  #stage: 'new' | 'running' | 'closing' = 'new'
  /** Milliseconds since 1970 at which the present stage began, but for `running`. */
  #since = Date.now()
  #timer: ReturnType<typeof setInterval> | undefined
  #isReportDue = false
  #reportedAt = Number.NEGATIVE_INFINITY
  #started: Promise<void> | undefined
  #closed: Promise<void> | undefined
  readonly #closing = Promise.withResolvers<void>()
  readonly #maxEager: number

  /** @param maxEager Handlers that start before their first request. */
  constructor(maxEager = MAX_EAGER_STARTS) {
    this.#maxEager = maxEager
  }

  /**
   * Supervises a handler from now on. It starts in the background once {@link start} was called.
   *
   * @returns resolves when the first attempt to start it has ended, successfully or not.
   */
  add(route: SupervisedHandler, brokers: string): Promise<void> {
    const supervised: SupervisedRoute = {
      route,
      brokers,
      isStarted: false,
      isDeferred: false,
      startError: undefined,
      removed: Promise.withResolvers<void>(),
      attempted: Promise.withResolvers<void>(),
    }
    this.#supervised.set(route, supervised)
    if (this.#stage !== 'running') return Promise.resolve()
    this.#startInBackground(supervised)
    return supervised.attempted.promise
  }

  /**
   * Closes a handler: its streams end after their last whole event.
   *
   * @param successors Resolves when the handlers that replace it have started. The handler stays
   *   open until then, but for {@link HANDOVER_MS} at most.
   */
  remove(route: SupervisedHandler, successors: Promise<unknown> = Promise.resolve()): void {
    const supervised = this.#supervised.get(route)
    if (!supervised) return
    this.#supervised.delete(route)
    this.#eager.delete(supervised)
    supervised.removed.resolve()
    supervised.attempted.resolve()
    const handover = Promise.race([successors, this.#closing.promise])
    const ended = settledWithin(handover, HANDOVER_MS)
      .then(() => route.close())
      .catch((error: unknown) => log.error('Cannot end a route: {error}', { error }))
      .finally(() => this.#ending.delete(ended))
    this.#ending.add(ended)
  }

  /**
   * Starts all handlers; resolves when the present ones have started or are removed.
   *
   * @throws KafkaConsumeError INTERNAL or INVALID_OPTIONS, for which waiting does not help.
   */
  start(): Promise<void> {
    this.#started ??= this.#startAll()
    return this.#started
  }

  close(): Promise<void> {
    this.#closed ??= this.#closeAll()
    return this.#closed
  }

  /**
   * Why requests cannot be served, each reason once; empty when they can. A missing topic does not
   * count while another route is served: reporting "not ready" would take that route away as well.
   */
  notReady(): readonly NotReady[] {
    if (this.#stage === 'closing') {
      const message = 'The gateway is shutting down'
      return [{ code: 'SHUTTING_DOWN', message, since: this.#since }]
    }
    const all = [...this.#supervised.values()]
    const isServing = all.some(({ isStarted }) => isStarted)
    const reasons = new Map<string, NotReady>()
    for (const supervised of all) {
      const reason = outageOf(supervised)
      if (!reason || (isServing && isOfOneRoute(reason.code))) continue
      if (!reasons.has(reason.message)) reasons.set(reason.message, reason)
    }
    if (reasons.size > 0) return [...reasons.values()]
    const isStarting = all.some(
      ({ isStarted, isDeferred, startError }) => !isStarted && !isDeferred && !startError,
    )
    if (this.#stage !== 'new' && !isStarting) return []
    const message = 'The gateway is joining its consumer group'
    return [{ code: 'STARTING', message, since: this.#since }]
  }

  async #startAll(): Promise<void> {
    if (this.#stage === 'closing') return
    this.#stage = 'running'
    registerOpen(this)
    this.#timer = setInterval(() => {
      this.#startDeferred()
      this.#report()
    }, POLL_INTERVAL_MS)
    await Promise.all([...this.#supervised.values()].map((each) => this.#start(each)))
    this.#report()
  }

  /** Starts handlers that were deferred, as many as there is room for by now. */
  #startDeferred(): void {
    let room = this.#maxEager - this.#eager.size
    if (room <= 0) return
    for (const supervised of this.#supervised.values()) {
      if (!supervised.isDeferred || this.#eager.has(supervised)) continue
      // It stays deferred until it has started, so that the gateway is ready meanwhile.
      this.#eager.add(supervised)
      this.#startInBackground(supervised)
      if (--room === 0) return
    }
  }

  #startInBackground(supervised: SupervisedRoute): void {
    this.#start(supervised).catch((error: unknown) => {
      log.error('Cannot start a route: {error}', { error })
    })
  }

  /** Tries to start a handler until that succeeds, or waiting does not help. */
  async #start(supervised: SupervisedRoute): Promise<void> {
    const since = Date.now()
    while (this.#isWanted(supervised)) {
      const thrown = await this.#attempt(supervised)
      const { attempted } = supervised
      if (thrown === undefined || !this.#isWanted(supervised)) return attempted.resolve()
      const { code, message } = asKafkaConsumeError(thrown)
      supervised.startError = { code, message, since }
      attempted.resolve()
      this.#reportSoon()
      if (code === 'INTERNAL' || code === 'INVALID_OPTIONS') throw asKafkaConsumeError(thrown)
      await settledWithin(supervised.removed.promise, POLL_INTERVAL_MS)
    }
  }

  /** @returns what the handler's `start` throws; undefined where it has started or is deferred. */
  #attempt(supervised: SupervisedRoute): Promise<unknown> {
    return this.#starts.run(async () => {
      // Its turn may come after it was removed.
      if (!this.#isWanted(supervised)) return
      if (!this.#eager.has(supervised) && this.#eager.size >= this.#maxEager) {
        supervised.isDeferred = true
        return
      }
      this.#eager.add(supervised)
      try {
        await supervised.route.start()
        supervised.isStarted = true
        supervised.isDeferred = false
        supervised.startError = undefined
        this.#reportSoon()
        return
      } catch (thrown) {
        return thrown
      }
    })
  }

  #isWanted({ route }: SupervisedRoute): boolean {
    return this.#supervised.has(route) && this.#stage === 'running'
  }

  async #closeAll(): Promise<void> {
    this.#stage = 'closing'
    registerClosed(this)
    this.#closing.resolve()
    this.#since = Date.now()
    clearInterval(this.#timer)
    const all = [...this.#supervised.values()]
    for (const { removed } of all) removed.resolve()
    await inTurn(
      () => allSettled(all.map(({ route }) => route.close())),
      () => Promise.all(this.#ending),
    )
  }

  /** Reports now, or once for all handlers that start in the next {@link REPORT_INTERVAL_MS}. */
  #reportSoon(): void {
    if (this.#isReportDue) return
    const wait = this.#reportedAt + REPORT_INTERVAL_MS - performance.now()
    if (wait <= 0) {
      this.#report()
      return
    }
    this.#isReportDue = true
    setTimeout(() => {
      this.#isReportDue = false
      this.#report()
    }, wait)
  }

  #report(): void {
    if (this.#stage !== 'running') return
    this.#reportedAt = performance.now()
    const outages = new Map<string, NotReady | undefined>()
    for (const supervised of this.#supervised.values()) {
      const { brokers } = supervised
      outages.set(brokers, outages.get(brokers) ?? outageOf(supervised))
    }
    this.#outages.report(outages)
  }
}

function outageOf({ route, startError }: SupervisedRoute): NotReady | undefined {
  const outage = route.outage()
  if (!outage) return startError
  const { code, message, since } = outage
  return { code, message, since }
}
