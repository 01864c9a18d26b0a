/**
 * A custom format: clients see the result of `format` for each record, however they read.
 *
 *   KAFKA_BROKERS=localhost:9092 KAFKA_TOPICS=orders bun examples/format.ts
 *
 *   curl 'localhost:3000/orders?start=earliest'
 *   curl -N localhost:3000/orders -H 'Accept: text/event-stream'
 */
import { Hono } from 'hono'
import { type FormatRecord, kafkaConsume } from 'hono-kafka-consume'

const { KAFKA_BROKERS = 'localhost:9092', KAFKA_TOPICS = 'orders', PORT = '3000' } = process.env

/** Makes GeoJSON from records such as {"country":"SE"}. An error that it throws becomes the record's `error`. */
const feature: FormatRecord = ({ partition, offset, timestamp, value }) => {
  const { country } = value as { country: string }
  const place = PLACES[country]
  if (!place) throw new Error(`${country} is not on the map`)
  return {
    type: 'Feature',
    id: `${partition}/${offset}`,
    geometry: { type: 'Point', coordinates: place },
    properties: { country, at: new Date(timestamp).toISOString() },
  }
}

/** Longitude and latitude. */
const PLACES: Readonly<Record<string, readonly [number, number]>> = {
  SE: [18.07, 59.33],
  NO: [10.75, 59.91],
}

const orders = kafkaConsume({
  bootstrapServers: KAFKA_BROKERS,
  topics: KAFKA_TOPICS,
  mode: 'auto',
  messageDeserializer: 'json',
  format: feature,
})

const server = Bun.serve({
  port: Number(PORT),
  idleTimeout: 120,
  fetch: new Hono().all('/orders', orders).fetch,
})
console.log(`http://localhost:${server.port}/orders`)
process.on('SIGTERM', async () => {
  await orders.close()
  process.exit()
})
