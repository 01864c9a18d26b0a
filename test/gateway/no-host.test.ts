/** Requests without a `Host` header, which HTTP/1.0 does not ask for: HAProxy's checks are such. */
import { expect, test } from 'bun:test'
import { sendRaw } from '../support/raw.ts'
import { SseClient } from '../support/sse.ts'
import { until } from '../support/wait.ts'
import { GatewayProcess } from './gateway-process.ts'

const status = (answer: string) => Number(/^HTTP\/1\.\d (\d{3}) /.exec(answer)?.[1])

test('a request without a host, or with a malformed one, is served as others are', async () => {
  const { gateway, url } = await GatewayProcess.listening()
  await using _ = gateway
  await using stream = await SseClient.open(`${url}/stream?start=earliest`)
  await stream.until(1)
  // A stream may have records a moment before all that belongs to a start has ended.
  await until(async () => (await fetch(`${url}/readyz`)).ok, 'readiness')
  for (const version of [
    'HTTP/1.0\n',
    'HTTP/1.0\nHost:\n',
    'HTTP/1.1\nHost: a b\n',
    'HTTP/1.1\nHost: ]\n',
  ]) {
    for (const [path, expected] of [
      ['/healthz', 200],
      ['/readyz', 200],
      ['/messages?start=earliest', 200],
      ['/stream', 200],
      ['/metrics', 200],
      ['/status', 200],
      ['/', 200],
      ['/docs', 200],
      ['/openapi.json', 200],
      ['/console/console.js', 200],
      ['/socket', 426],
      ['/nowhere', 404],
      ['//messages', 404],
    ] as const) {
      const answer = await sendRaw(url, `GET ${path} ${version}\n`)
      expect([version, path, status(answer)]).toEqual([version, path, expected])
    }
  }
  for (const [path, expected] of [
    ['/', 200],
    ['/routes', 200],
    ['/routes?size=1', 200],
    ['/nowhere', 404],
  ] as const) {
    for (const version of ['HTTP/1.0\n', 'HTTP/1.0\nHost:\n']) {
      const answer = await sendRaw(gateway.adminUrl, `GET ${path} ${version}\n`)
      expect([path, status(answer)]).toEqual([path, expected])
    }
    const answer = await sendRaw(gateway.adminUrl, `GET ${path} HTTP/1.1\nHost: a b\n\n`)
    expect([path, status(answer)]).toEqual([path, 400])
  }
  expect(gateway.stderr).not.toContain(' ERROR ')
}, 120_000)

test('a health request without a host is served without credentials, other requests are not', async () => {
  const { gateway, url } = await GatewayProcess.listening([], {
    BEARER_KEYS: 'probe=planted-key-of-a-probe',
  })
  await using _ = gateway
  for (const [path, header, expected] of [
    ['/healthz', '', 200],
    ['/messages?start=earliest', '', 401],
    ['/messages?start=earliest', 'Authorization: Bearer planted-key-of-a-probe\n', 200],
  ] as const) {
    const answer = await sendRaw(url, `GET ${path} HTTP/1.0\n${header}\n`)
    expect([path, header, status(answer)]).toEqual([path, header, expected])
  }
}, 120_000)
