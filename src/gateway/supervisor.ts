import { getLogger } from '@logtape/logtape'
import type { Handler } from 'hono'
import { asKafkaConsumeError, type ErrorCode, KafkaConsumeError } from '../core/errors.ts'
import { registerClosed, registerOpen } from '../core/evaluation.ts'
import { LOG_ROOT } from '../core/log.ts'
import type { PartitionRange, RouteStats } from '../http/route/route.ts'
import type { KafkaOutage } from '../port/kafka.ts'
import type { NotReady } from './health.ts'

/** Milliseconds between two looks at Kafka's state, and between two attempts to start. */
const WATCH_INTERVAL = 1_000
/** Milliseconds for which a handler goes on at most until those in its place have started. */
const HANDOVER_MS = 5_000
/** Handlers that start at a time: each may connect and join a group. */
const STARTS_AT_ONCE = 16

/** What is wrong with one route, while others on the same cluster may be served. */
const OF_ONE_ROUTE = new Set(['UNKNOWN_TOPIC', 'KAFKA_AUTHORIZATION'])

const log = getLogger([LOG_ROOT, 'gateway'])

/** A handler that reads Kafka: what `kafkaConsume` returns, as far as the gateway uses it. */
export interface KafkaRoute extends Handler {
  start(): Promise<void>
  outage(): KafkaOutage | undefined
  stats(): RouteStats
  partitions(): Promise<readonly PartitionRange[]>
  close(): Promise<void>
}

interface SupervisedRoute {
  readonly route: KafkaRoute
  /** Its cluster, for the log. */
  readonly brokers: string
  isStarted: boolean
  /** Resolves when the first attempt to start has ended, or there is none. */
  readonly tried: PromiseWithResolvers<void>
  /** What the last attempt to start ended with. */
  failure: NotReady | undefined
  readonly gone: PromiseWithResolvers<void>
}

/** Starts handlers, watches Kafka for them and ends them, whichever come and go. */
export class Supervisor {
  readonly #lives = new Map<KafkaRoute, SupervisedRoute>()
  readonly #ending = new Set<Promise<void>>()
  readonly #waiting: Array<() => void> = []
  #starting = 0
  #stage: 'new' | 'running' | 'closing' = 'new'
  #since = Date.now()
  /** What the log was last told of each cluster. */
  readonly #told = new Map<string, string>()
  #timer: ReturnType<typeof setInterval> | undefined
  #started: Promise<void> | undefined
  #closed: Promise<void> | undefined
  readonly #closing = Promise.withResolvers<void>()

  /**
   * Takes a handler over. It starts in the background once `start` was called.
   *
   * @returns resolves when it has started, or could not at the first attempt.
   */
  add(route: KafkaRoute, brokers: string): Promise<void> {
    const [gone, tried] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const life = { route, brokers, isStarted: false, failure: undefined, gone, tried }
    this.#lives.set(route, life)
    if (this.#stage !== 'running') return Promise.resolve()
    this.#start(life).catch((error: unknown) => {
      log.error('Cannot start a route: {error}', { error })
    })
    return tried.promise
  }

  /**
   * Ends a handler: its streams after their last whole event.
   *
   * @param successors Resolves when those in its place have started; it is not waited for long.
   */
  remove(route: KafkaRoute, successors: Promise<unknown> = Promise.resolve()): void {
    const life = this.#lives.get(route)
    if (!life) return
    this.#lives.delete(route)
    life.gone.resolve()
    life.tried.resolve()
    const ended = this.#handover(successors)
      .then(() => route.close())
      .catch((error: unknown) => log.error('Cannot end a route: {error}', { error }))
      .finally(() => this.#ending.delete(ended))
    this.#ending.add(ended)
  }

  /**
   * Starts all; resolves when those that are there by now have started or are gone.
   *
   * @throws KafkaConsumeError INTERNAL or INVALID_OPTIONS, for which waiting does not help.
   */
  start(): Promise<void> {
    this.#started ??= this.#startAll()
    return this.#started
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /**
   * Why requests cannot be served, one reason each; empty when they can. A topic that is missing is
   * no reason while another route is served: to take that one away as well would help nobody.
   */
  notReady(): readonly NotReady[] {
    if (this.#stage === 'closing') {
      return [
        { code: 'SHUTTING_DOWN', message: 'The gateway is shutting down', since: this.#since },
      ]
    }
    const lives = [...this.#lives.values()]
    const isServing = lives.some((life) => life.isStarted)
    const reasons = lives
      .flatMap((life) => problemOf(life) ?? [])
      .filter(({ code }) => !(isServing && OF_ONE_ROUTE.has(code)))
    const isStarting = lives.some((life) => !life.isStarted && !life.failure)
    if (reasons.length === 0 && (this.#stage === 'new' || isStarting)) {
      const message = 'The gateway is joining its consumer group'
      return [{ code: 'STARTING', message, since: this.#since }]
    }
    return reasons.filter(
      ({ message }, index) => reasons.findIndex((other) => other.message === message) === index,
    )
  }

  async #handover(successors: Promise<unknown>): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, HANDOVER_MS)
    })
    await Promise.race([successors, late, this.#closing.promise])
    clearTimeout(timer)
  }

  async #startAll(): Promise<void> {
    if (this.#stage === 'closing') return
    this.#stage = 'running'
    registerOpen(this)
    this.#timer = setInterval(() => this.#tell(), WATCH_INTERVAL)
    await Promise.all([...this.#lives.values()].map((life) => this.#start(life)))
  }

  async #start(life: SupervisedRoute): Promise<void> {
    const since = Date.now()
    while (this.#lives.has(life.route) && this.#stage === 'running') {
      try {
        await this.#inTurn(() => life.route.start())
        life.isStarted = true
        life.failure = undefined
        life.tried.resolve()
        this.#tell()
        return
      } catch (thrown) {
        life.tried.resolve()
        if (!this.#lives.has(life.route) || this.#stage !== 'running') return
        const { code, message } = asKafkaConsumeError(thrown)
        life.failure = { code, message, since }
        this.#tell()
        if (code === 'INTERNAL' || code === 'INVALID_OPTIONS') throw asKafkaConsumeError(thrown)
      }
      await Promise.race([
        new Promise((resolve) => setTimeout(resolve, WATCH_INTERVAL)),
        life.gone.promise,
      ])
    }
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    if (this.#starting >= STARTS_AT_ONCE) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#starting++
    try {
      await work()
    } finally {
      this.#starting--
      this.#waiting.shift()?.()
    }
  }

  async #close(): Promise<void> {
    this.#stage = 'closing'
    registerClosed(this)
    this.#closing.resolve()
    this.#since = Date.now()
    clearInterval(this.#timer)
    const lives = [...this.#lives.values()]
    for (const { gone } of lives) gone.resolve()
    for (const proceed of this.#waiting.splice(0)) proceed()
    const results = await Promise.allSettled(lives.map(({ route }) => route.close()))
    await Promise.all(this.#ending)
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
  }

  /** Logs when Kafka goes and when it comes back, not each time that it is still away. */
  #tell(): void {
    const now = new Map<string, NotReady | undefined>()
    for (const life of this.#lives.values()) {
      now.set(life.brokers, now.get(life.brokers) ?? problemOf(life))
    }
    for (const [brokers, problem] of now) {
      if (problem?.code === this.#told.get(brokers)) continue
      if (problem) {
        this.#told.set(brokers, problem.code)
        const { message, code } = problem
        if (OF_ONE_ROUTE.has(code)) {
          log.warning('{message}. Its route waits for that, at {brokers}', { message, brokers })
        } else {
          const { status } = new KafkaConsumeError(code as ErrorCode, message)
          log.warning(
            '{message}. Waiting for Kafka at {brokers}; requests are answered with {status}',
            { message, brokers, status },
          )
        }
      } else {
        this.#told.delete(brokers)
        log.info('Kafka at {brokers} can be read again', { brokers })
      }
    }
    for (const brokers of this.#told.keys()) if (!now.has(brokers)) this.#told.delete(brokers)
  }
}

function problemOf({ route, failure }: SupervisedRoute): NotReady | undefined {
  const problem = route.outage()
  if (!problem) return failure
  const { code, message, since } = problem
  return { code, message, since }
}
