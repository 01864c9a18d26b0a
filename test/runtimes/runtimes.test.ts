import { join } from 'node:path'
import { describeWireContract } from '../contract/contract.ts'
import { TestKafka } from '../support/kafka.ts'
import { npmTool } from '../support/npm-tool.ts'
import { startHost } from './remote.ts'

const LAUNCHERS = {
  deno: ['run', '--allow-all', join(import.meta.dirname, 'deno.ts')],
  node: [join(import.meta.dirname, 'node.ts')],
}

for (const runtime of ['deno', 'node'] as const) {
  describeWireContract(`a real Kafka, served by ${runtime}`, async () => {
    const host = await startHost([await npmTool(runtime), ...LAUNCHERS[runtime]])
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
}
