/** The metrics and the status of several threads, of which some are late or have ended. */
import { describe, expect, test } from 'bun:test'
import type { ThreadReport } from '../../src/gateway/app.ts'
import type { PooledThread } from '../../src/gateway/process/thread-pool.ts'
import { ThreadReports } from '../../src/gateway/process/thread-reports.ts'
import type { MetricValues } from '../../src/observability/metrics.ts'

/** Milliseconds that threads may take to report. */
const LIMIT_MS = 20

/** A thread that has answered some requests, and has some streams. */
class FakeThread {
  requests = 0
  streams = 0
  /** A report that is late waits for it. */
  answering: Promise<unknown> = Promise.resolve()

  get pooled(): PooledThread {
    return this as unknown as PooledThread
  }

  readonly messenger = {
    request: async (): Promise<ThreadReport> => {
      const { requests, streams } = this
      await this.answering
      return { metrics: metricsOf(requests, streams), status: statusWith(streams) }
    },
  }
}

function metricsOf(requests: number, streams: number): MetricValues[] {
  const metric = (name: string, type: string, value: number, aggregator = 'sum') =>
    ({ name, help: name, type, aggregator, values: [{ labels: {}, value }] }) as unknown
  return [
    metric('requests_total', 'counter', requests),
    metric('group_requeued_total', 'counter', 7, 'max'),
    metric('open_streams', 'gauge', streams),
  ] as MetricValues[]
}

function statusWith(streams: number): ThreadReport['status'] {
  const route = { name: '/stream', paths: [], hosts: [], mode: 'auto', topics: [], groups: [] }
  return { version: '1', routes: [{ ...route, cluster: 'k', streams }], clusters: [], groups: [] }
}

function metricIn(text: string, name: string): number {
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1])
}

describe('the reports of threads', () => {
  test('are that of the thread that asks where no thread answers in time, itself included', async () => {
    const [asks, silent] = [new FakeThread(), new FakeThread()]
    const late = Promise.withResolvers<void>()
    asks.answering = late.promise
    silent.answering = new Promise(() => {})
    asks.streams = 3
    const reports = new ThreadReports(() => [silent.pooled, asks.pooled], LIMIT_MS)
    const status = reports.status(asks.pooled)
    setTimeout(late.resolve, 3 * LIMIT_MS)
    expect((await status).routes[0]?.streams).toBe(3)
  })

  test('count a thread that is late as it was the last time', async () => {
    const [asks, late] = [new FakeThread(), new FakeThread()]
    ;[asks.requests, late.requests] = [1, 10]
    const reports = new ThreadReports(() => [asks.pooled, late.pooled], LIMIT_MS)
    expect(metricIn(await reports.metrics(asks.pooled), 'requests_total')).toBe(11)
    late.answering = new Promise(() => {})
    ;[asks.requests, late.requests] = [2, 20]
    expect(metricIn(await reports.metrics(asks.pooled), 'requests_total')).toBe(12)
  })

  test('keep the counters of threads that have ended, and nothing of the present', async () => {
    const asks = new FakeThread()
    const ending = Array.from({ length: 3 }, () => new FakeThread())
    asks.requests = 1
    for (const thread of ending) [thread.requests, thread.streams] = [10, 5]
    let running = [asks, ...ending]
    const reports = new ThreadReports(() => running.map(({ pooled }) => pooled), LIMIT_MS)
    expect(metricIn(await reports.metrics(asks.pooled), 'requests_total')).toBe(31)
    for (const left of [2, 0]) {
      running = [asks, ...ending.slice(0, left)]
      const text = await reports.metrics(asks.pooled)
      expect(metricIn(text, 'requests_total')).toBe(31)
      expect(metricIn(text, 'open_streams')).toBe(5 * left)
      // One thread has the groups of all.
      expect(metricIn(text, 'group_requeued_total')).toBe(7)
    }
  })
})
