/** The app that each thread of `threads.ts` serves. */
import { Hono } from 'hono'
import { kafkaConsume } from 'hono-kafka-consume'

const { KAFKA_BROKERS = 'localhost:9092', KAFKA_TOPICS = 'orders' } = process.env
const kafka = { bootstrapServers: KAFKA_BROKERS, topics: KAFKA_TOPICS } as const

export default new Hono()
  .all(
    '/orders',
    kafkaConsume({ ...kafka, autoOffsetReset: 'earliest', responseFormat: 'records' }),
  )
  .all('/orders/live', kafkaConsume({ ...kafka, mode: 'server-sent-events', maxSubscribers: 6 }))
