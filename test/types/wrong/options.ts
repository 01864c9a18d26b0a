/** Wrong options of topics. */
import { kafkaConsume, kafkaProduce, kafkaReader } from 'hono-kafka-consume'
import * as v from 'valibot'

const bootstrapServers = 'localhost:9092'

// A schema's shape in place of a schema.
kafkaReader({ bootstrapServers, topics: { orders: { total: 'number' } } })
// A schema in place of topics.
kafkaConsume({ bootstrapServers, topics: v.object({ total: v.number() }) })
// A schema without its topic.
kafkaProduce({ bootstrapServers, topics: [{ schema: v.number() }] })
// A field of a topic that does not exist.
kafkaConsume({ bootstrapServers, topics: ['x', { name: 'orders', schmea: v.number() }] })
kafkaReader({
  bootstrapServers,
  topics: [{ name: 'orders', schema: v.number(), keys: v.string() }],
})
kafkaProduce({ bootstrapServers, topics: [{ name: 'orders', header: v.any() }] })
// An option that does not exist.
kafkaReader({ bootstrapServers, topics: { orders: v.number() }, deserializer: 'json' })
// An option of answers, which handlers behind kafkaReader make.
kafkaReader({ bootstrapServers, topics: { orders: v.number() }, mode: 'auto' })
