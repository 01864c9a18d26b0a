/**
 * A static member of a group in a process of its own, which is killed as soon as it is to give partitions
 * up, before it joins again: `bun revoked-member.ts BROKERS GROUP INSTANCE TOPIC`. It prints a line
 * once it has partitions.
 */
import { connectClient, createConsumer } from '../../../kafka/client/client.ts'

/** librdkafka's `RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS`. */
const ASSIGN = -175

const [brokers = '', group = '', instance = '', topic = ''] = process.argv.slice(2)
const consumer = createConsumer({
  'bootstrap.servers': brokers,
  'group.id': group,
  'group.instance.id': instance,
  'partition.assignment.strategy': 'cooperative-sticky',
  'session.timeout.ms': 45_000,
  'heartbeat.interval.ms': 200,
  'enable.auto.commit': false,
  rebalance_cb: (
    error: { code: number },
    partitions: Array<{ topic: string; partition: number }>,
  ) => {
    if (error.code === ASSIGN) {
      consumer.incrementalAssign(partitions as never)
      if (partitions.length > 0) console.log(`has ${partitions.length} partitions`)
      return
    }
    consumer.incrementalUnassign(partitions as never)
    process.kill(process.pid, 'SIGKILL')
  },
})
await connectClient(consumer, 10_000)
consumer.subscribe([topic])
setInterval(() => consumer.consume(100, () => {}), 50)
