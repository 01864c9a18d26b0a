/** The producer of `kafkaUpstream` and `kafkaLog`, and the outcome of their records. */
import { settledWithin } from '../../core/deadline.ts'
import { asKafkaConsumeError, KafkaConsumeError } from '../../core/errors.ts'
import { clusterOptions } from '../../options/connection.ts'
import type { ResolvedLogOptions } from '../../options/log-options.ts'
import type { KafkaOutage } from '../../port/kafka.ts'
import type { ProducerSettings } from '../../port/open-producer.ts'
import type { ProducerRecord } from '../../port/producer.ts'
import type { ProducerLease } from '../route/cluster-registry.ts'
import { LazyLease } from '../route/lazy-lease.ts'
import type { ProduceStats } from './kafka-produce.ts'
import { LossLog } from './loss-log.ts'
import { WriteStatistics } from './write-statistics.ts'

/** Milliseconds for which closing waits for records whose outcome is not known. */
const FLUSH_MS = 6_000
/** Milliseconds for which a record that is sent at once waits for others. */
const SYNC_BATCH_WAIT_MS = 2

const ACKS = { '-1': 'all', '0': 'none', '1': 'leader' } as const

/** The options of a producer, which all that write have. */
type SenderOptions = Omit<ResolvedLogOptions, 'customFieldsByLua'>

/** Statistics of a handler that buffers records. */
export interface BufferedStats<Mode> extends Omit<ProduceStats, 'mode'> {
  /** Distinguishes these statistics from those of other handlers. */
  readonly mode: Mode
  /** Records that were buffered and then not written, or not confirmed. */
  readonly lost: number
  /** Records that are buffered now. */
  readonly buffered: number
}

export class RecordSender {
  readonly statistics = new WriteStatistics()
  readonly #options: SenderOptions
  readonly #isBuffering: boolean
  readonly #losses: LossLog
  readonly #following = new Set<Promise<void>>()
  readonly #lease: LazyLease<ProducerLease>
  /** Records that were accepted and then not written. */
  #lost = 0
  /** Records that were accepted, and that Kafka has not answered for. */
  #buffered = 0

  /** @param isBuffering Whether records are accepted before Kafka has them. */
  constructor(options: SenderOptions, isBuffering: boolean) {
    this.#options = options
    this.#isBuffering = isBuffering
    this.#losses = new LossLog(options.topic)
    const take = async () => {
      const { leaseProducer } = await import('../route/cluster-registry.ts')
      return leaseProducer(clusterOptions(options), producerSettings(options, isBuffering))
    }
    this.#lease = new LazyLease('write to Kafka', take, this)
  }

  /** Connects. @throws KafkaConsumeError when Kafka cannot be reached or refuses. */
  async start(): Promise<void> {
    const { cluster } = await this.#taken()
    await cluster.connected()
    await cluster.assertUsable([this.#options.topic], 'write')
  }

  outage(): KafkaOutage | undefined {
    return this.#lease.outage()
  }

  /** The statistics that both kinds of handlers have. */
  stats(): Omit<BufferedStats<never>, 'mode' | 'topics'> {
    return {
      records: this.statistics.records,
      bytes: this.statistics.bytes,
      outcomes: this.statistics.outcomes(),
      confirmation: this.statistics.confirmation(),
      lost: this.#lost,
      buffered: this.#buffered,
      cluster: this.#lease.clusterStats(),
    }
  }

  /**
   * Writes records. Resolves when they are buffered, or without a buffer when Kafka has them.
   *
   * @throws KafkaConsumeError TOO_MANY_RECORDS when the buffer is full, SHUTTING_DOWN, and without a
   *   buffer the error of the first record that was not written.
   */
  async send(records: readonly ProducerRecord[]): Promise<void> {
    const { producer } = await this.#taken()
    const began = performance.now()
    const accepted = await producer.accept(records)
    const outcome = accepted.outcome.then((results) => {
      this.statistics.countRecords(records, results, (performance.now() - began) / 1_000)
      return results.filter((result) => result instanceof KafkaConsumeError)
    })
    if (this.#isBuffering) {
      this.#follow(records.length, outcome)
      return
    }
    const [error] = await outcome
    if (error) throw error
  }

  /** Counts records that were not written although nobody waits for the error. */
  lose(count: number, reason: unknown): void {
    this.#lost += count
    this.#losses.report(count, reason)
  }

  /** Sends what is buffered, for some seconds at most, and disconnects. */
  async close(): Promise<void> {
    await this.#lease.close()
    await settledWithin(Promise.all(this.#following), FLUSH_MS)
    this.#losses.close()
  }

  #follow(count: number, outcome: Promise<readonly KafkaConsumeError[]>): void {
    this.#buffered += count
    const following = outcome
      .then(
        (errors) => {
          if (errors.length > 0) this.lose(errors.length, errors[0])
        },
        (error: unknown) => this.lose(count, error),
      )
      .finally(() => {
        this.#buffered -= count
        this.#following.delete(following)
      })
    this.#following.add(following)
  }

  async #taken(): Promise<ProducerLease> {
    try {
      return await this.#lease.take()
    } catch (error) {
      throw asKafkaConsumeError(error)
    }
  }
}

function producerSettings(options: SenderOptions, isBuffering: boolean): ProducerSettings {
  return {
    acks: ACKS[`${options.producerRequestAcks}`],
    requestTimeout: options.producerRequestTimeout,
    socketTimeout: options.timeout,
    retries: options.producerRequestRetriesMaxAttempts,
    retryBackoff: options.producerRequestRetriesBackoffTimeout,
    batchRecords: options.producerRequestLimitsMessagesPerRequest,
    batchBytes: options.producerRequestLimitsBytesPerRequest,
    batchWait: isBuffering ? options.producerAsyncFlushTimeout : SYNC_BATCH_WAIT_MS,
    maxPending: options.producerAsyncBufferingLimitsMessagesInMemory,
    waitsInOutage: isBuffering,
  }
}
