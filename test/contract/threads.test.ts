import { join } from 'node:path'
import { startHost } from '../runtimes/remote.ts'
import { TestKafka } from '../support/kafka.ts'
import { describeWireContract } from './contract.ts'

const PROGRAM = join(import.meta.dirname, '..', 'threads', 'host.ts')

describeWireContract('a real Kafka, served by two threads', async () => {
  const host = await startHost((port) => [process.execPath, PROGRAM, String(port)])
  const kafka = await TestKafka.real()
  return {
    kafka,
    host,
    async close() {
      await host.close()
      await kafka.close()
    },
  }
})
