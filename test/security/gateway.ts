import { describe, expect, test } from 'bun:test'
import { reader } from '../../tools/kafka/credentials.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { uniqueName } from '../support/names.ts'
import { until } from '../support/wait.ts'
import type { Secured } from './secured.ts'

const PLANTED = {
  password: 'planted-password-4711',
  clientSecret: 'planted-client-secret-4712',
}

/** Kafka's tools and brokers may take this long where a machine is busy. */
const SLOW_MS = 60_000

/** The gateway as a process, with Kafka's settings from flags and from Kong's documents. */
export function describeGateway(secured: () => Secured): void {
  async function post(url: string, body: object): Promise<{ status: number; text: string }> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return { status: response.status, text: await response.text() }
  }

  function plugin(listener: 'SSL' | 'SASL_SSL', config: object): object {
    const [host, port] = secured().bootstrapServers(listener).split(':')
    return {
      name: 'kafka-consume',
      config: {
        bootstrap_servers: [{ host, port: Number(port) }],
        topics: [{ name: secured().topic }],
        // A group that `reader` may join.
        consumer_group: { mode: 'manual', consumer_group_id: uniqueName('allowed-kong') },
        error_handling: { return_error_message: true },
        ...config,
      },
    }
  }

  /** Configurations of Kong that get in and that do not, by the name of their route. */
  function configsOf(certificateId: string): Record<string, object> {
    const sasl = { strategy: 'sasl', user: reader.name, password: PLANTED.password }
    const oauthbearer = {
      token_endpoint_url: secured().tokens.url,
      client_id: reader.name,
      client_secret: PLANTED.clientSecret,
    }
    return {
      scram: {
        security: { ssl: true },
        authentication: { ...sasl, mechanism: 'SCRAM-SHA-256' },
      },
      token: {
        security: { ssl: true },
        authentication: { strategy: 'sasl', mechanism: 'OAUTHBEARER', oauthbearer },
      },
      accepted: {
        security: { ssl: true },
        authentication: {
          strategy: 'sasl',
          mechanism: 'OAUTHBEARER',
          oauthbearer: { ...oauthbearer, client_secret: reader.password },
        },
      },
      certificate: { security: { ssl: true, certificate_id: certificateId } },
      // The error of an invalid configuration does not quote it.
      wrong: { authentication: { ...sasl, mechanism: 'NONE', client: PLANTED.clientSecret } },
    }
  }

  /** Makes a route with the plugin for each configuration; gives the texts of the answers. */
  async function makeRoutes(admin: string, configs: Record<string, object>): Promise<string[]> {
    const texts: string[] = []
    for (const [name, config] of Object.entries(configs)) {
      const route = await post(`${admin}/routes`, { name, hosts: [`${name}.test`] })
      const listener = name === 'certificate' ? 'SSL' : 'SASL_SSL'
      const made = await post(`${admin}/routes/${name}/plugins`, plugin(listener, config))
      texts.push(route.text, made.text)
    }
    return texts
  }

  async function readRoutes(url: string, names: readonly string[]): Promise<string[]> {
    const texts: string[] = []
    for (const name of names) {
      const answer = await fetch(`${url}/x?timeout=200`, { headers: { host: `${name}.test` } })
      texts.push(await answer.text())
    }
    return texts
  }

  async function textsAt(url: string, paths: readonly string[]): Promise<string[]> {
    const texts: string[] = []
    for (const path of paths) texts.push(await (await fetch(`${url}${path}`)).text())
    return texts
  }

  describe('the gateway', () => {
    test('authenticates at Kafka by its flags, and its routes of Kong by certificates of the Admin API', async () => {
      const [key, cert] = await Promise.all([
        secured().pem(`${reader.name}.key`),
        secured().pem(`${reader.name}.pem`),
      ])
      await Bun.write(secured().file('gateway-password'), `${reader.password}\n`)
      const { gateway, url } = await GatewayProcess.listening([
        ...['--brokers', secured().bootstrapServers('SASL_SSL'), '--topics', secured().topic],
        ...['--kafka-tls', '--kafka-ca', secured().file('ca.pem')],
        ...['--kafka-mechanism', 'SCRAM-SHA-512', '--kafka-user', reader.name],
        ...['--kafka-password-file', secured().file('gateway-password')],
      ])
      await using _ = gateway
      const streamed = await fetch(`${url}/messages?start=earliest&format=records`)
      expect(await streamed.text()).toContain('for those who may')

      const admin = gateway.adminUrl
      const certificate = await post(`${admin}/certificates`, { cert, key })
      expect(certificate.status).toBe(201)
      expect(certificate.text).toContain('"key":"***"')
      const { id } = JSON.parse(certificate.text) as { id: string }
      await post(`${admin}/routes`, { name: 'kong', hosts: ['kong.test'] })
      const security = { ssl: true, certificate_id: id }
      const made = await post(`${admin}/routes/kong/plugins`, plugin('SSL', { security }))
      expect({ status: made.status, text: made.status === 201 ? '' : made.text }).toEqual({
        status: 201,
        text: '',
      })
      const answer = await fetch(`${url}/x`, { headers: { host: 'kong.test' } })
      expect({ status: answer.status, text: await answer.text() }).toMatchObject({
        status: 200,
        text: expect.stringContaining('for those who may'),
      })

      const missing = { ssl: true, certificate_id: crypto.randomUUID() }
      await post(`${admin}/routes`, { name: 'other', hosts: ['other.test'] })
      const refused = await post(
        `${admin}/routes/other/plugins`,
        plugin('SSL', { security: missing }),
      )
      expect(refused.status).toBe(400)
      expect(refused.text).toContain(missing.certificate_id)
    })

    test(
      'is not ready while ACLs let it describe its only topic, and not read or write; later changes of ACLs leave it ready',
      async () => {
        const topic = await secured().kafka.createTopic(1)
        const acl = (...change: readonly string[]) =>
          secured().tool(
            'kafka-acls',
            ...[...change, '--allow-principal', `User:${reader.name}`, '--topic', topic],
          )
        await acl('--add', '--operation', 'Describe')
        const { gateway, url } = await GatewayProcess.listening(
          [
            ...['--brokers', secured().bootstrapServers('SASL_PLAINTEXT'), '--topics', topic],
            ...['--kafka-mechanism', 'PLAIN', '--kafka-user', reader.name, '--produce'],
          ],
          { KAFKA_PASSWORD: reader.password },
        )
        await using _ = gateway
        const readyz = async () => (await fetch(`${url}/readyz`)).json()
        const read = async () => (await fetch(`${url}/messages?start=earliest&timeout=0`)).status
        await until(
          async () => JSON.stringify(await readyz()).includes('"KAFKA_AUTHORIZATION"'),
          'the ACLs to be the reason',
          SLOW_MS,
        )
        const named = expect.stringContaining(topic)
        expect(await readyz()).toMatchObject({ status: 'unavailable' })
        expect(await readyz()).toHaveProperty('reasons.0.message', named)

        await acl('--add', '--operation', 'Read')
        const isReady = async () => ((await readyz()) as { status: string }).status === 'ready'
        await until(isReady, 'readiness', SLOW_MS)
        await until(async () => (await read()) === 200, 'an answer', SLOW_MS)

        await acl('--remove', '--force', '--operation', 'Read', '--operation', 'Describe')
        await until(async () => (await read()) === 502, 'the ACLs to be gone', SLOW_MS)
        expect(await readyz()).toEqual({ status: 'ready' })
      },
      4 * SLOW_MS,
    )

    test('shows no secret in any answer, metric or line of its log', async () => {
      const key = await secured().pem('foreign-client.key')
      const cert = await secured().pem('foreign-client.pem')
      const { gateway, url } = await GatewayProcess.listening(
        [
          ...['--brokers', secured().bootstrapServers('SASL_SSL'), '--topics', secured().topic],
          ...['--kafka-tls', '--kafka-ca', secured().file('ca.pem'), '--log-level', 'debug'],
          ...['--kafka-mechanism', 'PLAIN', '--kafka-user', reader.name],
        ],
        { KAFKA_PASSWORD: PLANTED.password },
      )
      await using _ = gateway
      const admin = gateway.adminUrl
      const seen: string[] = []
      const certificate = await post(`${admin}/certificates`, { cert, key })
      seen.push(certificate.text)
      const { id } = JSON.parse(certificate.text) as { id: string }
      const configs = configsOf(id)
      seen.push(...(await makeRoutes(admin, configs)))
      seen.push(...(await readRoutes(url, Object.keys(configs))))
      const ofGateway = ['/messages', '/stream', '/readyz', '/metrics', '/healthz']
      seen.push(...(await textsAt(url, ofGateway)))
      const ofAdmin = [
        '/',
        '/plugins',
        '/certificates',
        `/certificates/${id}`,
        '/config',
        '/status',
      ]
      seen.push(...(await textsAt(admin, ofAdmin)))
      await until(() => gateway.logged('refused the credentials') > 0, 'the log of a refusal')
      // Each cluster says once what is wrong with it.
      expect(gateway.logged('WARNING')).toBeLessThan(20)
      const all = [...seen, gateway.stdout, gateway.stderr].join('\n')
      // There is something to look through: each refusal was answered and logged.
      for (const code of ['KAFKA_AUTHENTICATION', 'KAFKA_TOKEN', 'KAFKA_TLS', '"records"']) {
        expect(all).toContain(code)
      }
      const keyText = key.split('\n')[1] ?? ''
      expect(keyText.length).toBeGreaterThan(40)
      const secrets = [
        ...Object.values(PLANTED),
        reader.password,
        keyText,
        'PRIVATE KEY',
        'eyJhbGciOi',
      ]
      for (const secret of secrets) expect(all).not.toContain(secret)
    })
  })
}
