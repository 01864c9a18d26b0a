/** HTTPS of a gateway process, by clients that others have written: curl, Node's HTTP/2, ws. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { copyFileSync, writeFileSync } from 'node:fs'
import { WebSocket } from 'ws'
import { keyPairError, readKeyPair } from '../../src/gateway/process/key-pair.ts'
import { Certificates } from '../support/certificate.ts'
import { Http2Client } from '../support/http2.ts'
import { offsetsByPartition, range } from '../support/route.ts'
import type { StreamedRecord } from '../support/sse.ts'
import { until, within } from '../support/wait.ts'
import { BrokerProcess } from './broker-process.ts'
import { GatewayProcess } from './gateway-process.ts'

let certificates: Certificates
let broker: BrokerProcess

beforeAll(async () => {
  certificates = new Certificates()
  for (const name of ['localhost', 'renewed', 'a.test', 'b.test']) certificates.make(name)
  certificates.make('expired', { days: -1 })
  certificates.make('encrypted', { passphrase: 'planted-passphrase' })
  broker = await BrokerProcess.start('https')
})

afterAll(async () => {
  await broker[Symbol.asyncDispose]()
  certificates[Symbol.dispose]()
})

const pair = (name: string) =>
  ['crt', 'key'].map((type) => certificates.file(`${name}.${type}`)) as [string, string]

function tlsFlags(name: string): string[] {
  const [cert, key] = pair(name)
  return ['--https-port', '0', '--tls-cert', cert, '--tls-key', key]
}

/** A gateway with HTTPS that reads the broker's topic. */
async function secure(flags: readonly string[] = [], environment: Record<string, string> = {}) {
  const started = await GatewayProcess.listening(
    ['--brokers', broker.address, '--topics', 'https', ...flags],
    environment,
  )
  return { ...started, https: started.gateway.httpsUrl }
}

async function curl(...args: string[]): Promise<{ code: number; out: string }> {
  const child = Bun.spawn(['curl', '-sk', '--max-time', '30', ...args], { stderr: 'ignore' })
  const out = await new Response(child.stdout).text()
  return { code: await within(child.exited, 'curl'), out }
}

/** The common name of the certificate that a client is shown for a server name. */
async function subjectFor(https: string, name: string): Promise<string | undefined> {
  const { port } = new URL(https)
  const { out } = await curl(
    ...['--resolve', `${name}:${port}:127.0.0.1`, '-o', '/dev/null', '-w', '%{certs}'],
    `https://${name}:${port}/healthz`,
  )
  return /^Subject:\s*CN ?= ?(.*)$/m.exec(out)?.[1]
}

/** One after the other, with nothing missing and nothing twice. */
function expectWithoutGaps(records: readonly StreamedRecord[]): void {
  const found = Object.values(offsetsByPartition(records))
  expect(found.length).toBeGreaterThan(0)
  for (const offsets of found) {
    const [first = 0] = offsets
    expect(offsets).toEqual(range(first, first + offsets.length))
  }
}

describe('HTTPS', () => {
  test('is spoken with curl by HTTP/2 and HTTP/1.1, by TLS 1.3 and 1.2, and not below', async () => {
    const { gateway, https } = await secure(tlsFlags('localhost'))
    await using _ = gateway
    const version = async (...args: string[]) => {
      const format = ['-o', '/dev/null', '-w', '%{http_version}']
      return curl(...args, ...format, `${https}/healthz`)
    }
    expect(await version('--http2')).toEqual({ code: 0, out: '2' })
    expect(await version('--http1.1')).toEqual({ code: 0, out: '1.1' })
    expect(await version('--tls-max', '1.2')).toEqual({ code: 0, out: '2' })
    const old = ['--tlsv1.0', '--tls-max', '1.1', '--ciphers', 'DEFAULT@SECLEVEL=0']
    expect((await version(...old)).code).toBe(35)

    const trusted = ['--cacert', certificates.file('localhost.crt')]
    const child = Bun.spawnSync([
      ...['curl', '-sS', '--http2', ...trusted, '--resolve'],
      `localhost:${new URL(https).port}:127.0.0.1`,
      `https://localhost:${new URL(https).port}/messages?start=earliest&max_records=3&format=records`,
    ])
    expect(child.stderr.toString()).toBe('')
    expect(JSON.parse(child.stdout.toString()).records).toHaveLength(3)
  })

  test('--http2 off leaves HTTP/1.1, and without --hsts there is no such header', async () => {
    const { gateway, https } = await secure([...tlsFlags('localhost'), '--http2', 'off'])
    await using _ = gateway
    const { out } = await curl('-i', '--http2', `${https}/healthz`)
    expect(out).toStartWith('HTTP/1.1 200')
    expect(out.toLowerCase()).not.toContain('strict-transport-security')
  })

  test('answers hold no header that HTTP/2 forbids', async () => {
    const { gateway, https } = await secure(tlsFlags('localhost'))
    await using _ = gateway
    const forbidden = /^(?:connection|transfer-encoding|keep-alive|proxy-connection|upgrade)$/
    await using client = await Http2Client.connect(https)
    for (const path of ['/stream', '/messages?timeout=1', '/', '/metrics', '/none', '/status']) {
      const stream = client.open(path)
      // The group may wait for a member of an earlier test, which was killed.
      await until(() => stream.headers !== undefined, `an answer of ${path}`, 30_000)
      expect(Object.keys(stream.headers ?? {}).filter((name) => forbidden.test(name))).toEqual([])
    }
    const upgrade = client.open('/socket', { accept: 'application/json' })
    expect(JSON.parse(await upgrade.body()).code).toBe('UPGRADE_REQUIRED')
    expect(Object.keys(upgrade.headers ?? {})).not.toContain('upgrade')
  })

  test('--https-redirect on redirects plain HTTP, but not health checks; --hsts is for HTTPS', async () => {
    const flags = ['--https-redirect', 'on', '--hsts', '3600']
    const { gateway, url, https } = await secure([...tlsFlags('localhost'), ...flags])
    await using _ = gateway
    expect(gateway.stdout).toContain(`curl ${https}/messages`)
    const post = await fetch(`${url}/messages/offsets?a=b`, { method: 'POST', redirect: 'manual' })
    expect(post.status).toBe(308)
    expect(post.headers.get('location')).toBe(`${https}/messages/offsets?a=b`)
    const health = await fetch(`${url}/healthz`, { redirect: 'manual' })
    expect(health.status).toBe(200)
    expect(health.headers.has('strict-transport-security')).toBe(false)
    const { out } = await curl('-iL', `${url}/stream?start=earliest`, '--max-time', '2')
    expect(out).toContain('\r\nstrict-transport-security: max-age=3600\r\n')
    expect(out).toContain('data: {"topic":"https"')
  })

  test('a route of Kong that is for HTTPS only redirects by its https_redirect_status_code', async () => {
    const { gateway, url } = await GatewayProcess.listening(tlsFlags('localhost'))
    await using _ = gateway
    for (const [host, code] of [
      ['a.test', 426],
      ['b.test', 301],
    ] as const) {
      const created = await fetch(`${gateway.adminUrl}/routes`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          hosts: [host],
          protocols: ['https'],
          https_redirect_status_code: code,
        }),
      })
      expect(created.status).toBe(201)
    }
    const answer = (host: string) =>
      fetch(`${url}/x?y=z`, { headers: { host }, redirect: 'manual' })
    expect((await answer('a.test')).status).toBe(426)
    const redirected = await answer('b.test')
    expect(redirected.status).toBe(301)
    const port = new URL(gateway.httpsUrl).port
    expect(redirected.headers.get('location')).toBe(`https://b.test:${port}/x?y=z`)
    const { out } = await curl(
      ...['--resolve', `b.test:${port}:127.0.0.1`, `https://b.test:${port}/x`],
    )
    expect(out).toContain('is enabled on this Route')
  })
})

describe('certificates', () => {
  const refusal = (cert: string, key: string) => {
    try {
      readKeyPair({ cert: certificates.file(cert), key: certificates.file(key) })
      return 'accepted'
    } catch (error) {
      return (error as Error).message.replaceAll(`${certificates.folder}/`, '')
    }
  }

  test('that cannot be used are refused by file and reason, without a word of the key', () => {
    writeFileSync(certificates.file('empty'), '')
    expect(refusal('localhost.crt', 'localhost.key')).toBe('accepted')
    expect(refusal('none.crt', 'localhost.key')).toStartWith('Cannot read none.crt: ENOENT')
    expect(refusal('localhost.crt', 'none.key')).toStartWith('Cannot read none.key: ENOENT')
    expect(refusal('empty', 'localhost.key')).toBe(
      'Cannot use empty: it is not a certificate in PEM',
    )
    expect(refusal('localhost.key', 'localhost.key')).toBe(
      'Cannot use localhost.key: it is not a certificate in PEM',
    )
    expect(refusal('localhost.crt', 'localhost.crt')).toBe(
      'Cannot use localhost.crt: it is not a private key in PEM',
    )
    expect(refusal('localhost.crt', 'renewed.key')).toBe(
      'Cannot use renewed.key: the key does not belong to the certificate',
    )
    expect(refusal('encrypted.crt', 'encrypted.key')).toBe(
      'Cannot use encrypted.key: the key is encrypted; a key without a passphrase is required',
    )
    expect(refusal('expired.crt', 'expired.key')).toMatch(
      /^Cannot use expired.crt: the certificate has expired: it was valid until \d{4}-/,
    )
    const foreign = { cert: certificates.read('a.test.crt'), key: certificates.read('b.test.key') }
    expect(keyPairError(foreign)).toBe('key: the key does not belong to the certificate')
  })

  test('that cannot be used, and a port that is taken, end the start', async () => {
    const [cert] = pair('localhost')
    const [, key] = pair('renewed')
    const flags = ['--port', '0', '--admin-port', 'off', '--host', '127.0.0.1']
    const foreign = GatewayProcess.spawn([...flags, '--tls-cert', cert, '--tls-key', key])
    expect(await foreign.exited(20_000)).toBe(1)
    expect(foreign.stderr).toContain('renewed.key: the key does not belong to the certificate')

    const { gateway, https } = await secure(tlsFlags('localhost'))
    await using _ = gateway
    const { port } = new URL(https)
    const second = GatewayProcess.spawn([
      ...[...flags, ...tlsFlags('localhost'), '--https-port', port],
      ...['--brokers', broker.address, '--topics', 'https'],
    ])
    expect(await second.exited(20_000)).toBe(1)
    expect(second.stderr).toContain(
      `Cannot listen on port ${port}: another process does, choose another with --https-port`,
    )
  })

  test('are read again at SIGHUP, and no open stream loses a record', async () => {
    const [cert, key] = [certificates.file('now.crt'), certificates.file('now.key')]
    const install = (name: string) => {
      copyFileSync(certificates.file(`${name}.crt`), cert)
      copyFileSync(certificates.file(`${name}.key`), key)
    }
    install('localhost')
    const flags = ['--https-port', '0', '--tls-cert', cert, '--tls-key', key]
    const { gateway, https } = await secure(flags)
    await using _ = gateway
    await using client = await Http2Client.connect(https)
    expect(client.subject).toBe('localhost')
    const streams = range(0, 20).map(() => client.open('/stream'))
    const lines = Bun.spawn(['curl', '-skN', '--http1.1', `${https}/stream`], { stderr: 'ignore' })
    let overHttp1 = ''
    void (async () => {
      for await (const chunk of lines.stdout) overHttp1 += new TextDecoder().decode(chunk)
    })()
    const socket = new WebSocket(`${https.replace('https', 'wss')}/socket`, {
      rejectUnauthorized: false,
    })
    const frames: StreamedRecord[] = []
    socket.on('message', (data) => frames.push(JSON.parse(String(data)) as StreamedRecord))
    const dataOf = (text: string) =>
      text
        .slice(0, text.lastIndexOf('\n\n') + 1)
        .split('\n')
        .filter((line) => line.startsWith('data: {"topic"'))
        .map((line) => JSON.parse(line.slice(6)) as StreamedRecord)
    const records = () => [
      ...streams.map((stream) => stream.records()),
      dataOf(overHttp1),
      frames.filter((frame) => 'offset' in frame),
    ]
    const grown = async (by: number) => {
      const before = records().map(({ length }) => length)
      await until(
        () => records().every(({ length }, index) => length >= (before[index] ?? 0) + by),
        `${by} more records on all streams`,
        20_000,
      )
    }
    await grown(5)

    install('renewed')
    gateway.signal('SIGHUP')
    await until(() => gateway.logged('SIGHUP: certificates valid until') === 1, 'the renewal')
    expect(await subjectFor(https, 'localhost')).toBe('renewed')
    await grown(5)
    // A client with an open connection asks again on another one.
    await until(() => client.goaway === 0, 'GOAWAY')

    copyFileSync(certificates.file('localhost.key'), key)
    gateway.signal('SIGHUP')
    await until(() => gateway.logged('What was served before still is') === 1, 'the refusal')
    expect(gateway.stderr).toContain('now.key: the key does not belong to the certificate')
    expect(await subjectFor(https, 'localhost')).toBe('renewed')
    await grown(5)
    for (const each of records()) expectWithoutGaps(each)
    expect(streams.map(({ code }) => code)).toEqual(streams.map(() => undefined))
    socket.close()
    lines.kill()

    gateway.signal('SIGTERM')
    expect(await gateway.exited()).toBe(0)
    for (const stream of streams) expect(stream.text).toEndWith('\n\n')
    expect(streams.every(({ hasEnded, code }) => hasEnded && code === 0)).toBe(true)
  })

  test('of Kong are chosen by their server names, and changed without a restart', async () => {
    const { gateway, https } = await secure([...tlsFlags('localhost'), ...['--log-level', 'debug']])
    await using _ = gateway
    const send = async (method: string, path: string, body?: object) => {
      const response = await fetch(`${gateway.adminUrl}${path}`, {
        method,
        headers: { 'content-type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, body: text === '' ? {} : JSON.parse(text) }
    }
    const shows = (name: string, subject: string) =>
      until(async () => (await subjectFor(https, name)) === subject, `${subject} for ${name}`)
    const pem = (name: string) => ({
      cert: certificates.read(`${name}.crt`),
      key: certificates.read(`${name}.key`),
    })
    const a = await send('POST', '/certificates', {
      ...pem('a.test'),
      snis: ['A.test', '*.a.test'],
    })
    expect(a).toMatchObject({ status: 201, body: { key: '***' } })
    await shows('a.test', 'a.test')
    await shows('x.a.test', 'a.test')
    await shows('y.x.a.test', 'localhost')
    const b = await send('POST', '/certificates', pem('b.test'))
    for (const name of ['b.*', '*']) {
      await send('POST', '/snis', { name, certificate: { id: b.body.id } })
    }
    await shows('b.org', 'b.test')
    await shows('other.test', 'b.test')
    await shows('a.test', 'a.test')
    await using client = await Http2Client.connect(https.replace('127.0.0.1', 'localhost'))
    expect(client.subject).toBe('b.test')

    const foreign = { ...pem('a.test'), key: pem('b.test').key }
    expect(await send('PATCH', `/certificates/${a.body.id}`, foreign)).toMatchObject({
      status: 400,
      body: {
        fields: {
          '@entity': [
            'cannot serve the certificate of A.test: key: the key does not belong to the certificate',
          ],
        },
      },
    })
    expect((await send('DELETE', `/certificates/${a.body.id}`)).status).toBe(204)
    await shows('a.test', 'b.test')
    expect((await send('DELETE', '/snis/*')).status).toBe(204)
    await shows('a.test', 'localhost')
    expect(gateway.stdout + gateway.stderr).not.toContain('PRIVATE KEY')
  })

  test('of a declarative file are served, and refused by their server name', async () => {
    const path = certificates.file('kong.json')
    const entity = (cert: string, key: string) => ({
      cert: certificates.read(`${cert}.crt`),
      key: key.startsWith('{') ? key : certificates.read(`${key}.key`),
      snis: [{ name: `${cert}` }],
    })
    const write = (...entities: object[]) =>
      writeFileSync(path, JSON.stringify({ _format_version: '3.0', certificates: entities }))
    write(entity('a.test', '{vault://env/a-key}'))
    const { gateway } = await GatewayProcess.listening(
      ['--config', path, ...tlsFlags('localhost')],
      { A_KEY: certificates.read('a.test.key') },
    )
    await using _ = gateway
    expect(await subjectFor(gateway.httpsUrl, 'a.test')).toBe('a.test')
    write(entity('a.test', 'a.test'), entity('b.test', 'a.test'))
    gateway.signal('SIGHUP')
    await until(() => gateway.logged('What was served before still is') === 1, 'the refusal')
    expect(gateway.stderr).toContain(
      'kong.json: schema violation (cannot serve the certificate of b.test: key: the key does not',
    )
    write(entity('a.test', 'a.test'), entity('b.test', 'b.test'))
    gateway.signal('SIGHUP')
    await until(
      async () => (await subjectFor(gateway.httpsUrl, 'b.test')) === 'b.test',
      'the certificate of b.test',
    )
    expect(await subjectFor(gateway.httpsUrl, 'a.test')).toBe('a.test')
  })
})
