/**
 * Bun and Node hold TLS libraries of their own, whose functions must not be taken for those of the
 * system's OpenSSL that librdkafka and curl are compiled for. Tried on Node, too, where there is one.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const folder = mkdtempSync(join(tmpdir(), 'native-tls-'))
const certificate = join(folder, 'certificate.pem')
const key = join(folder, 'key.pem')
let server: Bun.TCPSocketListener<undefined>
let bytesReceived = 0
const tokenRequests: string[] = []
let tokenServer: ReturnType<typeof Bun.serve>

beforeAll(() => {
  const { exitCode, stderr } = Bun.spawnSync([
    ...['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1'],
    ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ...['-keyout', key, '-out', certificate],
  ])
  if (exitCode !== 0) throw new Error(`Cannot make a certificate: ${stderr}`)
  const tls = { key: Bun.file(key), cert: Bun.file(certificate) }
  server = Bun.listen<undefined>({
    hostname: '127.0.0.1',
    port: 0,
    tls,
    socket: {
      // Bytes that arrive here were decrypted. The answer is not Kafka's.
      data(socket, data) {
        bytesReceived += data.length
        socket.end('this is not a Kafka broker')
      },
    },
  })
  tokenServer = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls,
    async fetch(request) {
      tokenRequests.push(await request.text())
      return Response.json({ error: 'not today' }, { status: 401 })
    },
  })
})

afterAll(async () => {
  server.stop(true)
  await tokenServer.stop(true)
  rmSync(folder, { recursive: true })
})

/** Connects in a child process, and returns librdkafka's errors. */
async function connectIn(runtime: string, options: object): Promise<string> {
  const program = join(import.meta.dirname, 'programs', 'connect.cjs')
  const child = Bun.spawn([runtime, program, JSON.stringify(options)], {
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 30_000,
  })
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  expect({ exitCode: child.exitCode, signal: child.signalCode, errors }).toEqual({
    exitCode: 0,
    signal: null,
    errors: '',
  })
  return output
}

const node = Bun.which('node')
const runtimes = [process.execPath, ...(node ? [node] : [])]

for (const runtime of runtimes) {
  const name = runtime === node ? 'Node' : 'Bun'

  test(`TLS carries Kafka's protocol on ${name}`, async () => {
    bytesReceived = 0
    await connectIn(runtime, {
      'bootstrap.servers': `127.0.0.1:${server.port}`,
      'security.protocol': 'ssl',
      'ssl.ca.location': certificate,
    })
    expect(bytesReceived).toBeGreaterThan(0)
  }, 120_000)

  test(`A certificate of an unknown authority is refused on ${name}`, async () => {
    const output = await connectIn(runtime, {
      'bootstrap.servers': `127.0.0.1:${server.port}`,
      'security.protocol': 'ssl',
    })
    expect(output).toContain('certificate')
  }, 120_000)

  test(`OAUTHBEARER asks a token endpoint over TLS on ${name}`, async () => {
    tokenRequests.length = 0
    const output = await connectIn(runtime, {
      'bootstrap.servers': `127.0.0.1:${server.port}`,
      'security.protocol': 'sasl_ssl',
      'ssl.ca.location': certificate,
      'https.ca.location': certificate,
      'sasl.mechanisms': 'OAUTHBEARER',
      'sasl.oauthbearer.method': 'oidc',
      'sasl.oauthbearer.client.id': 'me',
      'sasl.oauthbearer.client.secret': 'secret',
      'sasl.oauthbearer.token.endpoint.url': `https://127.0.0.1:${tokenServer.port}/token`,
    })
    expect(tokenRequests[0]).toContain('grant_type=client_credentials')
    expect(output).toContain('401')
  }, 120_000)
}
