import { describe, expect, test } from 'bun:test'
import { uniqueName } from '../support/names.ts'
import { Route, type RouteOptions } from '../support/route.ts'
import { sleep } from '../support/wait.ts'
import { ALLOWED_GROUP, type Secured } from './secured.ts'

export function describeTokens(secured: () => Secured): void {
  describe('tokens', () => {
    test('are asked for once for all clients of a cluster, and again before they expire', async () => {
      const { tokens, kafka, topic } = secured()
      const before = tokens.requests.length
      tokens.lifetime = 6
      const options = secured().options('SASL_SSL', 'OAUTHBEARER')
      const { authentication } = options
      await using route = await Route.mount(secured(), {
        ...options,
        authentication: {
          ...authentication,
          oauthbearer: {
            ...authentication?.oauthbearer,
            scopes: ['one', 'two'],
            extensions: { logicalCluster: 'lkc-1' },
          },
        },
        topics: [topic],
        mode: 'auto',
        autoOffsetReset: 'earliest',
        consumerGroup: { mode: 'manual', consumerGroupId: uniqueName(ALLOWED_GROUP) },
      } as RouteOptions)
      await using newest = await route.stream()
      await using oldest = await route.stream({ start: 'earliest' })
      await route.drain(1)
      await oldest.until(1)
      // A client for questions, a tail, a replay and a group.
      expect(tokens.requests.length - before).toBeLessThanOrEqual(2)
      expect(Object.fromEntries(tokens.requests[before] ?? [])).toEqual({
        grant_type: 'client_credentials',
        scope: 'one two',
      })
      try {
        await sleep(9_000)
        const asked = tokens.requests.length - before
        expect(asked).toBeGreaterThanOrEqual(2)
        expect(asked).toBeLessThanOrEqual(8)
        const seen = newest.records().length
        await kafka.produce(topic, [{ value: 'for those who may' }])
        await newest.until(seen + 1)
        expect(newest.named('error')).toEqual([])
      } finally {
        tokens.lifetime = 600
      }
    })
  })
}
