/** librdkafka's statistics of its connections (its STATISTICS.md). */
import type { BrokerState } from '../../src/port/kafka.ts'

/** Milliseconds between two reports. Prometheus usually scrapes about as often. */
export const STATISTICS_INTERVAL_MS = 10_000

const MICROSECONDS = 1e-6

interface Report {
  readonly brokers?: Readonly<Record<string, LibrdkafkaBroker>>
}

interface LibrdkafkaBroker {
  readonly name: string
  /** -1 for an address that librdkafka knows only from the configuration. */
  readonly nodeid: number
  readonly state: string
  readonly outbuf_cnt: number
  readonly waitresp_cnt: number
  readonly txerrs: number
  readonly rxerrs: number
  readonly req_timeouts: number
  /** Microseconds, over the time since the last report. */
  readonly rtt: { readonly avg: number; readonly p99: number; readonly cnt: number }
}

/** The brokers that the client has connected to. */
export function brokerStates(report: string): BrokerState[] {
  const { brokers = {} } = JSON.parse(report) as Report
  return Object.values(brokers)
    .filter(({ nodeid, state }) => nodeid >= 0 && state !== 'INIT')
    .map(({ name, state, outbuf_cnt, waitresp_cnt, txerrs, rxerrs, req_timeouts, rtt }) => ({
      name,
      // UPDATE: the connection is up, and the client asks again for the broker's API versions.
      isUp: state === 'UP' || state === 'UPDATE',
      roundTrip:
        rtt.cnt > 0 ? { average: rtt.avg * MICROSECONDS, p99: rtt.p99 * MICROSECONDS } : undefined,
      queued: outbuf_cnt,
      inFlight: waitresp_cnt,
      failed: txerrs + rxerrs + req_timeouts,
    }))
}
