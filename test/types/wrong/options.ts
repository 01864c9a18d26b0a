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
// An option that does not exist.
kafkaReader({ bootstrapServers, topics: { orders: v.number() }, deserializer: 'json' })
