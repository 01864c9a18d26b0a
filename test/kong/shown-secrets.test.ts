/** An Admin API without a token shows secrets to decK on this machine, and to no other client. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { networkInterfaces } from 'node:os'
import { GatewayProcess } from '../gateway/gateway-process.ts'

const SECRET = 'planted-secret'
const DECK = { 'user-agent': 'decK/v1.53.0' }
/** An address of this machine that is not of the loopback interface. */
const outer = Object.values(networkInterfaces())
  .flat()
  .find((each) => each?.family === 'IPv4' && !each.internal)?.address

let gateway: GatewayProcess
let port: string

beforeAll(async () => {
  gateway = (await GatewayProcess.listening(['--admin-host', '0.0.0.0'])).gateway
  port = new URL(gateway.adminUrl).port
  const post = async (path: string, body: object) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    expect(response.status).toBe(201)
  }
  await post('/consumers', { username: 'ann' })
  await post('/consumers/ann/key-auth', { key: SECRET })
})
afterAll(() => gateway?.[Symbol.asyncDispose]())

const answer = async (path: string, headers: Record<string, string>, host = '127.0.0.1') =>
  (await fetch(`http://${host}:${port}${path}`, { headers })).text()

test('decK on this machine sees secrets, by each path that it reads', async () => {
  for (const path of ['/key-auths', '/default/key-auths', '/consumers/ann/key-auth', '/config']) {
    expect({ path, text: await answer(path, DECK) }).toEqual({
      path,
      text: expect.stringContaining(SECRET),
    })
  }
})

test('other programs, and requests that a proxy forwards, see a mask', async () => {
  const others: Array<Record<string, string>> = [
    {},
    { 'user-agent': 'curl/8.7.1' },
    { 'user-agent': 'Mozilla/5.0 decK/v1' },
    { ...DECK, 'x-forwarded-for': '127.0.0.1' },
    { ...DECK, forwarded: 'for=127.0.0.1' },
    { ...DECK, via: '1.1 proxy' },
    { ...DECK, 'x-real-ip': '127.0.0.1' },
  ]
  for (const headers of others) {
    for (const path of ['/key-auths', '/config']) {
      const text = await answer(path, headers)
      expect({ headers, path, text }).toEqual({
        headers,
        path,
        text: expect.stringContaining('"***'),
      })
      expect(text).not.toContain(SECRET)
    }
  }
})

test.skipIf(outer === undefined)('decK on another machine sees a mask', async () => {
  const text = await answer('/key-auths', DECK, outer)
  expect(text).toContain('"***')
  expect(text).not.toContain(SECRET)
})
