/** The examples that are programs, run as their first lines say. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { spread } from '../contract/get.ts'
import { TestKafka } from '../support/kafka.ts'
import { npmTool } from '../support/npm-tool.ts'
import { until, within } from '../support/wait.ts'

const examples = join(import.meta.dirname, '../../examples')

async function topicOf(count: number): Promise<{ kafka: TestKafka; env: Record<string, string> }> {
  const kafka = await TestKafka.real()
  const topic = await kafka.createTopic()
  await kafka.produce(topic, spread(count))
  const env = { KAFKA_BROKERS: kafka.bootstrapServers, KAFKA_TOPICS: topic }
  return { kafka, env: { ...(process.env as Record<string, string>), ...env } }
}

test('two gateways in one group get each record once', async () => {
  const { kafka, env } = await topicOf(200)
  const child = Bun.spawn([process.execPath, join(examples, 'two-gateways.ts')], {
    env,
    stdout: 'pipe',
  })
  const said = await within(new Response(child.stdout).text(), 'the example to end', 60_000)
  const [, first, second] = /first node took (\d+) records, the second (\d+)/.exec(said) ?? []
  expect(Number(first) + Number(second)).toBe(200)
  expect(Number(first)).toBeGreaterThan(0)
  expect(Number(second)).toBeGreaterThan(0)
  expect(await within(child.exited, 'its exit')).toBe(0)
  await kafka.close()
}, 90_000)

test('the example app answers on Deno, and ends at a signal', async () => {
  const { kafka, env } = await topicOf(8)
  const child = Bun.spawn(
    [await npmTool('deno'), 'serve', '--allow-all', '--port', '0', join(examples, 'deno.ts')],
    { env: { ...env, NO_COLOR: '1' }, stdout: 'pipe', stderr: 'pipe' },
  )
  let said = ''
  for (const output of [child.stdout, child.stderr]) {
    void (async () => {
      for await (const chunk of output) said += new TextDecoder().decode(chunk)
    })()
  }
  try {
    await until(
      () => /http:\/\/\S+:\d+/.test(said),
      () => `an address in: ${said}`,
      60_000,
    )
    const port = /http:\/\/\S+:(\d+)/.exec(said)?.[1]
    const response = await within(
      fetch(`http://127.0.0.1:${port}/orders?start=earliest&format=records`),
      'an answer',
      30_000,
    )
    const { records } = (await response.json()) as { records: unknown[] }
    expect(records).toHaveLength(8)
    child.kill('SIGTERM')
    expect(await within(child.exited, 'its exit')).toBe(0)
  } finally {
    child.kill('SIGKILL')
    await kafka.close()
  }
}, 120_000)
