/** Kong's quickstarts of the plugins that write, on a real Kafka, by curl and read back by kcat. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { readBack } from '../support/kcat.ts'
import { uniqueName } from '../support/names.ts'
import { until, within } from '../support/wait.ts'

setDefaultTimeout(120_000)

const brokers = process.env['TEST_KAFKA_BROKERS'] ?? ''
const port = brokers.split(',')[0]?.split(':').at(-1) ?? '9092'
const folder = mkdtempSync(join(tmpdir(), 'kong-producers-'))
let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(async () => {
  await kafka?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Runs a command of Kong's documentation, whose ports and topic are those of the test. */
async function run(
  { url, adminUrl }: { url: string; adminUrl: string },
  command: string,
): Promise<string> {
  const text = command
    .replaceAll('http://localhost:8001', adminUrl)
    .replaceAll('http://localhost:8000', url)
    .replaceAll(/(port[="]+:? ?"?)9092/g, `$1${port}`)
  const child = Bun.spawn(['bash', '-c', text], { stdout: 'pipe', stderr: 'pipe' })
  const output = await within(new Response(child.stdout).text(), text, 30_000)
  expect([await child.exited, text]).toEqual([0, text])
  return output
}

async function withGateway(
  flags: readonly string[],
  use: (urls: { url: string; adminUrl: string }, gateway: GatewayProcess) => Promise<void>,
): Promise<void> {
  const { gateway, url } = await GatewayProcess.listening(flags)
  await using _ = gateway
  await use({ url, adminUrl: gateway.adminUrl }, gateway)
}

/** A declarative file with a plugin on a route. */
function fileWith(name: string, config: object, more: object = {}): string {
  const path = join(folder, `${uniqueName('kong')}.json`)
  const plugins = [{ name, config }]
  const routes = [{ name: 'r', protocols: ['http'], paths: ['/kafka'], plugins }]
  writeFileSync(path, JSON.stringify({ _format_version: '3.0', routes, ...more }))
  return path
}

const bootstrap_servers = [{ host: 'localhost', port: Number(port) }]

describe('the quickstart of kafka-upstream', () => {
  const commands = (topic: string) => [
    `curl -s -X POST http://localhost:8001/routes --data "name=kafka-upstream" --data "hosts[]=kafka-upstream.test" --data "protocols[]=http"`,
    `curl -s -X POST http://localhost:8001/routes/kafka-upstream/plugins \\
       --data "name=kafka-upstream" \\
       --data "config.bootstrap_servers[1].host=localhost" --data "config.bootstrap_servers[1].port=9092" \\
       --data "config.topic=${topic}"`,
    `curl -s -X POST http://localhost:8000 --header 'Host: kafka-upstream.test' foo=bar --data 'foo=bar'`,
  ]

  test('sends a form, which kcat reads, and answers “message sent”', () =>
    withGateway([], async (urls) => {
      const topic = await kafka.createTopic(1)
      const [addRoute = '', addPlugin = '', post = ''] = commands(topic)
      expect(JSON.parse(await run(urls, addRoute))).toMatchObject({ name: 'kafka-upstream' })
      expect(JSON.parse(await run(urls, addPlugin))).toMatchObject({
        name: 'kafka-upstream',
        config: { topic, producer_async: true, forward_body: true, timeout: 10_000 },
      })
      expect(await run(urls, post.replace(' foo=bar --data', ' --data'))).toBe(
        '{"message":"message sent"}',
      )
      const [record] = await readBack(brokers, topic, 1)
      expect(JSON.parse(record?.payload ?? '')).toEqual({
        body: 'Zm9vPWJhcg==',
        body_args: { foo: 'bar' },
        body_base64: true,
      })
    }))

  test('and that of kafka-consume make the round trip, POST and GET of one path', () =>
    withGateway([], async (urls) => {
      const topic = await kafka.createTopic(1)
      const add = (name: string, method: string, fields: string) => [
        `curl -s -X POST http://localhost:8001/routes --data "name=${name}" --data "hosts[]=kafka.test" --data "methods[]=${method}" --data "protocols[]=http"`,
        `curl -s -X POST http://localhost:8001/routes/${name}/plugins \\
           --data "name=${name}" \\
           --data "config.bootstrap_servers[1].host=localhost" --data "config.bootstrap_servers[1].port=9092" \\
           ${fields}`,
      ]
      const all = [
        ...add('kafka-upstream', 'POST', `--data "config.topic=${topic}"`),
        ...add('kafka-consume', 'GET', `--data "config.topics[1].name=${topic}"`),
      ]
      for (const command of all) expect(JSON.parse(await run(urls, command))).toHaveProperty('id')
      for (let i = 0; i < 5; i++) {
        const post = `curl -s -X POST http://localhost:8000/messages --header 'Host: kafka.test' --header 'Content-Type: text/plain' --data 'n${i}'`
        expect(await run(urls, post)).toBe('{"message":"message sent"}')
      }
      const bodies: string[] = []
      await until(
        async () => {
          const get = `curl -s http://localhost:8000/messages --header 'Host: kafka.test'`
          const answer = JSON.parse(await run(urls, get)) as Record<
            string,
            { partitions: Record<string, { records: Array<{ value: string }> }> }
          >
          const { records = [] } = answer[topic]?.partitions['0'] ?? {}
          bodies.push(...records.map(({ value }) => (JSON.parse(value) as { body: string }).body))
          return bodies.length >= 5
        },
        () => `five records: ${bodies}`,
        40_000,
      )
      expect(bodies).toEqual(['n0', 'n1', 'n2', 'n3', 'n4'])
    }))

  test('on a route without a plugin for Kafka is still 503', () =>
    withGateway([], async (urls) => {
      await run(urls, commands('t')[0] ?? '')
      const status = `curl -s -o /dev/null -w '%{http_code}' http://localhost:8000 --header 'Host: kafka-upstream.test'`
      expect(await run(urls, status)).toBe('503')
    }))
})

describe('a consumer that authenticates', () => {
  test('is told by headers and by the PDK, and its key is in no record and no log', async () => {
    const [topic, logs] = [await kafka.createTopic(1), await kafka.createTopic(1)]
    const path = fileWith(
      'kafka-upstream',
      {
        topic,
        bootstrap_servers,
        forward_headers: true,
        forward_uri: true,
        message_by_lua_functions: [
          'return function(m) m.consumer = kong.client.get_consumer().username return m end',
        ],
      },
      {
        plugins: [
          { name: 'key-auth', config: {} },
          {
            name: 'kafka-log',
            config: {
              topic: logs,
              bootstrap_servers,
              custom_fields_by_lua: {
                'my.trace': 'return kong.request.get_header("x-trace")',
                'request.headers.host': 'return nil',
              },
            },
          },
        ],
        consumers: [{ username: 'alice', keyauth_credentials: [{ key: 'very-secret' }] }],
      },
    )
    await withGateway(['--config', path], async (urls, gateway) => {
      const headers = `-H 'apikey: very-secret' -H 'x-trace: t1' -H 'x-consumer-username: mallory'`
      expect(
        await run(urls, `curl -s ${headers} 'http://localhost:8000/kafka?a=1&apikey=very-secret'`),
      ).toBe('{"message":"message sent"}')
      expect(
        await run(urls, `curl -s -o /dev/null -w '%{http_code}' http://localhost:8000/kafka`),
      ).toBe('401')
      const [record] = await readBack(brokers, topic, 1)
      expect(JSON.parse(record?.payload ?? '')).toMatchObject({
        uri_args: { a: '1' },
        consumer: 'alice',
        headers: { 'x-consumer-username': 'alice', 'x-trace': 't1' },
      })
      const entries = await readBack(brokers, logs, 2)
      const [first, second] = entries.map(({ payload }) => JSON.parse(payload ?? ''))
      expect(first).toMatchObject({
        request: {
          method: 'GET',
          uri: '/kafka?a=1',
          querystring: { a: '1' },
          headers: { apikey: 'REDACTED', 'x-trace': 't1' },
        },
        response: { status: 200, headers: { 'content-type': expect.any(String) } },
        latencies: { kong: expect.any(Number), request: expect.any(Number) },
        client_ip: '127.0.0.1',
        consumer: { username: 'alice' },
        authenticated_entity: { id: expect.any(String) },
        route: { name: 'r', paths: ['/kafka'] },
        source: 'kong',
        workspace: '0dc6f45b-8f8d-40d2-a504-473544ee190b',
        workspace_name: 'default',
        started_at: expect.any(Number),
        my: { trace: 't1' },
      })
      expect(first.request.headers).not.toHaveProperty('host')
      expect(first.response.size).toBeGreaterThan(26)
      expect(second).toMatchObject({ response: { status: 401 }, route: { name: 'r' } })
      expect(second).not.toHaveProperty('consumer')
      expect(JSON.stringify([record, entries])).not.toContain('very-secret')
      gateway.signal('SIGTERM')
      expect(await gateway.exited()).toBe(0)
      expect(gateway.stdout + gateway.stderr).not.toContain('very-secret')
    })
  })
})

test('a key in the body authenticates, and is not part of the record', async () => {
  const topic = await kafka.createTopic(1)
  const config = { topic, bootstrap_servers, producer_async: false }
  const path = fileWith('kafka-upstream', config, {
    plugins: [{ name: 'key-auth', config: { key_in_body: true } }],
    consumers: [{ username: 'alice', keyauth_credentials: [{ key: 'very-secret' }] }],
  })
  await withGateway(['--config', path], async (urls) => {
    const post = (data: string) => run(urls, `curl -s http://localhost:8000/kafka --data '${data}'`)
    expect(await post('foo=bar&apikey=very-secret')).toBe('{"message":"message sent"}')
    expect(await post('foo=bar&apikey=wrong')).toContain('Unauthorized')
    const [record] = await readBack(brokers, topic, 1)
    expect(JSON.parse(record?.payload ?? '')).toEqual({
      body: btoa('foo=bar'),
      body_args: { foo: 'bar' },
      body_base64: true,
    })
  })
})

describe('kafka-log', () => {
  test('logs every request of every route, streams at their end, and none is lost at shutdown', async () => {
    const logs = await kafka.createTopic(1)
    const topic = await kafka.createTopic(1)
    const path = join(folder, `${uniqueName('log')}.json`)
    writeFileSync(
      path,
      JSON.stringify({
        _format_version: '3.0',
        routes: [
          {
            name: 'sse',
            protocols: ['http'],
            paths: ['/stream'],
            plugins: [
              {
                name: 'kafka-consume',
                config: {
                  bootstrap_servers,
                  topics: [{ name: topic }],
                  mode: 'server-sent-events',
                },
              },
            ],
          },
          { name: 'empty', protocols: ['http'], paths: ['/empty'] },
        ],
        plugins: [{ name: 'kafka-log', config: { topic: logs, bootstrap_servers } }],
      }),
    )
    await withGateway(['--config', path], async ({ url }, gateway) => {
      expect((await fetch(`${url}/empty`)).status).toBe(503)
      const stream = await fetch(`${url}/stream`)
      const reader = stream.body?.getReader()
      await reader?.read()
      gateway.signal('SIGTERM')
      expect(await gateway.exited()).toBe(0)
      const entries = (await readBack(brokers, logs, 2)).map(({ payload }) =>
        JSON.parse(payload ?? ''),
      )
      expect(entries.map(({ route, response }) => [route.name, response.status])).toEqual([
        ['empty', 503],
        ['sse', 200],
      ])
    })
  })

  test('whose Kafka is away slows no request, and leaves the gateway ready', async () => {
    const topic = await kafka.createTopic(1)
    const path = fileWith(
      'kafka-upstream',
      { topic, bootstrap_servers },
      {
        plugins: [
          {
            name: 'kafka-log',
            config: {
              topic: 'logs',
              bootstrap_servers: [{ host: '127.0.0.1', port: 9 }],
              producer_request_retries_max_attempts: 0,
              producer_async_buffering_limits_messages_in_memory: 2,
            },
          },
        ],
      },
    )
    await withGateway(['--config', path], async ({ url }) => {
      for (let i = 0; i < 6; i++) {
        expect((await fetch(`${url}/kafka`, { method: 'POST', body: 'x' })).status).toBe(200)
      }
      await until(
        async () => (await fetch(`${url}/readyz`)).status === 200,
        'the gateway to be ready',
      )
      let metrics = ''
      await until(
        async () => {
          metrics = await (await fetch(`${url}/metrics`)).text()
          return /hono_kafka_lost_records_total\{route="kafka-log [^"]+"\} 6/.test(metrics)
        },
        () => `six lost entries: ${metrics.match(/.*(?:lost|buffered)_records.*/g)?.join('\n')}`,
        30_000,
      )
      expect(metrics).toMatch(/hono_kafka_lost_records_total\{route="r"\} 0/)
    })
  })
})

describe('a plugin without brokers', () => {
  const ROUTE = { name: 'r', paths: ['/kafka'], protocols: ['http'] }

  test('uses the gateway’s own, and is shown by /status and the API’s description', async () => {
    const topic = await kafka.createTopic(1)
    await withGateway(['--brokers', brokers, '--topics', topic], async ({ url, adminUrl }) => {
      const add = (path: string, entity: object) =>
        fetch(`${adminUrl}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(entity),
        })
      expect((await add('/routes', ROUTE)).status).toBe(201)
      const plugin = { name: 'kafka-upstream', config: { topic } }
      expect((await add('/routes/r/plugins', plugin)).status).toBe(201)
      const body = JSON.stringify({ hello: 'you' })
      expect((await fetch(`${url}/kafka`, { method: 'POST', body })).status).toBe(200)
      expect(await readBack(brokers, topic, 1)).toHaveLength(1)
      const { routes } = (await (await fetch(`${url}/status`)).json()) as {
        routes: Array<{ name: string; mode: string }>
      }
      expect(routes.find(({ name }) => name === 'r')).toMatchObject({
        mode: 'upstream',
        topics: [topic],
      })
      const api = await (await fetch(`${url}/openapi.json`)).json()
      expect(api.paths['/kafka'].post.summary).toBe('Write the request as a record')
    })
  })

  test('is accepted and answers 502 where the gateway has none', async () => {
    const path = fileWith('kafka-upstream', { topic: 't', producer_async: false })
    await withGateway(['--config', path], async ({ url }, gateway) => {
      const response = await fetch(`${url}/kafka`, { method: 'POST', body: 'x' })
      expect([response.status, await response.json()]).toEqual([
        502,
        { message: 'Bad Gateway', error: 'could not send message to topic' },
      ])
      expect(gateway.stderr).toContain('no-bootstrap-servers.invalid')
    })
  })
})
