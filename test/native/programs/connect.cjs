// Tries to connect with the configuration given, and prints librdkafka's errors. CommonJS, since
// it also runs on Node.
const { Producer } = require('@confluentinc/kafka-javascript')

const producer = new Producer(JSON.parse(process.argv[2]))
producer.on('event.error', ({ message }) => console.log(message))
producer.on('event.log', ({ message }) => console.log(message))
producer.connect({ timeout: 3000 }, (error) => {
  console.log(error ? error.message : 'connected')
  process.exit(0)
})
