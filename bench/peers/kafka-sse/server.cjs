/**
 * KafkaSSE on Node's server, as its README shows it.
 * Usage: node kafka-sse.cjs MODULE PORT BROKERS PARTITIONS; a topic's stream is at /TOPIC.
 */
const { createServer } = require('node:http')

const [module_, port, brokers, partitions] = process.argv.slice(2)
const kafkaSse = require(module_)

createServer((request, response) => {
  const topic = request.url.slice(1)
  // From the beginning, as a client asks for it that was there before: else records are missed
  // that are written between its connecting and its first fetch.
  request.headers['last-event-id'] = JSON.stringify(
    Array.from({ length: Number(partitions) }, (_, partition) => ({ topic, partition, offset: 0 })),
  )
  kafkaSse(request, response, [topic], {
    kafkaConfig: { 'metadata.broker.list': brokers },
  }).catch((error) => console.error(`KafkaSSE: ${error.message}`))
}).listen(Number(port), '127.0.0.1')
