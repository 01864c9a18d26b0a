import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { copyFileSync } from 'node:fs'
import { configureSync, type LogRecord, resetSync } from '@logtape/logtape'
import type { KafkaConsumeOptions } from '../../src/index.ts'
import { admin, reader } from '../../tools/kafka/credentials.ts'
import { uniqueName } from '../support/names.ts'
import { Route, type RouteOptions } from '../support/route.ts'
import { sleep, until } from '../support/wait.ts'
import { ALLOWED_GROUP, type Secured } from './secured.ts'

interface Refusal {
  readonly message: string
  readonly code: string
  readonly retryable?: boolean
  readonly error?: string
}

/** Failures of authentication: each is reported with its reason, and ends with its cause. */
export function describeFailures(secured: () => Secured): void {
  const records: LogRecord[] = []
  const logged = (text: string) =>
    records.filter(({ message }) => message.join('').includes(text)).length

  beforeAll(() => {
    configureSync({
      reset: true,
      sinks: { memory: (record) => records.push(record) },
      loggers: [
        { category: ['hono-kafka-consume'], lowestLevel: 'info', sinks: ['memory'] },
        { category: ['logtape', 'meta'], lowestLevel: 'warning', sinks: [] },
      ],
    })
  })
  afterAll(() => resetSync())

  function mount(options: Partial<KafkaConsumeOptions>): Promise<Route> {
    return Route.mount(secured(), {
      topics: [secured().topic],
      mode: 'auto',
      autoOffsetReset: 'earliest',
      consumerGroup: { mode: 'manual', consumerGroupId: uniqueName(ALLOWED_GROUP) },
      ...options,
    } as RouteOptions)
  }

  async function refusal(route: Route, query = {}, accept = 'application/json') {
    const response = await route.fetch(query, { headers: { accept } })
    return { status: response.status, body: (await response.json()) as Refusal }
  }

  /** Expects equal errors of a group read, a read from a position and a stream. */
  async function expectRefused(
    options: Partial<KafkaConsumeOptions>,
    code: string,
    state: string,
  ): Promise<void> {
    await using route = await mount(options)
    for (const [query, accept] of [
      [{}, 'application/json'],
      [{ start: 'earliest' }, 'application/json'],
      [{}, 'text/event-stream'],
    ] as const) {
      const { status, body } = await refusal(route, query, accept)
      expect({ status, code: body.code }).toEqual({ status: 502, code })
      expect(body.message).toContain(state)
      expect(body.message).toStartWith('Cannot ')
      expect(body.error).toBeUndefined()
    }
  }

  const withUser = (
    listener: 'SASL_PLAINTEXT' | 'SASL_SSL',
    mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512',
    user: string,
    password: string,
  ): Partial<KafkaConsumeOptions> => ({
    ...secured().options(listener),
    authentication: { strategy: 'sasl', mechanism, user, password },
  })

  const withCertificate = (name: string): Partial<KafkaConsumeOptions> => ({
    bootstrapServers: secured().bootstrapServers('SSL'),
    security: {
      ssl: true,
      ca: { file: secured().file('ca.pem') },
      certificate: { file: secured().file(`${name}.pem`) },
      key: { file: secured().file(`${name}.key`) },
    },
  })

  describe('each failed authentication is reported with its reason', () => {
    for (const [listener, mechanism] of [
      ['SASL_PLAINTEXT', 'PLAIN'],
      ['SASL_SSL', 'SCRAM-SHA-256'],
      ['SASL_SSL', 'SCRAM-SHA-512'],
    ] as const) {
      test(`a wrong password, ${mechanism} by ${listener}`, async () => {
        const options = withUser(listener, mechanism, reader.name, 'not-the-password')
        await expectRefused(options, 'KAFKA_AUTHENTICATION', 'it refused the credentials')
      })
    }

    test.each([
      ['EXPIRED', 'the certificate of the broker has expired'],
      ['FOREIGN', 'the certificate of the broker is not trusted'],
      ['OTHER_HOST', 'the certificate of the broker is for another host name'],
    ] as const)("a broker's certificate: %s", async (listener, state) => {
      await expectRefused(secured().options(listener), 'KAFKA_TLS', state)
    })

    test.each(['foreign-client', 'expired-client'])(
      'a client certificate that is refused: %s',
      async (name) => {
        await expectRefused(withCertificate(name), 'KAFKA_TLS', 'it refused our certificate')
      },
    )

    test('no client certificate where the broker asks for one', async () => {
      const state = 'it refused our certificate, or that there is none'
      await expectRefused(secured().options('SSL'), 'KAFKA_TLS', state)
    })

    test('TLS with a listener that does not speak it', async () => {
      const options = {
        bootstrapServers: secured().broker.bootstrapServers,
        security: { ssl: true, ca: { file: secured().file('ca.pem') } },
      }
      await expectRefused(options, 'KAFKA_TLS', 'does not speak TLS')
    })

    test('a token that the broker does not accept', async () => {
      secured().tokens.audience = 'somebody-else'
      try {
        const options = secured().options('SASL_SSL', 'OAUTHBEARER')
        await expectRefused(options, 'KAFKA_AUTHENTICATION', 'it refused the token')
      } finally {
        secured().tokens.audience = 'kafka'
      }
    })

    test('a token that has expired', async () => {
      secured().tokens.lifetime = -10
      try {
        const options = secured().options('SASL_SSL', 'OAUTHBEARER')
        await expectRefused(options, 'KAFKA_TOKEN', 'gave a token that has expired')
      } finally {
        secured().tokens.lifetime = 600
      }
    })

    test('a token endpoint that refuses us, whose certificate is foreign, or whose answer is not a token', async () => {
      const { authentication, ...options } = secured().options('SASL_SSL', 'OAUTHBEARER')
      const oauthbearer = authentication?.oauthbearer
      const other = (change: object) => ({
        ...options,
        authentication: { ...authentication, oauthbearer: { ...oauthbearer, ...change } },
      })
      const wrong = other({ clientSecret: 'not-the-secret' })
      await expectRefused(wrong, 'KAFKA_TOKEN', 'the token endpoint answered 401')
      const unverified = {
        ...secured().options('SASL_PLAINTEXT', 'OAUTHBEARER'),
        security: {},
      }
      await expectRefused(unverified, 'KAFKA_TOKEN', 'the token endpoint cannot be reached')
      secured().tokens.refusal = { status: 200, body: '<html>' }
      try {
        await expectRefused(other({}), 'KAFKA_TOKEN', 'answered without a token')
        secured().tokens.refusal = { status: 200, body: 'x'.repeat(100_000) }
        await expectRefused(other({}), 'KAFKA_TOKEN', 'answered too much')
      } finally {
        secured().tokens.refusal = undefined
      }
    })

    test("librdkafka's own messages are shown only if returnErrorMessage is set", async () => {
      await using route = await mount({
        ...secured().options('EXPIRED'),
        errorHandling: { returnErrorMessage: true },
      })
      const { body } = await refusal(route)
      expect(body.error).toContain('certificate verify failed')
    })
  })

  describe('an outage is logged once, and ends with its cause', () => {
    // At once, since they wait for Kafka's tools and for graces to pass.
    test.concurrent('a password that is corrected on the broker', async () => {
      const name = uniqueName('password')
      await using route = await mount({
        ...withUser('SASL_SSL', 'SCRAM-SHA-512', admin.name, 'a-new-one'),
        clusterName: name,
      })
      expect((await refusal(route)).body.code).toBe('KAFKA_AUTHENTICATION')
      // Meanwhile the client tries again, and fails: one line of the log stands for all.
      await sleep(4_000)
      expect((await refusal(route)).body.code).toBe('KAFKA_AUTHENTICATION')
      expect(logged(`${name}: Cannot`)).toBe(1)
      await secured().tool(
        'kafka-configs',
        ...['--alter', '--entity-type', 'users', '--entity-name', admin.name],
        ...['--add-config', 'SCRAM-SHA-512=[password=a-new-one]'],
      )
      const [record] = await drained(route)
      expect(record?.value).toBe('for those who may')
    })

    test.concurrent('a client certificate that was wrong, and is renewed in its file', async () => {
      for (const part of ['pem', 'key']) {
        copyFileSync(secured().file(`expired-client.${part}`), secured().file(`renewed.${part}`))
      }
      const name = uniqueName('certificate')
      await using route = await mount({ ...withCertificate('renewed'), clusterName: name })
      expect((await refusal(route)).body.code).toBe('KAFKA_TLS')
      for (const part of ['pem', 'key']) {
        copyFileSync(secured().file(`${reader.name}.${part}`), secured().file(`renewed.${part}`))
      }
      expect(await drained(route)).not.toHaveLength(0)
      expect(logged(`${name}: Cannot`)).toBe(1)
    })

    test.concurrent('a topic that may be described and not read', async () => {
      await using route = await mount({
        ...secured().options('SASL_PLAINTEXT', 'PLAIN'),
        topics: [secured().visible],
        heartbeat: 1_000,
      })
      await using stream = await route.stream()
      const { data } = await stream.untilNamed('error', 20_000)
      expect(JSON.parse(data)).toMatchObject({ code: 'KAFKA_AUTHORIZATION' })
      expect(logged(`Cannot follow ${secured().visible}`)).toBe(1)
      const { status } = await refusal(route, {}, 'text/event-stream')
      expect(status).toBe(502)
      for (const query of [{}, { start: 'earliest' }]) {
        const { status, body } = await refusal(route, query)
        expect({ status, code: body.code }).toEqual({ status: 502, code: 'KAFKA_AUTHORIZATION' })
        expect(body.message).toContain('allow this user to use the topic')
      }
    })

    test.concurrent('a token endpoint that accepts the request and does not answer', async () => {
      await using endpoint = Bun.serve({
        port: 0,
        hostname: '127.0.0.1',
        idleTimeout: 60,
        fetch: () => new Promise<Response>(() => {}),
      })
      const { authentication, ...options } = secured().options('SASL_SSL', 'OAUTHBEARER')
      const tokenEndpointUrl = `http://127.0.0.1:${endpoint.port}/token`
      const oauthbearer = { ...authentication?.oauthbearer, tokenEndpointUrl }
      const silent = { ...authentication, oauthbearer } as typeof authentication
      await using route = await mount({ ...options, authentication: silent })
      let message = ''
      await until(
        async () => {
          message = (await refusal(route)).body.message
          return message.includes('the token endpoint did not answer within 10 s')
        },
        () => `an answer that names the endpoint; the last was ${message}`,
        40_000,
      )
    })

    test.concurrent('an ACL that is missing, on the topic and on the group', async () => {
      const topic = await secured().kafka.createTopic(1)
      await secured().kafka.produce(topic, [{ value: 'for some' }])
      const group = uniqueName('forbidden')
      const options = {
        ...secured().options('SASL_PLAINTEXT', 'PLAIN'),
        clusterName: group,
        topics: [topic],
        consumerGroup: { mode: 'manual', consumerGroupId: group },
      } as const
      await using route = await mount(options)
      await using ofGroup = await mount({ ...options, topics: [secured().topic] })
      for (const query of [{}, { start: 'earliest' }]) {
        const { status, body } = await refusal(route, query)
        expect({ status, code: body.code }).toEqual({ status: 502, code: 'KAFKA_AUTHORIZATION' })
        expect(body.message).toContain('allow this user to use the topic')
      }
      const { status, body } = await refusal(ofGroup)
      expect({ status, code: body.code }).toEqual({ status: 502, code: 'KAFKA_AUTHORIZATION' })
      expect(body.message).toContain('allow this user to use the consumer group')
      // Meanwhile the client tries again, and fails: one line of the log stands for all.
      await sleep(3_000)
      // Once for each of the two members.
      expect(logged(group)).toBeLessThanOrEqual(2)
      await secured().tool(
        'kafka-acls',
        ...['--add', '--allow-principal', `User:${reader.name}`, '--operation', 'Read'],
        ...['--topic', topic, '--group', group],
      )
      expect(await drained(route)).not.toHaveLength(0)
      expect(await drained(ofGroup)).not.toHaveLength(0)
    })

    test('a token endpoint that cannot be reached', async () => {
      await secured().tokens.close()
      const before = logged('the token endpoint cannot be reached')
      await using route = await mount({
        ...secured().options('SASL_SSL', 'OAUTHBEARER'),
        clusterName: uniqueName('tokens'),
      })
      const { status, body } = await refusal(route)
      expect({ status, ...body }).toMatchObject({
        status: 502,
        code: 'KAFKA_TOKEN',
        retryable: true,
      })
      // Meanwhile the client tries again, and fails: one line of the log stands for all.
      await sleep(3_000)
      secured().tokens.open()
      expect(await drained(route)).not.toHaveLength(0)
      expect(logged('the token endpoint cannot be reached') - before).toBeLessThanOrEqual(2)
    })
  })

  /** A record, as soon as the route has got over its trouble. */
  async function drained(route: Route) {
    let found: Awaited<ReturnType<Route['records']>> = []
    let last = ''
    await until(
      async () => {
        const response = await route.fetch({ format: 'records', timeout: 500 })
        last = await response.text()
        if (response.status !== 200) return false
        found = (JSON.parse(last) as { records: typeof found }).records
        return found.length > 0
      },
      () => `records where there was ${last}`,
      20_000,
    )
    return found
  }
}
