/** The metrics and the status of all threads of a gateway, for the thread that a client has asked. */
import { settledWithin } from '../../core/deadline.ts'
import { combineMetrics, type MetricValues, sumOfCounters } from '../../observability/metrics.ts'
import { combineStatus, type Status } from '../../observability/status.ts'
import type { ThreadReport } from '../app.ts'
import type { PooledThread } from './thread-pool.ts'

/** Milliseconds that the other threads may take to report. */
const REPORT_MS = 3_000
/** Values of ended threads that are kept. Overflow policy: all of them begin again, as after a restart. */
const MAX_ENDED_VALUES = 50_000

/**
 * Asks threads for their reports. A thread that does not answer in time counts as it did the last time, and
 * the counters of one that has ended still count: Prometheus takes a sum that falls for a restart.
 */
export class ThreadReports {
  readonly #threads: () => readonly PooledThread[]
  readonly #limit: number
  readonly #last = new Map<PooledThread, ThreadReport>()
  /** The counters of threads that have ended, as they reported them last. */
  #ended: Promise<readonly MetricValues[]> = Promise.resolve([])

  /**
   * @param threads Returns the threads that run now.
   * @param limit Milliseconds that threads may take to report. Default: 3,000.
   */
  constructor(threads: () => readonly PooledThread[], limit = REPORT_MS) {
    this.#threads = threads
    this.#limit = limit
  }

  /** The metrics of all threads in the text format, for one of them. */
  async metrics(by: PooledThread): Promise<string> {
    const reports = await this.#collect(by)
    const ofThreads = reports.flatMap(({ metrics }) => (metrics ? [metrics] : []))
    return combineMetrics([...ofThreads, await this.#ended])
  }

  /** The status of all threads, for one of them. */
  async status(by: PooledThread): Promise<Status> {
    return combineStatus((await this.#collect(by)).map(({ status }) => status))
  }

  /** The thread that asks is the first, and reports however long that takes: its client waits for it. */
  async #collect(by: PooledThread): Promise<ThreadReport[]> {
    const others = this.#threads().filter((thread) => thread !== by)
    const asking = Promise.allSettled(others.map((thread) => this.#ask(thread)))
    const [own] = await Promise.all([this.#ask(by), settledWithin(asking, this.#limit)])
    this.#forgetEnded()
    return [own, ...others.flatMap((thread) => this.#last.get(thread) ?? [])]
  }

  async #ask(thread: PooledThread): Promise<ThreadReport> {
    const report = await thread.messenger.request<ThreadReport>('report')
    if (this.#threads().includes(thread)) this.#last.set(thread, report)
    return report
  }

  #forgetEnded(): void {
    const running = new Set(this.#threads())
    for (const [thread, { metrics }] of this.#last) {
      if (running.has(thread)) continue
      this.#last.delete(thread)
      if (metrics) this.#ended = this.#ended.then((ended) => addCounters(ended, metrics))
    }
  }
}

async function addCounters(
  ended: readonly MetricValues[],
  metrics: readonly MetricValues[],
): Promise<readonly MetricValues[]> {
  const sum = await sumOfCounters([ended, metrics])
  const values = sum.reduce((count, metric) => count + metric.values.length, 0)
  return values > MAX_ENDED_VALUES ? [] : sum
}
