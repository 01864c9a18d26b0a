/**
 * Kong's own examples of the five plugins for Kafka, each as a file in YAML and by the Admin API with curl,
 * served on a real Kafka. Their variables have the values of this test, as in the shell of a reader. What
 * is changed is only what an example leaves to its reader: the broker's address, and example.com.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reader } from '../../tools/kafka/credentials.ts'
import { startRegistry, type TestRegistry } from '../../tools/registry/registry.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { Secured } from '../security/secured.ts'
import { readBack } from '../support/kcat.ts'
import { uniqueName } from '../support/names.ts'
import { framed, RegistryDoor, register } from '../support/registry.ts'
import { until, within } from '../support/wait.ts'
import { type Example, examples, GROUPS } from './examples.ts'

setDefaultTimeout(120_000)

/** The user of Kong's examples. */
const ARIEL = { name: 'ariel', password: 'my-password' }
const KEY = 'key-of-alex'
const PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required'
/** Fixed names of topics in the examples. */
const TOPICS = ['my-topic', 'topic1', 'kong-test']
const JSON_SCHEMAS = {
  'kong-value':
    '{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","required":["name"],"properties":{"name":{"type":"string"}}}',
  'kong-logs-value':
    '{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","required":["request","response"],"properties":{"request":{"type":"object"},"response":{"type":"object"}}}',
} as const

const folder = mkdtempSync(join(tmpdir(), 'kong-examples-'))
let secured: Secured
let registry: TestRegistry
let door: RegistryDoor
let schemaId: number
let variables: Readonly<Record<string, string>>

beforeAll(async () => {
  // Everybody may do everything; a client of TLS may have a certificate.
  secured = await Secured.start('kong-examples', {
    'super.users': ['ANONYMOUS', 'admin', reader.name, ARIEL.name]
      .map((name) => `User:${name}`)
      .join(';'),
    'listener.name.ssl.ssl.client.auth': 'requested',
    'listener.name.sasl_plaintext.plain.sasl.jaas.config': `${PLAIN} user_${ARIEL.name}="${ARIEL.password}";`,
  })
  registry = await startRegistry()
  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512']) {
    await secured.tool(
      'kafka-configs',
      ...['--alter', '--entity-type', 'users', '--entity-name', ARIEL.name],
      ...['--add-config', `${mechanism}=[password=${ARIEL.password}]`],
    )
  }
  for (const topic of TOPICS) await secured.kafka.createTopic(1, 1, topic)
  for (const [subject, schema] of Object.entries(JSON_SCHEMAS)) {
    await register(registry.url, subject, schema, 'JSON')
  }
  schemaId = await register(registry.url, 'read-value', JSON_SCHEMAS['kong-value'], 'JSON')
  door = await RegistryDoor.before(registry.url)
  door.guard = guardRegistry
  const token = await secured.createDelegationToken()
  variables = {
    BOOTSTRAP_SERVER_HOST: 'localhost',
    REGISTRY_URL: door.url,
    TOKEN_ENDPOINT_URL: secured.tokens.url,
    CLIENT_ID: reader.name,
    CLIENT_SECRET: reader.password,
    TOKEN_ID: token.id,
    TOKEN_HMAC: token.hmac,
    CONFLUENT_CLUSTER_API_KEY: reader.name,
    CONFLUENT_CLUSTER_API_SECRET: reader.password,
    API_KEY: reader.name,
    API_SECRET: reader.password,
    CONSUMER_GROUP_ID: GROUPS.fixed,
  }
}, 300_000)

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await door?.shut()
  await registry?.stop()
  await secured?.close()
}, 120_000)

/** Lets clients in by the name and the password of the examples, or by a token. */
async function guardRegistry(request: Request): Promise<Response | undefined> {
  if (request.url.endsWith('/token')) {
    const form = new URLSearchParams(await request.text())
    const isGood =
      form.get('client_id') === reader.name && form.get('client_secret') === reader.password
    return isGood
      ? Response.json({ access_token: 't', expires_in: 60 })
      : new Response('', { status: 401 })
  }
  const allowed = [`Basic ${btoa('user:password')}`, 'Bearer t']
  const isAllowed = allowed.includes(request.headers.get('authorization') ?? '')
  return isAllowed ? undefined : new Response('', { status: 401 })
}

/** The example's configuration with what it leaves to its reader. */
function completed({ config, listener }: Example): string {
  const port = listener ? secured.bootstrapServers(listener).split(':')[1] : brokers().split(':')[1]
  const complete = config
    .replace('host: example.com', 'host: localhost')
    .replace('https://example.com/oauth2/token', `${door.url}/token`)
    .replace('port: 9092', `port: ${port}`)
  if (complete.includes('bootstrap_servers')) return complete
  return `${complete}\nbootstrap_servers:\n- host: localhost\n  port: ${port}`
}

const brokers = () => secured.broker.bootstrapServers

/** The declarative file of decK's user. */
async function writeFile(example: Example): Promise<string> {
  const { plugin, group } = example
  const path = join(folder, `${uniqueName('kong')}.yaml`)
  const indented = (text: string, spaces: number) =>
    text.trim().replaceAll(/^(?=.)/gm, ' '.repeat(spaces))
  const certificate = ['pem', 'key'].map((type) => secured.pem(`${reader.name}.${type}`))
  const [cert = '', key = ''] = await Promise.all(certificate)
  const text = `_format_version: "3.0"
routes:
  - name: example
    paths:
    - /kafka
    protocols:
    - http
plugins:
  - name: ${plugin}
    route: example
    config:
${indented(completed(example), 6)}
${group === GROUPS.consumer ? '  - name: key-auth\n    route: example' : ''}
consumers:
  - username: ${GROUPS.consumer}
    keyauth_credentials:
    - key: ${KEY}
certificates:
  - id: 38fbf6a1-1c58-4dea-a391-85abf1b92f13
    cert: |
${indented(cert, 6)}
    key: |
${indented(key, 6)}
`
  writeFileSync(path, text)
  return path
}

/** The request of Kong's documentation for an example. */
function adminRequest(example: Example): string {
  const config = Bun.YAML.parse(completed(example)) as object
  const body = JSON.stringify({ name: example.plugin, config }, null, 2)
  const withVariables = body.replaceAll(/\$\{\{ env \\"DECK_(\w+)\\" \}\}/g, `'"$$$1"'`)
  return `curl -i -X POST http://localhost:8001/routes/example/plugins/ \\
    --header "Accept: application/json" \\
    --header "Content-Type: application/json" \\
    --data '
${withVariables}
    '`
}

interface Served {
  readonly url: string
  readonly adminUrl: string
  readonly topic: string
}

/** Runs a command in a shell with the variables of the examples. */
async function run({ url, adminUrl, topic }: Served, command: string): Promise<string> {
  const text = command
    .replaceAll('http://localhost:8001', adminUrl)
    .replaceAll('http://localhost:8000', url)
  const child = Bun.spawn(['bash', '-c', text], {
    env: { ...process.env, ...variables, KAFKA_TOPIC: topic },
    stdout: 'pipe',
    stderr: 'ignore',
  })
  return within(new Response(child.stdout).text(), text, 30_000)
}

/** Makes a plugin write a record, and reads it back. */
async function tryWriting(example: Example, served: Served, count: number): Promise<void> {
  const { plugin, request = '', expected, headers = [], title } = example
  const query = /'(\?[^']*)'/.exec(request)?.[1] ?? ''
  const sent = `curl -s 'http://localhost:8000/kafka${query}' ${request.replace(/'\?[^']*'/, '')}`
  const answer = await run(served, sent)
  if (plugin !== 'kafka-log') expect(answer).toBe('{"message":"message sent"}')
  const topics = title.includes('multiple') ? ['my-topic', 'topic1'] : [served.topic]
  for (const topic of topics) {
    const record = (await readBack(brokers(), topic, count)).at(-1)
    const payload = record?.payload ?? ''
    // Behind the magic byte and the id of its schema, where there is one.
    const value = JSON.parse(payload.slice(payload.indexOf('{')))
    if (plugin === 'kafka-log') expect(value).toMatchObject(expected as object)
    else expect(value).toEqual(expected)
    expect([...(record?.headers ?? [])].sort()).toEqual([...headers].sort())
  }
}

/** Makes a plugin read a record that is written now. */
async function tryReading(example: Example, served: Served, count: number): Promise<void> {
  const { config, group } = example
  const value = JSON.stringify({ name: `record-${count}` })
  const isEncoded = config.includes('schema_registry')
  await secured.kafka.produce(served.topic, [
    ...(config.includes('value == ""') ? [{ value: '' }] : []),
    { value: isEncoded ? framed(schemaId, value) : value },
  ])
  const texts = new Set<string>()
  const isThere = () => [...texts].some((text) => text.includes(`record-${count}`))
  if (config.includes('mode: http-get')) {
    const get = `curl -s http://localhost:8000/kafka ${group === GROUPS.consumer ? `-H 'apikey: ${KEY}'` : ''}`
    await until(
      async () => {
        texts.add(await run(served, get))
        return isThere()
      },
      () => `the record by GET: ${[...texts]}`,
      40_000,
    )
  } else {
    const url = `${served.url}/kafka?start=earliest`
    await using stream = config.includes('mode: websocket')
      ? openSocket(url, texts)
      : openEvents(url, texts)
    await until(isThere, () => `the record by ${stream.name}: ${[...texts]}`, 40_000)
  }
  const all = [...texts].join('')
  if (config.includes('value == ""')) expect(all).not.toContain('"value":""')
  if (config.includes('processed_by_lua')) {
    expect(all).toContain('"processed_by_lua":true')
    expect(all).toContain(`"decoded":${value}`)
  }
  if (group !== undefined) {
    await until(
      async () => (await secured.kafka.committed(group, served.topic, 1))[0] === count,
      `the commit of ${group}`,
    )
  }
}

function openEvents(url: string, texts: Set<string>) {
  const child = Bun.spawn(['curl', '-sN', url], { stdout: 'pipe' })
  const reading = (async () => {
    for await (const chunk of child.stdout) texts.add(new TextDecoder().decode(chunk))
  })()
  return {
    name: 'SSE',
    async [Symbol.asyncDispose]() {
      child.kill()
      await reading
    },
  }
}

function openSocket(url: string, texts: Set<string>) {
  const socket = new WebSocket(url.replace('http:', 'ws:'))
  socket.addEventListener('message', ({ data }) => texts.add(String(data)))
  return {
    name: 'WebSocket',
    async [Symbol.asyncDispose]() {
      socket.close()
    },
  }
}

describe.each(['kafka-upstream', 'confluent', 'kafka-log', 'kafka-consume', 'confluent-consume'])(
  'Kong’s examples of %s, as a file and by the Admin API',
  (name) => {
    for (const example of examples.filter(({ plugin }) => plugin === name)) {
      test(example.title, async () => {
        const isFixed = example.config.includes('topic: kong-test')
        const topic = isFixed ? 'kong-test' : await secured.kafka.createTopic(1)
        const environment = Object.fromEntries(
          Object.entries({ ...variables, KAFKA_TOPIC: topic }).map(([key, value]) => [
            `DECK_${key}`,
            value,
          ]),
        )
        const { gateway, url } = await GatewayProcess.listening(
          ['--config', await writeFile(example), '--kafka-ca', secured.file('ca.pem')],
          environment,
        )
        await using _ = gateway
        const served = { url, adminUrl: gateway.adminUrl, topic }
        const attempt = name.endsWith('consume') ? tryReading : tryWriting
        await attempt(example, served, 1)

        const listed = await fetch(`${gateway.adminUrl}/routes/example/plugins`)
        const { data } = (await listed.json()) as { data: Array<{ id: string; name: string }> }
        const { id } = data.find((plugin) => plugin.name === name) ?? {}
        await fetch(`${gateway.adminUrl}/plugins/${id}`, { method: 'DELETE' })
        const answer = await run(served, adminRequest(example))
        expect(answer).toStartWith('HTTP/1.1 201')
        await attempt(example, served, 2)
      })
    }
  },
)
