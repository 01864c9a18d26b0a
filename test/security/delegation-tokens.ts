import { expect, test } from 'bun:test'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { uniqueName } from '../support/names.ts'
import { Route, type RouteOptions } from '../support/route.ts'
import { ALLOWED_GROUP, type DelegationToken, type Secured } from './secured.ts'

const mechanisms = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
const listeners = ['SASL_PLAINTEXT', 'SASL_SSL'] as const

export function describeDelegationTokens(secured: () => Secured): void {
  function mount(
    { id: user, hmac: password }: DelegationToken,
    listener: (typeof listeners)[number],
    mechanism: (typeof mechanisms)[number],
    tokenauth = true,
  ): Promise<Route> {
    return Route.mount(secured(), {
      ...secured().options(listener, mechanism),
      authentication: { strategy: 'sasl', mechanism, user, password, tokenauth },
      // Connections that others have made with the token say nothing of it.
      clusterName: uniqueName('delegated'),
      topics: [secured().topic],
      mode: 'auto',
      autoOffsetReset: 'earliest',
      consumerGroup: { mode: 'manual', consumerGroupId: uniqueName(ALLOWED_GROUP) },
    } as RouteOptions)
  }

  test('a delegation token authenticates, by every listener and mechanism, until it is removed', async () => {
    const token = await secured().createDelegationToken()
    for (const listener of listeners) {
      for (const mechanism of mechanisms) {
        await using route = await mount(token, listener, mechanism)
        expect((await route.drain(1))[0]?.value).toBe('for those who may')
        await using stream = await route.stream({ start: 'earliest' })
        await stream.until(1)
        expect(stream.records()[0]?.value).toBe('for those who may')
      }
    }
    // The token's id is not a user of SCRAM: the options must say that it is a token.
    const refused = async (given: DelegationToken, tokenauth: boolean) => {
      await using route = await mount(given, 'SASL_SSL', 'SCRAM-SHA-256', tokenauth)
      const answers: unknown[] = []
      for (const [query, accept] of [
        [{}, 'application/json'],
        [{ start: 'earliest' }, 'application/json'],
        [{}, 'text/event-stream'],
      ] as const) {
        const response = await route.fetch(query, { headers: { accept } })
        const { code, message } = (await response.json()) as Record<string, string>
        answers.push({ status: response.status, code, message })
      }
      return answers
    }
    const answerOf = (state: string) =>
      Array(3).fill({
        status: 502,
        code: 'KAFKA_AUTHENTICATION',
        message: `Cannot read from Kafka: it refused ${state}`,
      })
    const ofToken = answerOf('the delegation token, which may have expired or been removed')
    expect(await refused(token, false)).toEqual(answerOf('the credentials'))
    expect(await refused({ ...token, hmac: 'bm90LWl0cy1obWFj' }, true)).toEqual(ofToken)
    await gatewayReads(token)
    await secured().removeDelegationToken(token)
    expect(await refused(token, true)).toEqual(ofToken)
  }, 180_000)

  /** By its flags, and by a route of Kong. */
  async function gatewayReads({ id, hmac }: DelegationToken): Promise<void> {
    const { gateway, url } = await GatewayProcess.listening(
      [
        ...['--brokers', secured().bootstrapServers('SASL_SSL'), '--topics', secured().topic],
        ...['--kafka-tls', '--kafka-ca', secured().file('ca.pem')],
        ...['--kafka-mechanism', 'SCRAM-SHA-512', '--kafka-user', id, '--kafka-delegation-token'],
      ],
      { KAFKA_PASSWORD: hmac },
    )
    await using _ = gateway
    const read = await fetch(`${url}/messages?start=earliest&format=records`)
    expect(await read.text()).toContain('for those who may')
    const post = (path: string, body: object) =>
      fetch(`${gateway.adminUrl}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    await post('/routes', { name: 'delegated', hosts: ['delegated.test'] })
    const [host, port] = secured().bootstrapServers('SASL_PLAINTEXT').split(':')
    const made = await post('/routes/delegated/plugins', {
      name: 'kafka-consume',
      config: {
        bootstrap_servers: [{ host, port: Number(port) }],
        topics: [{ name: secured().topic }],
        authentication: {
          strategy: 'sasl',
          mechanism: 'SCRAM-SHA-256',
          user: id,
          password: hmac,
          tokenauth: true,
        },
        consumer_group: { mode: 'manual', consumer_group_id: uniqueName(ALLOWED_GROUP) },
      },
    })
    expect(made.status).toBe(201)
    const answer = await fetch(`${url}/x`, { headers: { host: 'delegated.test' } })
    expect(await answer.text()).toContain('for those who may')
    expect(`${gateway.stdout}${gateway.stderr}`).not.toContain(hmac)
  }
}
