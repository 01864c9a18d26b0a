/** Wrong uses of typed topics. Each of them is an error of the compiler, which errors.txt lists. */
import { Hono } from 'hono'
import { kafkaReader, type RecordOf } from 'hono-kafka-consume'
import * as v from 'valibot'

const topics = {
  orders: v.object({ total: v.number(), at: v.pipe(v.string(), v.toDate()) }),
  payments: v.object({ paid: v.boolean() }),
}
const shop = kafkaReader({ bootstrapServers: 'localhost:9092', topics })

new Hono().get('/', shop, async (c) => {
  const { records } = await c.var.kafka.poll()
  for (const record of records) {
    // The error of a record is not looked at.
    record.value.total
    if (record.error) continue
    // Nor is the topic.
    record.value.total
    // A topic that is not read.
    if (record.topic === 'order') continue
    if (record.topic === 'orders') {
      // A field that the schema does not have.
      record.value.totl
      // The type before the schema.
      record.value.at.slice(0, 10)
      // The field of another topic.
      record.value.paid
    }
  }
  for await (const record of c.var.kafka.stream()) {
    // A record cannot be changed.
    record.cursor = ''
    // The key of a topic without a schema for keys is a text.
    const key: number = record.key
    void key
  }
  return c.body(null, 204)
})

declare function bill(order: RecordOf<Pick<typeof topics, 'orders'>>): void
declare const any: RecordOf<typeof topics>
// A record of any topic, for a function of one.
bill(any)
