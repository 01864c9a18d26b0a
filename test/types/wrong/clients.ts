/** Wrong uses of clients that know the answers of routes. */
import { Hono } from 'hono'
import { hc } from 'hono/client'
import { kafkaConsume, kafkaProduce } from 'hono-kafka-consume'
import { stream } from 'hono-kafka-consume/client'
import * as v from 'valibot'

const bootstrapServers = 'localhost:9092'
const topics = {
  orders: v.object({ total: v.number(), at: v.pipe(v.string(), v.toDate()) }),
  payments: v.object({ paid: v.boolean() }),
}
const app = new Hono()
  .get('/orders', kafkaConsume({ bootstrapServers, topics, responseFormat: 'records' }))
  .post('/orders', kafkaProduce({ bootstrapServers, topics }))
  .get('/live', kafkaConsume({ bootstrapServers, topics, mode: 'server-sent-events' }))
const client = hc<typeof app>('http://localhost')

// A parameter that does not exist.
client.orders.$get({ query: { limit: 10 } })
// A topic that the route does not read.
client.orders.$get({ query: { topic: 'refunds' } })
const response = await client.orders.$get()
const body = await response.json()
// The status is not looked at.
body.records
if (response.ok) {
  const [record] = (await response.json()).records
  if (record && !record.error && record.topic === 'orders') {
    // A Date is a text in JSON.
    record.value.at.getTime()
  }
}
// A record of a route with several topics does not name its own.
client.orders.$post({ json: { records: [{ value: { paid: true } }] } })
// A value of another topic.
client.orders.$post({ json: { records: [{ topic: 'orders', value: { paid: true } }] } })
for await (const record of stream(client.live)) {
  // The error of a record is not looked at.
  record.value.total
}
// A route that does not stream.
stream(client.orders)
