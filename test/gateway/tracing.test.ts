/** Spans that a gateway sends to a collector, with what leads from them to records and back. */
import { expect, test } from 'bun:test'
import { SocketClient } from '../support/socket.ts'
import { SseClient } from '../support/sse.ts'
import { until } from '../support/wait.ts'
import { GatewayProcess } from './gateway-process.ts'

interface SentSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly attributes: ReadonlyArray<{ key: string; value: Record<string, unknown> }>
  readonly links?: ReadonlyArray<{ traceId: string; spanId: string }>
}

interface Export {
  readonly resourceSpans: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{ readonly spans: readonly SentSpan[] }>
  }>
}

const CONSUMER = 5
const attribute = (span: SentSpan | undefined, name: string) => {
  const value = span?.attributes.find(({ key }) => key === name)?.value ?? {}
  return Object.values(value)[0]
}

test('reads and streams are spans with links to the traces of records, and no query', async () => {
  const spans: SentSpan[] = []
  let text = ''
  await using collector = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: async (request) => {
      const body = await request.text()
      text += body
      for (const { scopeSpans } of (JSON.parse(body) as Export).resourceSpans) {
        for (const scope of scopeSpans) spans.push(...scope.spans)
      }
      return Response.json({})
    },
  })
  const { gateway, url } = await GatewayProcess.listening([], {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.port}`,
    OTEL_BSP_SCHEDULE_DELAY: '200',
  })
  await using _ = gateway
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, 'readiness', 20_000)
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const response = await fetch(
    `${url}/messages?start=earliest&max_records=3&format=records&key=planted`,
    { headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` } },
  )
  expect(response.status).toBe(200)
  const read = await fetch(`${url}/messages?start=earliest&max_records=3&format=records`)
  const { records } = (await read.json()) as {
    records: Array<{ headers: { traceparent: string } }>
  }
  const stream = await SseClient.open(`${url}/stream?start=earliest`)
  await stream.until(100)
  await stream[Symbol.asyncDispose]()

  const receives = () => spans.filter(({ kind }) => kind === CONSUMER)
  await until(() => receives().length === 3, 'three spans of reads')
  const [first, second, last] = receives()
  // The span belongs to the client's trace, beneath the span of the request.
  expect(first?.traceId).toBe(traceId)
  const parent = spans.find(({ spanId }) => spanId === first?.parentSpanId)
  expect(parent?.name).toBe('GET /messages')
  expect(attribute(parent, 'url.full')).toBe(`${url}/messages`)
  expect(text).not.toContain('planted')

  expect(second?.name).toBe('receive kong-test')
  expect(attribute(second, 'messaging.system')).toBe('kafka')
  expect(attribute(second, 'messaging.batch.message_count')).toBe(3)
  const inRecords = new Set(records.map(({ headers }) => headers.traceparent.split('-')[2]))
  const linked = second?.links?.map(({ spanId }): string | undefined => spanId)
  expect(new Set(linked)).toEqual(inRecords)
  // A stream's span ends with the stream, and its links are bounded.
  expect(attribute(last, 'messaging.operation.name')).toBe('stream')
  expect(attribute(last, 'messaging.batch.message_count')).toBeGreaterThanOrEqual(100)
  expect(last?.links?.length).toBeGreaterThan(0)
  expect(last?.links?.length).toBeLessThanOrEqual(32)

  // So does that of a client that acknowledges.
  const socket = await SocketClient.open(`${url}/socket?acks=true`)
  await socket.until(1)
  await socket.close()
  await until(() => receives().length === 4, 'the span of a WebSocket')
  const acknowledged = receives()[3]
  expect(attribute(acknowledged, 'messaging.operation.name')).toBe('group')
  expect(attribute(acknowledged, 'messaging.batch.message_count')).toBeGreaterThan(0)
  expect(acknowledged?.links?.length).toBeGreaterThan(0)

  gateway.signal('SIGTERM')
  expect(await gateway.exited()).toBe(0)
}, 120_000)

test('a collector that cannot be reached delays no request, and not the end of the process', async () => {
  const { gateway, url } = await GatewayProcess.listening([], {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
  })
  await using _ = gateway
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
  gateway.signal('SIGTERM')
  expect(await gateway.exited()).toBe(0)
}, 120_000)
