/** Routes of Kong by `snis`, by HTTPS with curl. */
import { expect, test } from 'bun:test'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { Certificates } from '../support/certificate.ts'

test('routes of Kong by snis serve the clients that ask for their names', async () => {
  using certificates = new Certificates()
  certificates.make('localhost')
  const [cert, key] = ['crt', 'key'].map((type) => certificates.file(`localhost.${type}`))
  const { gateway, url } = await GatewayProcess.listening([
    ...['--https-port', '0', '--tls-cert', cert ?? '', '--tls-key', key ?? ''],
  ])
  await using _ = gateway
  for (const snis of [['a.test'], ['b.test', '*.c.test']]) {
    const created = await fetch(`${gateway.adminUrl}/routes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ snis, protocols: ['https'] }),
    })
    expect([created.status, (await created.json()).snis]).toEqual([201, snis])
  }
  const { port } = new URL(gateway.httpsUrl)
  const status = async (name: string, ...args: string[]) => {
    const child = Bun.spawn([
      ...['curl', '-sk', '--max-time', '10', '--resolve', `${name}:${port}:127.0.0.1`],
      ...['-o', '/dev/null', '-w', '%{http_version} %{http_code}', ...args],
      `https://${name}:${port}/x`,
    ])
    return new Response(child.stdout).text()
  }
  // 503: a route without a plugin for Kafka.
  expect(await status('a.test')).toBe('2 503')
  expect(await status('a.test', '--http1.1')).toBe('1.1 503')
  expect(await status('b.test')).toBe('2 503')
  expect(await status('x.c.test')).toBe('2 503')
  expect(await status('d.test')).toBe('2 404')
  expect((await fetch(`${url}/x`, { redirect: 'manual' })).status).toBe(426)
})
