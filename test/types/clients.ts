/** Apps whose clients know the answers: uses of `hc` that the compiler accepts. */
import { Hono } from 'hono'
import { hc } from 'hono/client'
import {
  type ErrorAnswer,
  type FailedRecord,
  type KafkaConsumeHandler,
  kafkaConsume,
  kafkaProduce,
} from 'hono-kafka-consume'
import {
  type KafkaStreamError,
  type KafkaStreamErrorCode,
  sharedStream,
  stream,
} from 'hono-kafka-consume/client'
import { useKafkaStream } from 'hono-kafka-consume/client/hono-jsx'
import { useKafkaStream as useReactStream } from 'hono-kafka-consume/client/react'
import { hold, type Same, topics } from './app.ts'

/** An app with a route in each form. */
export function appOf(connection: { bootstrapServers: string; topics: typeof topics }) {
  return new Hono()
    .get('/kong', kafkaConsume(connection))
    .get('/records', kafkaConsume({ ...connection, responseFormat: 'records' }))
    .get('/values', kafkaConsume({ ...connection, responseFormat: 'value' }))
    .get('/own', kafkaConsume({ ...connection, format: ({ offset }) => ({ offset }) }))
    .get('/stream', kafkaConsume({ ...connection, mode: 'server-sent-events' }))
    .get('/socket', kafkaConsume({ ...connection, mode: 'websocket' }))
    .all('/:shop/auto', kafkaConsume({ ...connection, mode: 'auto', responseFormat: 'records' }))
    .post('/orders', kafkaProduce({ ...connection, topics: { orders: topics.orders } }))
    .post('/all', kafkaProduce(connection))
}

type App = ReturnType<typeof appOf>

const client = hc<App>('http://localhost')

/** A body by the status. A Date of the server is a text. */
export async function recordsAnswer(): Promise<void> {
  const query = { start: 'earliest', max_records: 10, topic: ['orders', 'payments'] } as const
  const read = await client.records.$get({ query })
  if (!read.ok) {
    const error = await read.json()
    hold<Same<typeof error, ErrorAnswer>>()
    if (read.status === 404) hold<Same<typeof error.code, ErrorAnswer['code']>>()
    return
  }
  const { records, cursor, gaps } = await read.json()
  hold<Same<typeof cursor, string | undefined>>()
  hold<Same<NonNullable<typeof gaps>[number]['reason'], 'retention' | 'out-of-range'>>()
  for (const record of records) {
    if (record.error || record.topic !== 'orders') continue
    hold<Same<typeof record.value, { total: number; at: string }>>()
    hold<Same<typeof record.key, string | null>>()
  }
}

/** Other forms of a body. */
export async function otherForms(): Promise<void> {
  const kong = await client.kong.$get()
  if (!kong.ok) return
  const { orders } = await kong.json()
  const [record] = orders.partitions['0']?.records ?? []
  if (record && !record.error) hold<Same<typeof record.value.at, string>>()
  hold<Same<NonNullable<(typeof orders.partitions)[string]>['high_watermark'], number>>()

  const values = await client.values.$get({ query: { partition: 0 } })
  if (!values.ok) return
  type Values = Awaited<ReturnType<typeof values.json>>[number]
  hold<Same<Extract<Values, { total: number }>, { total: number; at: string }>>()
  hold<Same<Extract<Values, { topic: 'orders' }>, FailedRecord<'orders'>>>()

  const own = await client.own.$get()
  if (own.ok) {
    type Failed = FailedRecord<'orders' | 'payments' | 'refunds'>
    type Own = Awaited<ReturnType<typeof own.json>>[number]
    hold<Same<Own, { offset: number } | Failed>>()
    for (const one of await own.json()) {
      if ('error' in one) hold<Same<typeof one, Failed>>()
      else hold<Same<typeof one, { offset: number }>>()
    }
  }
  hold<Same<ReturnType<typeof client.socket.$ws>, WebSocket>>()
}

/** Streams are typed by the route. */
export async function streams(): Promise<void> {
  const onRetry = ({ code }: KafkaStreamError) => hold<Same<typeof code, KafkaStreamErrorCode>>()
  for await (const record of stream(client.stream, { start: '-10m', onRetry })) {
    hold<Same<typeof record.cursor, string>>()
    if (!record.error && record.topic === 'payments') {
      hold<Same<typeof record.value, { paid: boolean; at: string }>>()
    }
  }
}

/** Streams that tabs share, and those of components, are typed by the route, too. */
export async function sharedStreams(): Promise<void> {
  for await (const record of sharedStream(client.stream)) {
    if (!record.error && record.topic === 'payments') {
      hold<Same<typeof record.value, { paid: boolean; at: string }>>()
    }
  }
  for (const hook of [useKafkaStream, useReactStream]) {
    const [record] = hook(client.stream, { limit: 10 }).records
    if (record && !record.error && record.topic === 'payments') {
      hold<Same<typeof record.value, { paid: boolean; at: string }>>()
    }
  }
}

/**
 * Records to write have the types before the schemas. Where a route has one topic, they need not name
 * it.
 */
export async function writes(): Promise<void> {
  const written = await client.orders.$post({
    query: { key: 'a' },
    json: { records: [{ value: { total: 1, at: '2026-11-28T10:00:00Z' } }] },
  })
  if (written.ok) {
    const { records } = await written.json()
    hold<Same<(typeof records)[number]['offset'], number | null>>()
  } else {
    const { code } = await written.json()
    hold<Same<typeof code, ErrorAnswer['code']>>()
  }
  await client.all.$post({
    json: {
      records: [
        { topic: 'orders', value: { total: 1, at: 'x' }, headers: { a: ['1', null] } },
        { topic: 'refunds', value: { reason: 'late' }, partition: 0, timestamp: 1 },
      ],
    },
  })
}

/** A route of mode `auto` that is mounted by `all` is read and streamed as one that is mounted by `get`. */
export async function autoRoute(): Promise<void> {
  const route = client[':shop'].auto
  const param = { shop: 'a' }
  const read = await route.$get({ param, query: { start: '-10m', topic: 'orders' } })
  if (!read.ok) {
    const { code } = await read.json()
    hold<Same<typeof code, ErrorAnswer['code']>>()
    return
  }
  const { records } = await read.json()
  for (const record of records) {
    if (record.error || record.topic !== 'orders') continue
    hold<Same<typeof record.value, { total: number; at: string }>>()
  }
  for await (const record of stream(route, { param })) {
    if (record.error || record.topic !== 'payments') continue
    hold<Same<typeof record.value, { paid: boolean; at: string }>>()
  }
}

// A handler whose types do not matter.
export const handler: KafkaConsumeHandler = kafkaConsume({
  bootstrapServers: 'localhost:9092',
  topics: ['orders'],
})
