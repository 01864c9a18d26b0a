import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reader } from '../../tools/kafka/credentials.ts'
import type { SecureListener } from '../../tools/kafka/secure-listeners.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { readAll } from '../support/read-all.ts'
import { until } from '../support/wait.ts'
import { ALLOWED_GROUP, type Secured } from './secured.ts'

/** Kong's plugins that write, and those for Confluent Cloud, on a broker that authenticates clients. */
export function describeKongProducers(secured: () => Secured): void {
  const serversOf = (listener: SecureListener) => {
    const [host, port] = secured().bootstrapServers(listener).split(':')
    return [{ host, port: Number(port) }]
  }
  const sasl = (mechanism: string) => ({
    strategy: 'sasl',
    mechanism,
    user: reader.name,
    password: reader.password,
  })

  test('Kong’s plugins write and read by SASL, tokens, certificates and an API key, and show no secret', async () => {
    const topic = await secured().kafka.createTopic(1)
    for (const operation of ['Read', 'Write']) {
      await secured().tool(
        'kafka-acls',
        ...['--add', '--allow-principal', `User:${reader.name}`],
        ...['--operation', operation, '--topic', topic],
      )
    }
    const oauthbearer = {
      token_endpoint_url: secured().tokens.url,
      client_id: reader.name,
      client_secret: reader.password,
    }
    const key = { cluster_api_key: reader.name, cluster_api_secret: reader.password }
    const certificate = {
      id: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
      cert: await secured().pem(`${reader.name}.pem`),
      key: await secured().pem(`${reader.name}.key`),
    }
    const tls = { ssl: true }
    const writing: Readonly<Record<string, readonly [name: string, SecureListener, object]>> = {
      scram256: [
        'kafka-upstream',
        'SASL_SSL',
        { security: tls, authentication: sasl('SCRAM-SHA-256') },
      ],
      scram512: [
        'kafka-upstream',
        'SASL_SSL',
        { security: tls, authentication: sasl('SCRAM-SHA-512') },
      ],
      plain: ['kafka-upstream', 'SASL_SSL', { security: tls, authentication: sasl('PLAIN') }],
      mtls: ['kafka-upstream', 'SSL', { security: { ...tls, certificate_id: certificate.id } }],
      token: [
        'kafka-upstream',
        'SASL_SSL',
        {
          security: tls,
          authentication: { strategy: 'sasl', mechanism: 'OAUTHBEARER', oauthbearer },
        },
      ],
      confluent: ['confluent', 'SASL_SSL', key],
      'confluent-token': [
        'confluent',
        'SASL_SSL',
        { ...key, cluster_api_secret: 'x', oauthbearer },
      ],
    }
    const log = {
      name: 'kafka-log',
      config: {
        topic,
        bootstrap_servers: serversOf('SASL_SSL'),
        security: tls,
        authentication: sasl('SCRAM-SHA-512'),
      },
    }
    const routes = Object.entries(writing).map(([route, [name, listener, config]]) => ({
      name: route,
      protocols: ['http'],
      paths: [`/${route}`],
      plugins: [
        {
          name,
          config: {
            topic,
            bootstrap_servers: serversOf(listener),
            producer_async: false,
            error_handling: { return_error_message: true },
            ...config,
          },
        },
        ...(route === 'plain' ? [log] : []),
      ],
    }))
    const reading = {
      name: 'reading',
      protocols: ['http'],
      paths: ['/reading'],
      plugins: [
        {
          name: 'confluent-consume',
          config: {
            topics: [{ name: topic }],
            bootstrap_servers: serversOf('SASL_SSL'),
            consumer_group: { mode: 'manual', consumer_group_id: `${ALLOWED_GROUP}confluent` },
            ...key,
          },
        },
      ],
    }
    const folder = mkdtempSync(join(tmpdir(), 'kong-secured-'))
    const file = join(folder, 'kong.json')
    const document = {
      _format_version: '3.0',
      certificates: [certificate],
      routes: [...routes, reading],
    }
    writeFileSync(file, JSON.stringify(document))
    const { gateway, url } = await GatewayProcess.listening([
      ...['--config', file, '--kafka-ca', secured().file('ca.pem')],
    ])
    await using _ = gateway
    for (const route of Object.keys(writing)) {
      const headers = { 'content-type': 'text/plain' }
      const response = await fetch(`${url}/${route}`, { method: 'POST', body: route, headers })
      expect([route, response.status, await response.text()]).toEqual([
        route,
        200,
        '{"message":"message sent"}',
      ])
    }
    const texts = async () =>
      (await readAll(secured().kafka, topic)).map(({ value }) =>
        new TextDecoder().decode(value ?? undefined),
      )
    await until(async () => (await texts()).length === 8, 'seven records and one entry', 30_000)
    const values = (await texts()).map((text) => JSON.parse(text))
    expect(values.flatMap(({ body }) => body ?? []).sort()).toEqual(Object.keys(writing).sort())
    expect(values.filter(({ request }) => request)).toMatchObject([{ route: { name: 'plain' } }])
    const read = new Set<string>()
    await until(
      async () => {
        const answer = await (await fetch(`${url}/reading`)).json()
        for (const { value } of answer[topic]?.partitions['0']?.records ?? []) read.add(value)
        return read.size === 8
      },
      () => `eight records by confluent-consume: ${read.size}`,
      40_000,
    )
    const shown = await (await fetch(`${gateway.adminUrl}/plugins`)).text()
    const status = await (await fetch(`${url}/status`)).text()
    gateway.signal('SIGTERM')
    expect(await gateway.exited()).toBe(0)
    for (const text of [shown, status, gateway.stdout, gateway.stderr]) {
      expect(text).not.toContain(reader.password)
    }
    rmSync(folder, { recursive: true, force: true })
  })
}
