import { describe, expect, test } from 'bun:test'
import { OAuthTokens } from '../../kafka/client/oauth-tokens.ts'

/** Answers like an OAuth 2 token endpoint, with what it is given as JSON. */
async function tokenFrom(answer: string): Promise<{ readonly expires: number }> {
  using server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response(answer) })
  const tokens = new OAuthTokens({
    mechanism: 'OAUTHBEARER',
    clientId: 'reader',
    clientSecret: 'secret',
    tokenEndpoint: `http://127.0.0.1:${server.port}/token`,
    scopes: [],
    extensions: {},
    verify: true,
  })
  return await tokens.get()
}

/** A JWT with one claim; nobody here verifies it. */
function jwtWith(exp: string): string {
  return `e30.${Buffer.from(`{"exp":${exp}}`).toString('base64url')}.x`
}

describe('an OAuth 2 token whose expiry is not a date', () => {
  test.each(['-1e15', '-1e300', '-1e999'])('has expired where exp is %s', async (exp) => {
    const answer = tokenFrom(`{"access_token":"${jwtWith(exp)}"}`)
    await expect(answer).rejects.toMatchObject({
      code: 'KAFKA_TOKEN',
      detail: 'expired at -271821-04-20T00:00:00.000Z',
    })
  })

  test.each([
    `{"access_token":"${jwtWith('1e300')}"}`,
    '{"access_token":"opaque","expires_in":1e999}',
  ])('lasts until the latest date where it lies beyond: %s', async (answer) => {
    expect((await tokenFrom(answer)).expires).toBe(new Date(8.64e15).getTime())
  })
})
