import { describe, expect, spyOn, test } from 'bun:test'
import perfHooks from 'node:perf_hooks'
import { Hono } from 'hono'
import { Registry } from 'prom-client'
import { brokerStates } from '../../kafka/client/broker-statistics.ts'
import { Histogram } from '../../src/core/histogram.ts'
import { RouteStatistics } from '../../src/http/route/route-statistics.ts'
import { kafkaMetrics, type RouteStats } from '../../src/index.ts'
import { Exposition } from '../support/metrics.ts'
import { idleStats } from './fakes.ts'

/** The offsets of two partitions in Kafka. */
const RANGES = [0, 1].map((partition) => ({ topic: 'a', partition, start: 2, end: 9 }))

function appOf(routes: Record<string, Partial<RouteStats>>) {
  const measured = Object.fromEntries(
    Object.entries(routes).map(([name, stats]) => [
      name,
      { stats: () => ({ ...idleStats(), ...stats }), partitions: async () => RANGES },
    ]),
  )
  const { registerMetrics, printMetrics } = kafkaMetrics(measured, { registry: new Registry() })
  return new Hono().use(registerMetrics).get('/metrics', printMetrics)
}

async function scrape(app: Hono): Promise<Exposition> {
  const response = await app.request('/metrics')
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  return new Exposition(await response.text())
}

const cluster = { name: 'c', outage: undefined, brokers: [] }
const feed = {
  id: 1,
  topics: ['a', 'b'],
  readers: 2,
  liveConsumers: 1,
  ringBytes: 10,
  maxRingBytes: 100,
  catchUpReads: 1,
  maxCatchUpReads: 16,
  waiting: 0,
  fallenBehind: 3,
  rebuilt: 0,
  failed: 0,
  deadLetters: 0,
  reducedDeadLetters: 0,
}

const OPEN_METRICS = Registry.OPENMETRICS_CONTENT_TYPE as never

describe('metrics', () => {
  test('names and types follow Prometheus’s conventions', async () => {
    const { families } = await scrape(
      appOf({ r: { cluster, feed, latency: { bounds: [1], counts: [1, 1], sum: 3 } } }),
    )
    for (const { name, help, type } of families) {
      expect(name).toMatch(/^hono_kafka_[a-z0-9_]+$/)
      expect(help).not.toBe('')
      expect(name.endsWith('_total')).toBe(type === 'COUNTER')
      expect(name).not.toMatch(/_(ms|milliseconds|kb|mb)(_|$)/)
    }
  })

  test('shared clusters, feeds and groups are counted once, and ring buffers of equal topics are added up', async () => {
    const exposition = await scrape(
      appOf({
        one: { cluster, feed },
        two: { cluster, feed },
        three: {
          cluster,
          feed: { ...feed, id: 2 },
        },
      }),
    )
    const labels = { cluster: 'c', topics: 'a,b' }
    expect(exposition.value('hono_kafka_ring_bytes', labels)).toBe(20)
    expect(exposition.value('hono_kafka_live_consumers', labels)).toBe(2)
    expect(exposition.value('hono_kafka_catch_up_reads', labels)).toBe(2)
    expect(exposition.value('hono_kafka_partition_end_offset', { partition: '0' })).toBe(9)
    expect(exposition.value('hono_kafka_partition_start_offset', { partition: '0' })).toBe(2)
    expect(exposition.value('hono_kafka_cluster_up')).toBe(1)
  })

  test('a cluster that cannot be read is shown as down', async () => {
    const outage = { code: 'KAFKA_UNAVAILABLE', message: '', detail: 'secret', since: 1 } as const
    const app = appOf({ one: { cluster: { ...cluster, outage } } })
    expect((await scrape(app)).value('hono_kafka_cluster_up')).toBe(0)
    expect(await (await app.request('/metrics')).text()).not.toContain('secret')
  })

  test('the lag is counted from the end that Kafka reports; an unknown lag is left out', async () => {
    // A member that nobody asks does not see the end move: what Kafka says of it counts.
    const first = { topic: 'a', partition: 0, end: 5, next: -1 }
    const group = {
      id: 'g',
      member: 1,
      partitions: [first, { ...first, partition: 1, next: 5 }],
      requeued: 2,
      uncertain: 3,
      rebuilt: 4,
    }
    const exposition = await scrape(appOf({ one: { cluster, groups: [group] } }))
    expect(exposition.value('hono_kafka_group_lag_records', { partition: '0' })).toBeUndefined()
    expect(exposition.value('hono_kafka_group_lag_records', { partition: '1' })).toBe(4)
    expect(exposition.value('hono_kafka_group_requeued_records_total')).toBe(2)
    expect(exposition.value('hono_kafka_group_uncertain_records_total')).toBe(3)
    expect(exposition.value('hono_kafka_group_rebuilt_consumers_total')).toBe(4)
  })

  test('a member of a group that several routes share is counted once', async () => {
    const at = { topic: 'a', partition: 0, end: 9, next: 5 }
    const group = (member: number, requeued: number) => ({
      id: 'g',
      member,
      partitions: member === 1 ? [at] : [],
      requeued,
      uncertain: 0,
      rebuilt: 0,
    })
    const exposition = await scrape(
      appOf({
        one: { cluster, groups: [group(1, 2)] },
        other: { cluster, groups: [group(1, 2)] },
        // Another member of the same group, as with other topics.
        third: { cluster, groups: [group(2, 5)] },
      }),
    )
    const requeued = 'hono_kafka_group_requeued_records_total'
    expect(exposition.value(requeued, { cluster: 'c', group: 'g' })).toBe(7)
    expect(exposition.value('hono_kafka_group_lag_records', { partition: '0' })).toBe(4)
  })

  test('names with line ends and quotes are escaped', async () => {
    const name = 'a"b\\c\nd'
    const text = await (await appOf({ [name]: { subscribers: 5 } }).request('/metrics')).text()
    expect(text).toContain('hono_kafka_subscribers{route="a\\"b\\\\c\\nd"} 5\n')
    expect(new Exposition(text).value('hono_kafka_subscribers')).toBe(5)
  })

  test('unknown paths of clients do not create series', async () => {
    const app = appOf({}).get('/things/:id', (c) => c.text('found'))
    for (let index = 0; index < 5; index++) {
      await app.request(`/things/${index}`)
      await app.request(`/nowhere/${index}`)
    }
    const exposition = await scrape(app)
    const requests = 'hono_kafka_http_requests_total'
    expect(exposition.value(requests, { route: '/things/:id', status: '200' })).toBe(5)
    expect(exposition.value(requests, { route: '(none)', status: '404' })).toBe(5)
    expect(exposition.series(requests)).toBe(2)
  })

  test('routes beyond a limit are counted as one, and so are unknown methods', async () => {
    const { observe, printMetrics } = kafkaMetrics({}, { registry: new Registry() })
    const app = new Hono().get('/metrics', printMetrics)
    const rest = { method: 'BREW', status: 200, seconds: 1, isStream: false, records: 0, bytes: 0 }
    for (let index = 0; index < 2_010; index++)
      observe({ ...rest, route: `r${index}` }, {} as never)
    const requests = 'hono_kafka_http_requests_total'
    const exposition = await scrape(app)
    expect(exposition.value(requests, { route: '(other)' })).toBe(10)
    expect(exposition.value(requests, { method: 'other' })).toBe(2_010)
    expect(exposition.series(requests)).toBe(2_001)
  })

  test('the registry of an app has them at once, in the text format and in that of OpenMetrics', async () => {
    for (const isOpen of [false, true]) {
      const registry = new Registry()
      if (isOpen) (registry as Registry<never>).setContentType(OPEN_METRICS)
      const { observe } = kafkaMetrics({}, { registry })
      const request = { route: '/r', status: 200, isStream: false, records: 0, bytes: 0 }
      observe({ ...request, method: 'GET', seconds: 0.5 }, {} as never)
      observe({ ...request, method: 'GET', seconds: 3, isStream: true }, {} as never)
      const text = await registry.metrics()
      for (const line of [
        'hono_kafka_http_requests_total{route="/r",method="GET",status="200"} 2',
        'hono_kafka_http_request_duration_seconds_bucket{route="/r",le="0.25"} 0',
        'hono_kafka_http_request_duration_seconds_bucket{route="/r",le="0.5"} 1',
        'hono_kafka_http_request_duration_seconds_bucket{route="/r",le="+Inf"} 1',
        'hono_kafka_stream_duration_seconds_sum{route="/r"} 3',
        'hono_kafka_stream_duration_seconds_count{route="/r"} 1',
      ]) {
        expect(text.split('\n')).toContain(line)
      }
    }
  })

  test('a failed request is counted, even when the thrown value is not an error', async () => {
    const app = appOf({})
      .get('/fails', () => {
        throw new Error('broken')
      })
      .onError((_, c) => c.text('', 500))
    await app.request('/fails')
    expect((await scrape(app)).value('hono_kafka_http_requests_total', { status: '500' })).toBe(1)
  })
})

describe('a histogram', () => {
  test('a value at a bound belongs to the bucket of that bound, larger values to the last', () => {
    const histogram = new Histogram([1, 10])
    for (const value of [0, 1, 1.5, 10, 11]) histogram.observe(value)
    expect(histogram.state()).toEqual({ bounds: [1, 10], counts: [2, 2, 1], sum: 23.5 })
  })
})

describe('statistics of brokers', () => {
  const broker = {
    name: 'h:1/3',
    nodeid: 3,
    state: 'UP',
    outbuf_cnt: 1,
    waitresp_cnt: 2,
    txerrs: 1,
    rxerrs: 2,
    req_timeouts: 3,
    rtt: { avg: 1_500, p99: 20_000, cnt: 4 },
  }

  test('name the brokers that were connected to, in base units', () => {
    const report = {
      brokers: {
        a: broker,
        b: { ...broker, state: 'DOWN', rtt: { avg: 0, p99: 0, cnt: 0 } },
        bootstrap: { ...broker, nodeid: -1 },
        unused: { ...broker, state: 'INIT' },
      },
    }
    const states = brokerStates(JSON.stringify(report))
    expect(states).toHaveLength(2)
    expect(states[0]).toEqual({
      name: 'h:1/3',
      isUp: true,
      roundTrip: { average: expect.closeTo(0.0015), p99: expect.closeTo(0.02) },
      queued: 1,
      inFlight: 2,
      failed: 6,
    })
    expect(states[1]).toMatchObject({ isUp: false, roundTrip: undefined })
  })
})

describe('metrics of the process', () => {
  test('sample the delay of the event loop from the first scrape on, and not before', async () => {
    const monitor = spyOn(perfHooks, 'monitorEventLoopDelay')
    const app = new Hono().get('/metrics', kafkaMetrics({}).printMetrics)
    await import('prom-client')
    await new Promise(setImmediate)
    expect(monitor).not.toHaveBeenCalled()
    await scrape(app)
    await scrape(app)
    expect(monitor.mock.calls).toEqual([[{ resolution: 20 }]])
    monitor.mockRestore()
  })

  test('have a delay of the event loop of 0 where there is no sample since the last scrape', async () => {
    const app = new Hono().get('/metrics', kafkaMetrics({}).printMetrics)
    const scrapes = [await scrape(app), await scrape(app), await scrape(app)]
    for (const metrics of scrapes) {
      for (const name of ['min', 'mean', 'max', 'p99']) {
        expect(metrics.value(`nodejs_eventloop_lag_${name}_seconds`)).toBeWithin(0, 60)
      }
    }
  })

  test('count the processor time since the process began', async () => {
    const app = new Hono().get('/metrics', kafkaMetrics({}).printMetrics)
    const before = process.cpuUsage()
    const metrics = await scrape(app)
    const after = process.cpuUsage()
    const between = (name: string, from: number, to: number) => {
      // Some microseconds pass between two looks at the time.
      expect(metrics.value(name)).toBeWithin(from / 1e6 - 0.01, to / 1e6 + 0.01)
    }
    between('process_cpu_user_seconds_total', before.user, after.user)
    between('process_cpu_system_seconds_total', before.system, after.system)
    const [from, to] = [before, after].map(({ user, system }) => user + system)
    between('process_cpu_seconds_total', from ?? 0, to ?? 0)
  })
})

describe('the latency of events', () => {
  test('is measured for timestamps that are milliseconds of our time, and for no others', () => {
    const figures = new RouteStatistics()
    const now = Date.now()
    const counted = () => figures.latency().counts.reduce((sum, count) => sum + count, 0)
    for (const of of [-1, now - 1, now * 1_000, 1_795_875_915_705_000_000, 2 ** 63]) {
      figures.observeLatency(of, now)
    }
    expect(counted()).toBe(0)
    // A record may come from a producer whose clock is ahead.
    for (const of of [now, now + 2_000]) figures.observeLatency(of, now)
    expect(counted()).toBe(2)
  })
})
