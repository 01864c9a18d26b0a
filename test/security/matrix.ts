import { describe, expect, test } from 'bun:test'
import type { KafkaConsumeOptions } from '../../src/index.ts'
import { reader } from '../../tools/kafka/credentials.ts'
import type { SecureListener } from '../../tools/kafka/secure-listeners.ts'
import { launch, runtimes } from '../runtimes/launch.ts'
import { BuiltPackage } from '../support/built-package.ts'
import { uniqueName } from '../support/names.ts'
import { type Host, Route, type RouteOptions } from '../support/route.ts'
import { ALLOWED_GROUP, type Mechanism, type Secured } from './secured.ts'

const mechanisms: readonly Mechanism[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']
const saslListeners: readonly SecureListener[] = ['SASL_PLAINTEXT', 'SASL_SSL']

/** Every way to get in, each by a GET as a group and by a stream. */
export function describeMatrix(secured: () => Secured): void {
  async function expectReadable(options: Partial<KafkaConsumeOptions>, host?: Host): Promise<void> {
    const target = { kafka: secured().kafka, close: async () => {}, ...(host && { host }) }
    await using route = await Route.mount(target, {
      topics: [secured().topic],
      mode: 'auto',
      autoOffsetReset: 'earliest',
      consumerGroup: { mode: 'manual', consumerGroupId: uniqueName(ALLOWED_GROUP) },
      ...options,
    } as RouteOptions)
    const [record] = await route.drain(1)
    expect(record?.value).toBe('for those who may')
    await using stream = await route.stream({ start: 'earliest' })
    await stream.until(1)
    expect(stream.records()[0]?.value).toBe('for those who may')
  }

  describe('records come through', () => {
    for (const listener of saslListeners) {
      for (const mechanism of mechanisms) {
        test(`${listener} with ${mechanism}`, async () => {
          const options = secured().options(listener, mechanism)
          // Over an open line the endpoint's certificate is all that needs the authority.
          const oauthbearer =
            mechanism === 'OAUTHBEARER' && listener === 'SASL_PLAINTEXT'
              ? { ...options.authentication?.oauthbearer, tokenEndpointTlsVerify: false }
              : options.authentication?.oauthbearer
          await expectReadable({
            ...options,
            authentication: { ...options.authentication, oauthbearer },
          })
        })
      }
    }

    const withCertificate = () => ({
      bootstrapServers: secured().bootstrapServers('SSL'),
      security: {
        ssl: true,
        ca: { file: secured().file('ca.pem') },
        certificate: { file: secured().file(`${reader.name}.pem`) },
        key: { file: secured().file(`${reader.name}.key`) },
      },
    })

    test('SSL with a client certificate, from files', () => expectReadable(withCertificate()))

    // They hold OpenSSLs of their own, beside the one of the client.
    test('on Deno and Node, too: SCRAM by SASL_SSL, and a certificate by SSL', async () => {
      using built = await BuiltPackage.build()
      for (const runtime of runtimes) {
        const host = await launch(runtime, built)
        try {
          await expectReadable(secured().options('SASL_SSL', 'SCRAM-SHA-512'), host)
          await expectReadable(withCertificate(), host)
        } finally {
          await host.close()
        }
      }
    }, 180_000)

    test('SSL with a client certificate, as text', async () => {
      const security = {
        ssl: true,
        ca: await secured().pem('ca.pem'),
        certificate: await secured().pem(`${reader.name}.pem`),
        key: await secured().pem(`${reader.name}.key`),
      }
      await expectReadable({ bootstrapServers: secured().bootstrapServers('SSL'), security })
    })

    test('a broker certificate of an unknown authority, with sslVerify false', async () => {
      await expectReadable({
        bootstrapServers: secured().bootstrapServers('FOREIGN'),
        security: { ssl: true, sslVerify: false },
      })
    })

    test('connections are shared only if all their settings are equal', async () => {
      const options = {
        ...secured().options('SASL_SSL', 'PLAIN'),
        topics: [secured().topic],
        mode: 'server-sent-events',
      } as RouteOptions
      await using one = await Route.mount(secured(), options)
      await using same = await Route.mount(secured(), options)
      const { authentication } = options
      const wrong = { ...authentication, password: 'another' } as typeof authentication
      await using other = await Route.mount(secured(), { ...options, authentication: wrong })
      const tuned = { ...options, librdkafka: { 'fetch.min.bytes': 2 } }
      await using third = await Route.mount(secured(), tuned)
      await using _ = await one.stream()
      await using __ = await same.stream()
      await using ___ = await third.stream()
      expect((await other.fetch()).status).toBe(502)
      const feedOf = async (route: Route) => (await route.stats()).feed?.id
      const feed = await feedOf(one)
      expect(feed).toBeDefined()
      expect(await feedOf(same)).toBe(feed)
      expect(await feedOf(third)).not.toBe(feed)
    })

    test('a property that librdkafka does not know, or whose value it refuses, is named', async () => {
      const options = { topics: [secured().topic], ...secured().options('SASL_SSL', 'PLAIN') }
      for (const [librdkafka, expected] of [
        [{ 'no.such.property': 1 }, 'librdkafka option "no.such.property": librdkafka has no such'],
        [{ 'socket.timeout.ms': 'soon' }, 'librdkafka option "socket.timeout.ms": librdkafka does'],
      ] as const) {
        await using route = await Route.mount(secured(), { ...options, librdkafka } as RouteOptions)
        const response = await route.fetch()
        const { code, message } = (await response.json()) as Record<string, string>
        expect({ status: response.status, code }).toEqual({ status: 500, code: 'INVALID_OPTIONS' })
        expect(message).toContain(expected)
      }
    })

    test('properties that contradict each other are not reported as brokers that cannot be reached', async () => {
      await using route = await Route.mount(secured(), {
        topics: [secured().topic],
        ...secured().options('SSL'),
        librdkafka: { 'ssl.keystore.location': secured().file('no-such.p12') },
        errorHandling: { returnErrorMessage: true },
      } as RouteOptions)
      const response = await route.fetch()
      const body = (await response.json()) as Record<string, string>
      expect({ status: response.status, ...body }).toMatchObject({
        status: 500,
        code: 'INVALID_OPTIONS',
        message: expect.stringContaining('librdkafka does not take these settings together'),
        error: expect.any(String),
      })
    })

    test('a file that is missing, and a key of another certificate, are named', async () => {
      const file = (name: string) => ({ file: secured().file(name) })
      for (const [security, option, expected] of [
        [{ ssl: true, ca: file('no-such.pem') }, 'security.ca', 'no-such.pem: ENOENT'],
        [
          { ssl: true, ca: file('reader.key') },
          'security.ca',
          'reader.key: it holds no certificate in PEM',
        ],
        [
          { ssl: true, certificate: file('reader.pem'), key: file('broker.key') },
          'security.key',
          'broker.key: it is not the key of the certificate',
        ],
      ] as const) {
        await using route = await Route.mount(secured(), {
          topics: [secured().topic],
          bootstrapServers: secured().bootstrapServers('SSL'),
          security,
        } as RouteOptions)
        const response = await route.fetch()
        const { code, message } = (await response.json()) as Record<string, string>
        expect({ status: response.status, code }).toEqual({ status: 500, code: 'INVALID_OPTIONS' })
        expect(message).toStartWith(`Cannot use ${option} for Kafka: `)
        expect(message).toEndWith(expected)
      }
    })

    test('a password from a file, and a property of librdkafka', async () => {
      await Bun.write(secured().file('password'), `${reader.password}\n`)
      const options = secured().options('SASL_SSL', 'SCRAM-SHA-512')
      await expectReadable({
        ...options,
        authentication: {
          ...options.authentication,
          password: { file: secured().file('password') },
        },
        librdkafka: { 'client.id': 'a-name-of-its-own', 'fetch.message.max.bytes': 100_000 },
      })
    })
  })
}
