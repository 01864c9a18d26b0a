import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { describeWireContract } from '../contract/contract.ts'
import { BuiltPackage } from '../support/built-package.ts'
import { TestKafka } from '../support/kafka.ts'
import { npmTool } from '../support/npm-tool.ts'
import { run } from '../support/run-program.ts'
import { within } from '../support/wait.ts'
import { launch, runtimes } from './launch.ts'

let built: BuiltPackage
beforeAll(async () => {
  built = await BuiltPackage.build()
}, 120_000)
afterAll(() => built?.[Symbol.dispose]())

for (const runtime of runtimes) {
  describeWireContract(`a real Kafka, served by ${runtime}`, async () => {
    const host = await launch(runtime, built)
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

test.each(runtimes)(
  'errors that a handler of %s lets through are answered with their status',
  async (runtime) => {
    const host = await launch(runtime, built)
    try {
      for (const handler of ['default', 'own']) {
        const response = await within(fetch(`${host.url}/throwing/${handler}`), 'an answer', 30_000)
        expect(response.status).toBe(503)
        expect(response.headers.get('content-type')).toStartWith('application/json')
        expect(response.headers.get('retry-after')).toBe('2')
        expect(await response.json()).toEqual({
          message: expect.stringMatching(/^Cannot /),
          code: 'KAFKA_UNAVAILABLE',
          retryable: true,
        })
      }
    } finally {
      await host.close()
    }
  },
  90_000,
)

test('deno check finds nothing', async () => {
  const entries = ['src/index.ts', 'src/worker.ts', 'kafka/index.ts', 'examples/deno.ts']
  await run([await npmTool('deno'), 'check', ...entries], join(import.meta.dirname, '../..'))
}, 300_000)
