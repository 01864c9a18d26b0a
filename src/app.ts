import { getLogger } from '@logtape/logtape'
import { type Handler, Hono } from 'hono'
import { asKafkaConsumeError } from './errors.ts'
import { kafkaConsume } from './index.ts'
import { healthRoutes, type NotReady } from './ops/health.ts'
import { LOG_ROOT } from './ops/log.ts'
import type { KafkaProblem } from './stream/source.ts'

/** Milliseconds between two looks at Kafka's state, and between two attempts to start. */
const WATCH_INTERVAL = 1_000

const log = getLogger([LOG_ROOT, 'gateway'])

/** A route that reads Kafka: what `kafkaConsume` returns, as far as the gateway uses it. */
export interface KafkaRoute extends Handler {
  start(): Promise<void>
  problem(): KafkaProblem | undefined
  close(): Promise<void>
}

/** Which topics of which cluster a gateway serves. */
export interface GatewayOptions {
  /** `host:port` pairs. */
  readonly brokers: readonly string[]
  readonly topics: readonly string[]
}

/** Makes the gateway's routes; a test has its own. */
export type MakeRoute = (options: Parameters<typeof kafkaConsume>[0]) => KafkaRoute

/** A gateway: an app to serve, and its life. */
export interface Gateway {
  readonly app: Hono
  /**
   * Connects and joins the group; resolves when the first request will be quick. While Kafka can't
   * be reached it goes on trying, says so once in the log, and requests are answered with 503.
   *
   * @throws KafkaConsumeError INTERNAL or INVALID_OPTIONS, for which waiting does not help.
   */
  start(): Promise<void>
  /** Ends streams after their last whole event, commits what was delivered and leaves the group. */
  close(): Promise<void>
}

/**
 * The gateway: `/messages` hands each record to one caller, `/stream` shows all of them to
 * everyone, `/healthz` and `/readyz` tell an orchestrator how it is.
 *
 * @param make Default: `kafkaConsume`.
 */
export function createGateway(options: GatewayOptions, make: MakeRoute = kafkaConsume): Gateway {
  const cluster = { bootstrapServers: [...options.brokers], topics: [...options.topics] }
  const routes = {
    // A new gateway shows what is in the topics; the default would show nothing until more comes.
    '/messages': make({ ...cluster, mode: 'http-get', autoOffsetReset: 'earliest' }),
    '/stream': make({ ...cluster, mode: 'server-sent-events' }),
  }
  const life = new Life(Object.values(routes), options.brokers.join(', '))

  const app = new Hono()
  for (const [path, route] of Object.entries(routes)) app.all(path, route)
  app.route(
    '/',
    healthRoutes(() => life.notReady()),
  )
  app.notFound((c) => c.json({ message: 'no Route matched with those values' }, 404))
  app.onError((thrown, c) => {
    const { status, code, message, cause } = asKafkaConsumeError(thrown)
    log.error('Cannot answer {method} {path}: {cause}', {
      method: c.req.method,
      path: c.req.path,
      cause: cause ?? thrown,
    })
    return c.json({ message, code }, status)
  })
  return { app, start: () => life.start(), close: () => life.close() }
}

/** Starts routes, watches Kafka for them and ends them. */
class Life {
  readonly #routes: readonly KafkaRoute[]
  readonly #brokers: string
  #stage: 'starting' | 'started' | 'closing' = 'starting'
  #since = Date.now()
  /** What the last attempt to start ended with. */
  #failure: NotReady | undefined
  /** What the log was last told. */
  #told: string | undefined
  #timer: ReturnType<typeof setInterval> | undefined
  #started: Promise<void> | undefined
  #closed: Promise<void> | undefined
  readonly #closing = Promise.withResolvers<void>()

  constructor(routes: readonly KafkaRoute[], brokers: string) {
    this.#routes = routes
    this.#brokers = brokers
  }

  start(): Promise<void> {
    this.#started ??= this.#start()
    return this.#started
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  notReady(): readonly NotReady[] {
    if (this.#stage === 'closing') {
      return [
        { code: 'SHUTTING_DOWN', message: 'The gateway is shutting down', since: this.#since },
      ]
    }
    const problems = this.#problems()
    if (problems.length > 0 || this.#stage === 'started') return problems
    return [
      this.#failure ?? {
        code: 'STARTING',
        message: 'The gateway is joining its consumer group',
        since: this.#since,
      },
    ]
  }

  async #start(): Promise<void> {
    this.#timer = setInterval(() => this.#tell(), WATCH_INTERVAL)
    while (this.#stage === 'starting') {
      const results = await Promise.allSettled(this.#routes.map((route) => route.start()))
      if (this.#closed) return
      const failed = results.find((result) => result.status === 'rejected')
      if (!failed) {
        this.#stage = 'started'
        this.#failure = undefined
        this.#tell()
        return
      }
      const error = asKafkaConsumeError(failed.reason)
      if (error.code === 'INTERNAL' || error.code === 'INVALID_OPTIONS') throw error
      const { code, message } = error
      this.#failure = { code, message, since: this.#since }
      this.#tell()
      await Promise.race([
        new Promise((resolve) => setTimeout(resolve, WATCH_INTERVAL)),
        this.#closing.promise,
      ])
    }
  }

  async #close(): Promise<void> {
    this.#stage = 'closing'
    this.#since = Date.now()
    this.#closing.resolve()
    clearInterval(this.#timer)
    const results = await Promise.allSettled(this.#routes.map((route) => route.close()))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
  }

  /** One each, however many routes have it. */
  #problems(): NotReady[] {
    const found = this.#routes.flatMap((route) => route.problem() ?? [])
    return found
      .filter(
        ({ message }, index) => found.findIndex((other) => other.message === message) === index,
      )
      .map(({ code, message, since }) => ({ code, message, since }))
  }

  /** Logs when Kafka goes and when it comes back, not each time that it is still away. */
  #tell(): void {
    const problem = this.#problems()[0] ?? this.#failure
    if (problem?.code === this.#told) return
    if (problem) {
      log.warning('{message}. Waiting for Kafka at {brokers}; requests are answered with 503', {
        message: problem.message,
        brokers: this.#brokers,
      })
    } else log.info('Kafka at {brokers} can be read again', { brokers: this.#brokers })
    this.#told = problem?.code
  }
}
