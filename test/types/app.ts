/** Uses of typed topics that the compiler accepts: `bun run check` compiles this file. */

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type } from 'arktype'
import { Hono } from 'hono'
import {
  type ConsumedRecord,
  type KafkaReaderEnv,
  kafkaReader,
  type RecordOf,
  type StandardSchema,
} from 'hono-kafka-consume'
import * as v from 'valibot'
import * as z from 'zod'

/** Whether two types are the same. */
export type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Makes the compiler check a fact about types. */
export function hold<Fact extends true>(_fact?: Fact): void {}

/** An order, by valibot. */
export const Order = v.object({ total: v.number(), at: v.pipe(v.string(), v.toDate()) })
/** A payment, by zod. */
export const Payment = z.object({ paid: z.boolean(), at: z.coerce.date() })
/** A refund, by arktype. */
export const Refund = type({ reason: 'string' })

const connection = { bootstrapServers: 'localhost:9092' }
export const topics = { orders: Order, payments: Payment, refunds: Refund }

// Topics as an object, as a constant or in place: a union that `topic` discriminates.
const shop = kafkaReader({ ...connection, topics })
new Hono().get('/shop', shop, async (c) => {
  const { records } = await c.var.kafka.poll()
  hold<Same<(typeof records)[number], RecordOf<typeof topics>>>()
  for (const record of records) {
    hold<Same<typeof record.topic, 'orders' | 'payments' | 'refunds'>>()
    if (record.error) {
      hold<Same<typeof record.value, unknown>>()
      continue
    }
    if (record.topic === 'orders') hold<Same<typeof record.value, { total: number; at: Date }>>()
    if (record.topic === 'payments') hold<Same<typeof record.value, { paid: boolean; at: Date }>>()
    if (record.topic === 'refunds') hold<Same<typeof record.value, { reason: string }>>()
  }
  const read = await c.var.kafka.read({ start: 'earliest' })
  hold<Same<(typeof read.records)[number], RecordOf<typeof topics>>>()
  for await (const record of c.var.kafka.stream()) {
    hold<Same<typeof record.cursor, string>>()
    if (!record.error && record.topic === 'orders') hold<Same<typeof record.value.total, number>>()
  }
  return c.body(null, 204)
})

// Topics as an array in place, with keys and headers, beside one without a schema.
new Hono()
  .use(
    kafkaReader({
      ...connection,
      topics: [
        {
          name: 'orders',
          schema: Order,
          key: v.pipe(v.string(), v.transform(Number)),
          headers: v.object({ trace: v.string() }),
        },
        { name: 'payments', key: z.string() },
        'audit',
      ],
    }),
  )
  .get('/', async (c) => {
    const { records } = await c.var.kafka.poll()
    for (const record of records) {
      if (record.topic === 'audit') hold<Same<typeof record.value, unknown>>()
      if (record.error) continue
      if (record.topic === 'orders') {
        hold<Same<typeof record.key, number>>()
        hold<Same<typeof record.headers, { trace: string }>>()
      }
      if (record.topic === 'payments') hold<Same<typeof record.key, string>>()
    }
    return c.body(null, 204)
  })

// Topics without schemas are as they were.
const plain = kafkaReader({ ...connection, topics: ['orders', { name: 'payments' }] })
new Hono<KafkaReaderEnv>().get('/', plain, async (c) => {
  const { records } = await c.var.kafka.poll()
  hold<Same<(typeof records)[number], ConsumedRecord>>()
  return c.body(null, 204)
})

// A handler that is written elsewhere.
const elsewhere = new Hono<KafkaReaderEnv<RecordOf<typeof topics>>>()
elsewhere.get('/', async (c) => {
  const { records } = await c.var.kafka.poll()
  hold<Same<(typeof records)[number], RecordOf<typeof topics>>>()
  return c.body(null, 204)
})

// Our interface is the standard's.
export const ours: StandardSchema<string, Date> = {} as StandardSchemaV1<string, Date>
export const theirs: StandardSchemaV1<string, Date> = {} as StandardSchema<string, Date>
