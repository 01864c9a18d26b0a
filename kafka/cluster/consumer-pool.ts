import { logOf } from '../../src/core/log.ts'
import { type Consumer, disconnectClient } from '../client/client.ts'
import { CONSUMER_TOPIC_SETTINGS, consumerSettings } from '../consumer/consumer-settings.ts'
import type { ClusterConnection } from './connection.ts'

const log = logOf('cluster')

/** Consumers of ended catch-up reads that stay connected for the next one; more are disconnected. */
const MAX_IDLE = 4
/** Milliseconds for which an idle consumer stays connected. */
const IDLE_TIMEOUT_MS = 30_000

interface IdleConsumer {
  readonly consumer: Consumer
  readonly timer: ReturnType<typeof setTimeout>
}

/** Connected consumers for reading without a group. Those of catch-up reads are used again. */
export class ConsumerPool {
  readonly #connection: ClusterConnection
  readonly #isEmbedded: boolean
  readonly #idle: IdleConsumer[] = []

  constructor(connection: ClusterConnection, isEmbedded: boolean) {
    this.#connection = connection
    this.#isEmbedded = isEmbedded
  }

  /** @throws KafkaConsumeError */
  async acquire(purpose: 'live' | 'catch-up'): Promise<Consumer> {
    await this.#connection.client()
    const idle = purpose === 'catch-up' ? this.#idle.pop() : undefined
    if (idle) {
      clearTimeout(idle.timer)
      return idle.consumer
    }
    const settings = consumerSettings(purpose, this.#isEmbedded)
    return this.#connection.connectConsumer(settings, CONSUMER_TOPIC_SETTINGS)
  }

  /** @param isReusable Whether it is a catch-up read's, and no read of it has failed, stalled or not come back. */
  async release(consumer: Consumer, isReusable: boolean): Promise<void> {
    const isFull = this.#idle.length >= MAX_IDLE
    if (!isReusable || isFull || this.#connection.isStopped) return disconnectClient(consumer)
    try {
      consumer.unassign()
    } catch (error) {
      log.warn('Cannot use a consumer again: {error}', { error })
      return disconnectClient(consumer)
    }
    const entry = {
      consumer,
      timer: setTimeout(() => {
        this.#idle.splice(this.#idle.indexOf(entry), 1)
        void disconnectClient(consumer)
      }, IDLE_TIMEOUT_MS),
    }
    this.#idle.push(entry)
  }

  async close(): Promise<void> {
    const idle = this.#idle.splice(0)
    await Promise.all(
      idle.map(({ consumer, timer }) => {
        clearTimeout(timer)
        return disconnectClient(consumer)
      }),
    )
  }
}
