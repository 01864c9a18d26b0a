import { ERROR_STATUSES, type ErrorCode } from '../core/errors.ts'
import { logOf } from '../core/log.ts'
import type { NotReady } from './health.ts'

/** Codes of outages of one route, while others on the same cluster may be served. */
const OF_ONE_ROUTE = new Set(['UNKNOWN_TOPIC', 'KAFKA_AUTHORIZATION'])

const log = logOf('gateway')

/** Whether an outage concerns one route, rather than its whole cluster. */
export function isOfOneRoute(code: string): boolean {
  return OF_ONE_ROUTE.has(code)
}

/** Logs when a cluster becomes unavailable and when it can be read again, once each. */
export class OutageLog {
  /** The code that was last reported, by the brokers of the cluster. */
  readonly #reported = new Map<string, string>()

  /** @param outages The present outage of each cluster, if any, by its brokers. */
  report(outages: ReadonlyMap<string, NotReady | undefined>): void {
    for (const [brokers, outage] of outages) {
      if (outage?.code === this.#reported.get(brokers)) continue
      if (outage) this.#reportOutage(brokers, outage)
      else this.#reportRecovery(brokers)
    }
    for (const brokers of this.#reported.keys()) {
      if (!outages.has(brokers)) this.#reported.delete(brokers)
    }
  }

  #reportOutage(brokers: string, { code, message }: NotReady): void {
    this.#reported.set(brokers, code)
    if (isOfOneRoute(code)) {
      log.warn('{message}. Its route waits for that, at {brokers}', { message, brokers })
      return
    }
    const status = ERROR_STATUSES[code as ErrorCode]
    log.warn('{message}. Waiting for Kafka at {brokers}; requests are answered with {status}', {
      message,
      brokers,
      status,
    })
  }

  #reportRecovery(brokers: string): void {
    this.#reported.delete(brokers)
    log.info('Kafka at {brokers} can be read again', { brokers })
  }
}
