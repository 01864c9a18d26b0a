import { join } from 'node:path'
import { describeWireContract } from '../contract/contract.ts'
import { TestKafka } from '../support/kafka.ts'
import { installRuntime, type Runtime } from './install.ts'
import { startHost } from './remote.ts'

const LAUNCHERS: Record<Runtime, string[]> = {
  deno: ['run', '--allow-all', join(import.meta.dirname, 'deno.ts')],
  node: [join(import.meta.dirname, 'node.ts')],
}

for (const [runtime, launcher] of Object.entries(LAUNCHERS)) {
  describeWireContract(`a real Kafka, served by ${runtime}`, async () => {
    const host = await startHost([await installRuntime(runtime as Runtime), ...launcher])
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
