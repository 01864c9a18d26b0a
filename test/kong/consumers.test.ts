/** Consumers of Kong's configuration on a gateway process and a real Kafka. */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spread } from '../contract/get.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { places } from '../support/route.ts'
import type { StreamedRecord } from '../support/sse.ts'
import { until } from '../support/wait.ts'

test('each consumer reads as the group of its own name, and other clients are refused', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'consumers-'))
  const kafka = await TestKafka.real()
  const topic = await kafka.createTopic()
  const written = await kafka.produce(topic, spread(12))
  const [host, port] = kafka.bootstrapServers.split(':')
  const [ann, bob] = [uniqueName('ann'), uniqueName('bob')]
  const path = join(folder, 'kong.yaml')
  writeFileSync(
    path,
    `
_format_version: "3.0"
routes:
- name: orders
  paths: [/orders]
  plugins:
  - {name: key-auth}
  - {name: rate-limiting, config: {hour: 1000}}
  - name: kafka-consume
    config:
      bootstrap_servers: [{host: ${host}, port: ${port}}]
      topics: [{name: ${topic}}]
      consumer_group: {mode: kong_consumer}
- name: open
  paths: [/open]
  plugins:
  - name: kafka-consume
    config:
      bootstrap_servers: [{host: ${host}, port: ${port}}]
      topics: [{name: ${topic}}]
      consumer_group: {mode: kong_consumer}
consumers:
- {username: ${ann}, keyauth_credentials: [{key: planted-ann}]}
- {username: ${bob}, keyauth_credentials: [{key: "{vault://env/BOB}"}]}
`,
  )
  const { gateway, url } = await GatewayProcess.listening(
    ['--config', path, '--log-level', 'debug'],
    { BOB: 'planted-bob' },
  )
  try {
    await until(async () => (await fetch(`${url}/readyz`)).ok, 'readiness', 30_000)
    for (const key of ['planted-ann', 'planted-bob']) {
      const got: StreamedRecord[] = []
      await until(
        async () => {
          const response = await fetch(`${url}/orders?format=records&apikey=${key}`)
          const text = await response.text()
          if (response.status !== 200) throw new Error(text)
          got.push(...(JSON.parse(text) as { records: StreamedRecord[] }).records)
          return got.length >= 12
        },
        `all records for ${key}`,
        30_000,
      )
      expect(places(got)).toEqual(places(written))
    }
    const groups = await fetch(`${url}/metrics`).then((response) => response.text())
    expect(groups).not.toContain('planted')
    const nobody = await fetch(`${url}/orders`)
    expect(nobody.status).toBe(401)
    expect(await nobody.json()).toEqual({
      message: 'No API key found in request',
      code: 'UNAUTHENTICATED',
    })
    // Clients that nobody identifies share the group of the mode random, and one warning.
    const shared: StreamedRecord[] = []
    await until(
      async () => {
        const response = await fetch(`${url}/open?format=records`)
        shared.push(...((await response.json()) as { records: StreamedRecord[] }).records)
        return shared.length >= 12
      },
      'all records for the clients without a name',
      30_000,
    )
    expect(places(shared)).toEqual(places(written))
    expect(gateway.logged('no consumer is authenticated')).toBe(1)
    const admin = await fetch(`${gateway.adminUrl}/consumers/${ann}/key-auth`)
    expect(await admin.json()).toMatchObject({
      data: [{ key: expect.stringMatching(/^\*{3}[0-9a-f-]{36}$/) }],
    })
    expect(gateway.stdout + gateway.stderr).not.toContain('planted')
  } finally {
    await gateway.kill()
    await kafka.close()
    rmSync(folder, { recursive: true, force: true })
  }
}, 90_000)
