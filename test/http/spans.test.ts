/** Reads of a handler by `c.var.kafka` are traced by the provider that the app has registered. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { Hono } from 'hono'
import { type KafkaReaderEnv, kafkaReader } from '../../src/index.ts'
import { TestKafka } from '../support/kafka.ts'
import { until } from '../support/wait.ts'

const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
beforeAll(() => void trace.setGlobalTracerProvider(provider))
afterAll(() => trace.disable())

test('polls, reads and streams of a handler are spans, linked to the traces of records', async () => {
  const kafka = await TestKafka.real()
  const topic = await kafka.createTopic()
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const traceparent = `00-${traceId}-00f067aa0ba902b7-01`
  await kafka.produce(topic, [{ value: 'a', headers: [['traceparent', traceparent]] }])
  const reading = kafkaReader({
    bootstrapServers: kafka.bootstrapServers,
    topics: [topic],
    autoOffsetReset: 'earliest',
  })
  const app = new Hono<KafkaReaderEnv>().get('/:how', reading, async (c) => {
    const { poll, read, stream } = {
      poll: () => c.var.kafka.poll({ timeout: 15_000 }),
      read: () => c.var.kafka.read({ start: 'earliest' }),
      stream: async () => {
        for await (const _ of c.var.kafka.stream({ start: 'earliest' })) break
      },
    }
    const how = c.req.param('how')
    if (how === 'poll') await poll()
    else if (how === 'read') await read()
    else if (how === 'stream') await stream()
    else await c.var.kafka.read({ cursor: 'nonsense' })
    return c.body(null, 204)
  })
  app.onError((_, c) => c.text('failed', 500))
  for (const how of ['poll', 'read', 'stream', 'fail']) await app.request(`/${how}`)

  const ours = () => exporter.getFinishedSpans().filter(({ name }) => name === `receive ${topic}`)
  await until(
    () => ours().length === 4,
    () => `four spans; there are ${ours().length}`,
  )
  const [poll, read, stream, failed] = ours()
  for (const [span, kind] of [
    [poll, 'group'],
    [read, 'read'],
    [stream, 'stream'],
  ] as const) {
    expect(span?.kind).toBe(SpanKind.CONSUMER)
    expect(span?.attributes).toMatchObject({
      'messaging.operation.name': kind,
      'messaging.batch.message_count': 1,
    })
    expect(span?.links.map(({ context }) => context.traceId)).toEqual([traceId])
  }
  expect(failed?.status.code).toBe(SpanStatusCode.ERROR)
  await reading.close()
  await kafka.close()
}, 120_000)
