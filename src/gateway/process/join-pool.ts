/** A thread's part in a pool: another thread owns Kafka, and counts for all threads. */
import { parentPort, workerData } from 'node:worker_threads'
import type { MakeLimiter } from '../../core/fixed-window-limiter.ts'
import type { MakeGauge } from '../../core/gauge.ts'
import type { MakeLoginCounter } from '../../core/login-counter.ts'
import type { ShareNames } from '../../core/shared-names.ts'
import { countBodiesBy } from '../../http/request/request-body.ts'
import { setKafkaSide } from '../../http/route/load-kafka.ts'
import { showLiveness } from '../../threads/liveness.ts'
import { type MessageChannelEnd, Messenger } from '../../threads/messenger.ts'
import { RemoteKafka } from '../../threads/remote-kafka.ts'
import { remoteLimiters, remoteLoginCounters } from '../../threads/shared-counters.ts'
import { SharedGauges } from '../../threads/shared-gauges.ts'
import { remoteNames } from '../../threads/shared-names.ts'
import type { ThreadSettings } from './thread-pool.ts'

/** The part of a thread that it shares with the others. */
export interface ThreadShare<Own> {
  /** The settings of its program. */
  readonly settings: Own
  readonly messenger: Messenger
  readonly kafka: RemoteKafka
  readonly gauges: SharedGauges
  /** Counters and limits of all threads. */
  readonly counts: {
    readonly makeLimiter: MakeLimiter
    readonly makeLoginCounter: MakeLoginCounter
    readonly makeGauge: MakeGauge
    readonly shareNames: ShareNames
  }
}

/** Takes this thread's part in the pool that started it. */
export function joinPool<Own>(): ThreadShare<Own> {
  const { index, threads, gauges: memory, liveness, own } = workerData as ThreadSettings<Own>
  showLiveness(liveness, index)
  const messenger = new Messenger(parentPort as unknown as MessageChannelEnd)
  const gauges = new SharedGauges(messenger, memory, threads, index)
  const makeGauge: MakeGauge = (name) => gauges.make(name)
  const kafka = new RemoteKafka(messenger, makeGauge)
  setKafkaSide(kafka)
  countBodiesBy(makeGauge('bodies'))
  return {
    settings: own,
    messenger,
    kafka,
    gauges,
    counts: {
      makeLimiter: remoteLimiters(messenger),
      makeLoginCounter: remoteLoginCounters(messenger),
      makeGauge,
      shareNames: remoteNames(messenger),
    },
  }
}

/**
 * Tells the pool that this thread has begun, and ends it by errors that nobody has caught. Connections are
 * closed first: for a thread that ends, Bun answers 503 to requests that have just come, and an
 * `EventSource` does not come back after a 503.
 *
 * @param abort Closes all connections at once.
 */
export function beginServing(messenger: Messenger, abort: () => void): void {
  const endByError = (error: unknown): never => {
    abort()
    messenger.notify('failed', error instanceof Error ? (error.stack ?? error.message) : `${error}`)
    process.exit(1)
  }
  process.on('uncaughtException', endByError)
  process.on('unhandledRejection', endByError)
  messenger.notify('begun')
}
