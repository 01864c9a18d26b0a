import { describe, expect, test } from 'bun:test'
import { uniqueName } from '../support/names.ts'
import { Route, type RouteOptions } from '../support/route.ts'
import { until } from '../support/wait.ts'
import { ALLOWED_GROUP, type Secured } from './secured.ts'

export function describeTokens(secured: () => Secured): void {
  function mount(oauthbearer: object): Promise<Route> {
    const { authentication, ...options } = secured().options('SASL_SSL', 'OAUTHBEARER')
    return Route.mount(secured(), {
      ...options,
      authentication: {
        ...authentication,
        oauthbearer: { ...authentication?.oauthbearer, ...oauthbearer },
      },
      topics: [secured().topic],
      mode: 'auto',
      autoOffsetReset: 'earliest',
      consumerGroup: { mode: 'manual', consumerGroupId: uniqueName(ALLOWED_GROUP) },
    } as RouteOptions)
  }

  describe('tokens', () => {
    test('are fetched once for all clients of a cluster', async () => {
      const { tokens } = secured()
      const before = tokens.requests.length
      await using route = await mount({
        scopes: ['one', 'two'],
        extensions: { logicalCluster: 'lkc-1' },
      })
      // A client for questions, a tail, a replay and a group.
      await using _ = await route.stream()
      await using oldest = await route.stream({ start: 'earliest' })
      await route.drain(1)
      await oldest.until(1)
      expect(tokens.requests.slice(before).map((form) => Object.fromEntries(form))).toEqual([
        { grant_type: 'client_credentials', scope: 'one two' },
      ])
    })

    test('are fetched again before they expire; reading stops while there is none', async () => {
      const { tokens, kafka, topic } = secured()
      const before = tokens.requests.length
      tokens.lifetime = 4
      try {
        await using route = await mount({})
        await using stream = await route.stream()
        await route.drain(1)
        await until(
          () => tokens.requests.length - before >= 4,
          () => `a fourth token; ${tokens.requests.length - before} were asked for`,
          30_000,
        )
        const produce = () => kafka.produce(topic, [{ value: 'for those who may' }])
        await produce()
        await stream.until(1)
        expect(stream.named('error')).toEqual([])
        await tokens.close()
        let last = ''
        const code = async () => {
          last = await (await route.fetch({ timeout: 0 })).text()
          return (JSON.parse(last) as { code?: string }).code
        }
        const state = () => `another answer than ${last}`
        await until(async () => (await code()) === 'KAFKA_TOKEN', state, 40_000)
        tokens.lifetime = 600
        tokens.open()
        await until(async () => (await code()) === undefined, state, 40_000)
        const seen = stream.records().length
        await produce()
        await stream.until(seen + 1)
      } finally {
        tokens.lifetime = 600
        tokens.open()
      }
    }, 180_000)
  })
}
