import { shuttingDownError } from '../../core/errors.ts'
import { registerClosed, registerOpen } from '../../core/hot-reload.ts'
import { inTurn } from '../../core/in-turn.ts'
import type { KafkaOutage } from '../../port/kafka.ts'
import type { Connection } from './cluster-registry.ts'
import type { ClusterStats } from './route-stats.ts'

/** Names a handler's use of Kafka in its errors. */
type Purpose = 'read from Kafka' | 'write to Kafka'

/** A handler's share in a cluster: it is taken with the first use, and released once when the handler is closed. */
export class LazyLease<Share extends Connection> {
  readonly #handler: { close(): Promise<void> }
  readonly #purpose: Purpose
  readonly #take: () => Promise<Share>
  #taking: Promise<Share> | undefined
  #taken: Share | undefined
  #closed: Promise<void> | undefined

  /**
   * @param take Takes the share. After an error the next use takes it again.
   * @param handler Closed when a hot reload ends it. Default: it has only the share to close.
   */
  constructor(purpose: Purpose, take: () => Promise<Share>, handler?: { close(): Promise<void> }) {
    this.#purpose = purpose
    this.#take = take
    this.#handler = handler ?? this
  }

  /** The share; undefined before the first use. */
  get taken(): Share | undefined {
    return this.#taken
  }

  get isClosed(): boolean {
    return this.#closed !== undefined
  }

  /**
   * Takes the share with the first call, and returns it to all.
   *
   * @throws KafkaConsumeError SHUTTING_DOWN after `close`, or the reason why the cluster could not be taken.
   */
  async take(): Promise<Share> {
    if (this.#closed) throw shuttingDownError(this.#purpose)
    if (!this.#taking) registerOpen(this.#handler)
    this.#taking ??= this.#take()
    try {
      this.#taken = await this.#taking
      return this.#taken
    } catch (error) {
      this.#taking = undefined
      throw error
    }
  }

  outage(): KafkaOutage | undefined {
    return this.#taken?.cluster.outage()
  }

  /** The cluster as clients see it; undefined before the first use. */
  clusterStats(): ClusterStats | undefined {
    const cluster = this.#taken?.cluster
    return cluster && { name: cluster.name, outage: cluster.outage(), brokers: cluster.brokers() }
  }

  /**
   * Releases the share. There is none to be had from now on.
   *
   * @param beforeRelease Ends what uses the share.
   */
  close(beforeRelease?: () => Promise<unknown>): Promise<void> {
    this.#closed ??= this.#close(beforeRelease)
    return this.#closed
  }

  async #close(beforeRelease: (() => Promise<unknown>) | undefined): Promise<void> {
    registerClosed(this.#handler)
    await inTurn(
      () => beforeRelease?.(),
      async () => (await this.#taking?.catch(() => undefined))?.release(),
    )
  }
}
