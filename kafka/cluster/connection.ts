/** The connection of a cluster: notices when its brokers cannot be reached, and when they are back. */
import { settledWithin } from '../../src/core/deadline.ts'
import {
  asKafkaConsumeError,
  KafkaConsumeError,
  outageError,
  shuttingDownError,
} from '../../src/core/errors.ts'
import { logOf } from '../../src/core/log.ts'
import type { BrokerState, KafkaOutage } from '../../src/port/kafka.ts'
import { brokerStates, STATISTICS_INTERVAL_MS } from '../client/broker-statistics.ts'
import {
  type Consumer,
  call,
  disconnectClient,
  type Metadata,
  type Settings,
} from '../client/client.ts'
import {
  ALL_BROKERS_DOWN,
  connectionError,
  connectionErrorIn,
  isPassing,
  UNRESOLVED,
} from '../client/errors.ts'
import { type ClientFactory, CONNECT_TIMEOUT_MS } from './client-factory.ts'

const log = logOf('cluster')

/** Milliseconds that brokers may take to answer a request. */
export const REQUEST_TIMEOUT_MS = 5_000
const PROBE_TIMEOUT_MS = 2_000
/** Milliseconds between two attempts to reach Kafka during an outage. */
const RECONNECT_MS = 1_000
/** Milliseconds between two polls of the control client, which reports errors only while it is polled. */
const POLL_INTERVAL_MS = 500
/** Milliseconds between two requests that ask whether brokers still answer. */
const SILENCE_CHECK_MS = 5_000
/** Milliseconds in which the client leaves a broker that has not answered: it looks for such ones each second. */
const LEAVE_BROKER_MS = 1_500
/** Milliseconds before a request that a broker cannot answer yet is sent again: at first, and at most. */
const RETRY_MS = 50
const MAX_RETRY_MS = 500

/** The control client never joins a group, but librdkafka wants the name of one. */
const CONTROL_SETTINGS: Settings = {
  'group.id': 'hono-kafka-consume-control',
  // A broker that hangs is left for another one as soon as callers have given a request up.
  'socket.timeout.ms': REQUEST_TIMEOUT_MS,
  'statistics.interval.ms': STATISTICS_INTERVAL_MS,
}

/**
 * Keeps one control client connected to a cluster, which answers requests about topics and offsets,
 * and knows from it whether Kafka can be reached.
 *
 * An outage begins when the control client cannot connect, or when it reports an error, or gets no answer
 * for some seconds, and then gets no answer to a request for metadata. It ends with the first answer. While it lasts, requests are
 * rejected with its error at once.
 */
export class ClusterConnection {
  readonly #name: string
  readonly #clients: ClientFactory
  readonly #onOutage: () => void
  #control: Consumer | undefined
  /** Settles when the control client is connected, or never can be. */
  readonly #connected = Promise.withResolvers<void>()
  /** Resolves when Kafka has answered once, the first outage has begun, or the options cannot be used. */
  readonly #firstResult = Promise.withResolvers<void>()
  #outage: KafkaOutage | undefined
  #brokers: readonly BrokerState[] = []
  /** The last error about reaching Kafka in the log of the control client. */
  #lastError: KafkaConsumeError | undefined
  /**
   * Why no client can be made of the options; undefined while one can. A file that they name, as of a
   * certificate, may be away for a moment while it is replaced.
   */
  #unusable: KafkaConsumeError | undefined
  #isProbing = false
  /** Whether a check for silence waits for its answer. */
  #isAsking = false
  #polling: ReturnType<typeof setInterval> | undefined
  readonly #silenceCheckEvery: number
  #silenceChecks: ReturnType<typeof setInterval> | undefined
  #isStopped = false

  /**
   * @param onOutage Called when an outage begins, and when its cause changes.
   * @param silenceCheckEvery Milliseconds between two requests that ask whether brokers still answer; shorter
   * in tests.
   */
  constructor(
    name: string,
    clients: ClientFactory,
    onOutage: () => void,
    silenceCheckEvery = SILENCE_CHECK_MS,
  ) {
    this.#silenceCheckEvery = silenceCheckEvery
    this.#name = name
    this.#clients = clients
    this.#onOutage = onOutage
    this.#connected.promise.catch(() => {})
    void this.#connect()
  }

  /** Why Kafka cannot be reached now; undefined while it can. */
  get outage(): KafkaOutage | undefined {
    return this.#outage
  }

  get brokers(): readonly BrokerState[] {
    return this.#brokers
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  /**
   * The control client.
   *
   * @throws KafkaConsumeError at once during an outage, and when Kafka does not answer within some
   * seconds.
   */
  async client(): Promise<Consumer> {
    if (this.#isStopped) throw shuttingDownError('read from Kafka')
    if (this.#outage) throw outageError(this.#outage)
    if (!this.#control) {
      const known = Promise.race([this.#connected.promise, this.#firstResult.promise])
      await settledWithin(known, CONNECT_TIMEOUT_MS + 1_000)
      if (this.#outage) throw outageError(this.#outage)
      if (this.#unusable) throw this.#unusable
    }
    if (!this.#control) {
      throw new KafkaConsumeError(
        'KAFKA_UNAVAILABLE',
        'Cannot read from Kafka: no broker answered yet',
      )
    }
    return this.#control
  }

  /**
   * Connects a consumer for another purpose.
   *
   * @throws KafkaConsumeError
   */
  async connectConsumer(purpose: Settings, topicSettings: Settings = {}): Promise<Consumer> {
    try {
      return await this.#clients.connectConsumer(purpose, topicSettings)
    } catch (error) {
      throw await this.#clients.explain(this.outageOr(asKafkaConsumeError(error)))
    }
  }

  /** The outage's error in place of one that only says that a broker did not answer. */
  outageOr(error: KafkaConsumeError): KafkaConsumeError {
    return this.#outage && isPassing(error) ? outageError(this.#outage) : error
  }

  /**
   * Repeats a request for some seconds while brokers cannot answer it yet: a broker that has just
   * started loads its topics, and a partition of a new topic may have no leader. An outage ends that
   * at once.
   */
  async retry<T>(request: () => Promise<T>): Promise<T> {
    const until = performance.now() + REQUEST_TIMEOUT_MS
    for (let pause = RETRY_MS; ; pause = Math.min(2 * pause, MAX_RETRY_MS)) {
      try {
        return await request()
      } catch (thrown) {
        const error = this.outageOr(asKafkaConsumeError(thrown))
        if (this.#outage) throw error
        const mayRetry = error.code === 'KAFKA_UNAVAILABLE' && !this.#isStopped
        if (!mayRetry || performance.now() > until) throw error
        await sleep(pause)
      }
    }
  }

  /** From now on requests are rejected; those under way may end. */
  stop(): void {
    this.#isStopped = true
    this.#connected.reject(shuttingDownError('read from Kafka'))
  }

  /** Disconnects the control client. */
  async disconnect(): Promise<void> {
    clearInterval(this.#polling)
    clearInterval(this.#silenceChecks)
    if (this.#control) await disconnectClient(this.#control)
  }

  /** Tries to connect the control client until that succeeds. */
  async #connect(): Promise<void> {
    while (!this.#isStopped) {
      try {
        const control = await this.connectConsumer(CONTROL_SETTINGS)
        if (this.#isStopped) return disconnectClient(control)
        this.#control = control
        this.#unusable = undefined
        this.#outage = undefined
        this.#watch(control)
        this.#connected.resolve()
        this.#firstResult.resolve()
        return
      } catch (thrown) {
        const error = asKafkaConsumeError(thrown)
        // An addon that is missing stays missing: requests are rejected with the error.
        if (error.code === 'INTERNAL') return this.#connected.reject(error)
        this.#unusable = error.code === 'INVALID_OPTIONS' ? error : undefined
        if (this.#unusable) this.#firstResult.resolve()
        else this.#report(outageCause(error))
        await sleep(RECONNECT_MS)
      }
    }
  }

  /** Listens for errors and statistics of the control client. */
  #watch(control: Consumer): void {
    control.on('event.log', (line) => {
      const error = connectionErrorIn(line)
      if (!error) return
      this.#lastError = moreTelling(this.#lastError, error)
      void this.#probe(control)
    })
    control.on('event.error', ({ message }) => {
      if (/all broker connections are down/i.test(message)) void this.#probe(control)
    })
    control.on('event.stats', ({ message }) => {
      this.#brokers = brokerStates(message)
    })
    // A client reports errors only while it is polled. This one has no partitions, so no records.
    control.setDefaultConsumeTimeout(0)
    this.#polling = setInterval(() => control.consume(1, () => {}), POLL_INTERVAL_MS)
    this.#silenceChecks = setInterval(
      () => void this.#checkSilence(control),
      this.#silenceCheckEvery,
    )
  }

  /**
   * Asks whether brokers still answer: the client reports no error of one that hangs while it has nothing
   * to ask it.
   */
  async #checkSilence(control: Consumer): Promise<void> {
    if (this.#isProbing || this.#isAsking) return
    this.#isAsking = true
    try {
      await requestMetadata(control, REQUEST_TIMEOUT_MS)
    } catch {
      // The next request is to go to another broker, where there is one.
      await sleep(LEAVE_BROKER_MS)
      void this.#probe(control)
    } finally {
      this.#isAsking = false
    }
  }

  /**
   * Asks for metadata until brokers answer, since a reported error alone does not make an outage: the
   * client reports a single closed idle connection, too.
   */
  async #probe(control: Consumer): Promise<void> {
    if (this.#isProbing) return
    this.#isProbing = true
    try {
      while (!this.#isStopped && !(await this.#isReachable(control))) await sleep(RECONNECT_MS)
    } finally {
      this.#isProbing = false
    }
  }

  async #isReachable(control: Consumer): Promise<boolean> {
    try {
      await requestMetadata(control, PROBE_TIMEOUT_MS)
      this.#outage = undefined
      this.#lastError = undefined
      return true
    } catch (thrown) {
      const { detail } = asKafkaConsumeError(thrown)
      const error = this.#clients.tokenError ?? this.#lastError ?? allBrokersDown(detail)
      this.#report(outageCause(await this.#clients.explain(error)))
      return false
    }
  }

  /** Begins an outage, or gives the present one another cause. */
  #report({ code, state, detail = 'no answer' }: KafkaConsumeError): void {
    const message = `Cannot read from Kafka: ${state}`
    if (this.#isStopped || this.#outage?.message === message) return
    this.#outage = { code, message, detail, since: this.#outage?.since ?? Date.now() }
    this.#onOutage()
    this.#firstResult.resolve()
    log.warn('{cluster}: {message}: {detail}', { cluster: this.#name, message, detail })
  }
}

/**
 * Asks brokers for metadata of no further topic.
 *
 * @param timeout Milliseconds.
 * @throws KafkaConsumeError when none answers.
 */
function requestMetadata(control: Consumer, timeout: number): Promise<Metadata> {
  return call('Cannot read from Kafka', (done) =>
    control.getMetadata({ allTopics: false, timeout } as object, done),
  )
}

/**
 * The outage that an error of connecting stands for: brokers refuse our credentials or certificate,
 * the name of one does not resolve, or else no broker answers.
 */
function outageCause(error: KafkaConsumeError): KafkaConsumeError {
  const { code, detail } = error
  const isRefusal =
    code === 'KAFKA_AUTHENTICATION' || code === 'KAFKA_TLS' || code === 'KAFKA_TOKEN'
  return isRefusal || error.state === UNRESOLVED ? error : allBrokersDown(detail)
}

/**
 * The error to report of two in turn. Where one broker's name does not resolve and another broker is
 * down, their errors alternate: reporting each would write a line a second.
 */
function moreTelling(last: KafkaConsumeError | undefined, next: KafkaConsumeError) {
  return last?.state === UNRESOLVED && next.state === ALL_BROKERS_DOWN ? last : next
}

function allBrokersDown(detail = 'no answer'): KafkaConsumeError {
  return connectionError('KAFKA_UNAVAILABLE', ALL_BROKERS_DOWN, detail)
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
