/** Limits of a gateway that serves by several threads: clients reach any of them, and all count as one. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { until, within } from '../support/wait.ts'

/** Connections that all reach one of two threads by chance once in 2^23 runs. */
const CONNECTIONS = 24
/** Bodies of 4 MiB: more than 64 MiB in all. A thread gets more than 16 of them once in some 1,000 runs. */
const BODY_BYTES = 4 * 1024 * 1024
const BODIES = 18

let kafka: TestKafka
const folder = mkdtempSync(join(tmpdir(), 'threads-limits-'))

beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await kafka?.close()
})

describe('failed logins of basic-auth', () => {
  test('are counted for all threads: a user name waits on every connection', async () => {
    const topic = await kafka.createTopic(1)
    const [host, port] = kafka.bootstrapServers.split(':')
    const config = join(folder, 'kong.yaml')
    writeFileSync(
      config,
      `
_format_version: "3.0"
routes:
  - name: orders
    paths: [/orders]
    plugins:
      - name: basic-auth
        config: {brute_force_protection: {strategy: memory}}
      - name: kafka-consume
        config:
          bootstrap_servers: [{host: ${host}, port: ${port}}]
          topics: [{name: ${topic}}]
          mode: http-get
          auto_offset_reset: earliest
consumers:
  - username: ann
    basicauth_credentials: [{username: ann, password: right}]
`,
    )
    const { gateway, url } = await GatewayProcess.listening([
      ...['--config', config, '--workers', '2'],
    ])
    await using _ = gateway
    const login = async (password: string) => {
      const authorization = `Basic ${btoa(`ann:${password}`)}`
      const { status } = await fetch(`${url}/orders?start=earliest&timeout=0`, {
        headers: { authorization, connection: 'close' },
      })
      return status
    }
    expect(await login('right')).toBe(200)
    // The first failures are forgotten after some seconds, in which a busy machine may get no further.
    // The wait of a minute after four refusals is longer than the rest of this test.
    let refused = 0
    await until(
      async () => {
        const status = await login('wrong')
        expect([401, 429]).toContain(status)
        refused = status === 429 ? refused + 1 : 0
        return refused === 4
      },
      () => `four refusals; there were ${refused}`,
    )
    const statuses = new Set<number>()
    for (let i = 0; i < CONNECTIONS; i++) statuses.add(await login('right'))
    expect([...statuses]).toEqual([429])
  })
})

describe('bodies of requests that arrive at a time', () => {
  test('are limited to 64 MiB in all threads together', async () => {
    const topic = await kafka.createTopic(1)
    const { gateway, url } = await GatewayProcess.listening([
      ...['--brokers', kafka.bootstrapServers, '--topics', topic],
      ...['--produce', '--workers', '2'],
    ])
    await using _ = gateway
    const { hostname, port } = new URL(url)
    const head = `POST /produce HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`
    // The last byte is not sent: no body is whole.
    const sent = Buffer.concat([Buffer.from(head), Buffer.alloc(BODY_BYTES - 1, 'x')])
    const { promise: answer, resolve } = Promise.withResolvers<string>()
    const open = () => {
      let written = 0
      const write = (socket: Bun.Socket) => {
        while (written < sent.length) {
          const taken = socket.write(sent.subarray(written))
          if (taken <= 0) return
          written += taken
        }
      }
      return Bun.connect({
        hostname,
        port: Number(port),
        socket: { open: write, drain: write, data: (__, data) => resolve(data.toString()) },
      })
    }
    // Half of them, in one thread, are less than the limit.
    const sockets = await Promise.all(Array.from({ length: BODIES }, open))
    expect(await within(answer, 'an answer', 30_000)).toContain('503')
    for (const socket of sockets) socket.end()
  })
})
