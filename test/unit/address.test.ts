import { expect, test } from 'bun:test'
import { Hono } from 'hono'
import { addressFinder } from '../../src/gateway/auth/address.ts'

/** The address of a client, by its connection and its `X-Forwarded-For`. */
async function found(peer: string | Error, trustedProxies = 0, forwarded?: string) {
  const addressOf = addressFinder(() => {
    if (peer instanceof Error) throw peer
    return { remote: { address: peer } }
  }, trustedProxies)
  const app = new Hono().get('/', (c) => c.text(addressOf(c)))
  const headers: Record<string, string> =
    forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
  return (await app.request('/', { headers })).text()
}

test.each([
  ['10.0.0.1', '10.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0DB8:0001:0002::6', '2001:db8:1:2::/64'],
  ['::1', '0:0:0:0::/64'],
])('an address %s is known as %s', async (peer, expected) => {
  expect(await found(peer)).toBe(expected)
})

test('a client’s own X-Forwarded-For counts only as far as proxies are trusted', async () => {
  const forwarded = '1.1.1.1, 2.2.2.2, [2001:db8::7]:443'
  expect(await found('10.0.0.1', 0, forwarded)).toBe('10.0.0.1')
  expect(await found('10.0.0.1', 1, forwarded)).toBe('2001:db8:0:0::/64')
  expect(await found('10.0.0.1', 2, forwarded)).toBe('2.2.2.2')
  expect(await found('10.0.0.1', 4, forwarded)).toBe('10.0.0.1')
  expect(await found('10.0.0.1', 1)).toBe('10.0.0.1')
  expect(await found('10.0.0.1', 1, 'x'.repeat(5_000))).toHaveLength(64)
})

test('a request without a connection has the address "unknown"', async () => {
  expect(await found(new Error('none'))).toBe('unknown')
})
