import { describe, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { gatewayHelp } from '../../src/gateway/settings/gateway-settings.ts'
import { TestKafka } from '../support/kafka.ts'
import { groupOf } from '../support/metrics.ts'
import { freePort } from '../support/port.ts'
import type { KongBody } from '../support/route.ts'
import { SseClient } from '../support/sse.ts'
import { sleep, until, within } from '../support/wait.ts'
import { BrokerProcess } from './broker-process.ts'
import { GatewayProcess } from './gateway-process.ts'

const ANY_PORTS = ['--port', '0', '--host', '127.0.0.1', '--admin-port', '0']

async function get(url: string): Promise<Response> {
  return within(fetch(url, { signal: AbortSignal.timeout(20_000) }), url, 20_000)
}

/** The text of a stream consists of whole frames: the last one ends with its empty line. */
function expectWholeFrames(client: SseClient): void {
  expect(client.text).toEndWith('\n\n')
}

describe('the demo', () => {
  test('prints its addresses, and serves a shop’s events by GET and SSE', async () => {
    const { gateway, url } = await GatewayProcess.listening()
    await using _ = gateway
    expect(gateway.stdout).toContain('in memory')
    expect(gateway.stdout).toContain('kong-test')
    const address = url.replace('http://', '')
    for (const line of [
      `curl ${address}/messages`,
      `curl -N ${address}/stream`,
      `curl -N '${address}/stream?start=earliest'`,
      `curl ${address}/readyz`,
      '--brokers localhost:9092',
    ]) {
      expect(gateway.stdout).toContain(line)
    }

    const response = await get(`${url}/messages`)
    expect(response.status).toBe(200)
    const partitions = Object.values(
      ((await response.json()) as KongBody)['kong-test']?.partitions ?? {},
    )
    expect(partitions).toHaveLength(4)
    const values = partitions.flatMap(({ records }) => records.map(({ value }) => String(value)))
    expect(values.length).toBeGreaterThan(0)
    for (const value of values) expect(JSON.parse(value)).toHaveProperty('customer')

    await using live = await SseClient.open(`${url}/stream`)
    await live.until(2)
    await using catchUp = await SseClient.open(`${url}/stream?start=earliest`)
    await catchUp.until(1_000)

    await until(async () => (await get(`${url}/readyz`)).status === 200, 'readiness')
    expect((await get(`${url}/healthz`)).status).toBe(200)
    expect((await get(`${url}/nowhere`)).status).toBe(404)
    expect(gateway.stderr).not.toMatch(/ (WARNING|ERROR) /)
  }, 120_000)
})

describe('the folder that a gateway is started from', () => {
  test('may have any settings of Bun and TypeScript, which have no effect on the gateway', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'elsewhere-'))
    writeFileSync(
      join(folder, 'tsconfig.json'),
      '{"compilerOptions": {"jsx": "react", "jsxFactory": "h", "jsxImportSource": "preact"}}',
    )
    await using gateway = GatewayProcess.spawn(ANY_PORTS, {}, folder)
    const url = await gateway.url()
    for (const page of ['/', '/docs', '/openapi.json']) {
      expect((await get(`${url}${page}`)).status).toBe(200)
    }
    rmSync(folder, { recursive: true })
  }, 120_000)
})

describe('SIGHUP', () => {
  test('is ignored and logged when there is no file to read again', async () => {
    const { gateway, url } = await GatewayProcess.listening()
    await using _ = gateway
    await using stream = await SseClient.open(`${url}/stream?start=earliest`)
    await stream.until(1)
    for (const times of [1, 2]) {
      gateway.signal('SIGHUP')
      await until(() => gateway.logged('SIGHUP: ignored') === times, 'the log line')
    }
    const seen = stream.records().length
    await stream.until(seen + 1)
    expect((await get(`${url}/healthz`)).status).toBe(200)
    gateway.signal('SIGTERM')
    expect(await gateway.exited()).toBe(0)
  }, 120_000)

  test('of a terminal that was closed ends the gateway that was started in it', async () => {
    let said = ''
    const child = Bun.spawn([process.execPath, 'src/server.ts', ...ANY_PORTS], {
      cwd: join(import.meta.dirname, '../..'),
      terminal: {
        data: (_, bytes) => {
          said += new TextDecoder().decode(bytes)
        },
      },
    })
    try {
      await until(() => said.includes('http://'), 'the banner')
      child.kill('SIGHUP')
      await until(() => said.includes('SIGHUP: ignored'), 'the signal to be ignored')
      child.terminal?.close()
      expect(await within(child.exited, 'the gateway to exit')).toBe(0)
    } finally {
      child.kill('SIGKILL')
    }
  }, 120_000)
})

describe('a gateway process that ends at once', () => {
  test.each(['--help', '-h'])('%s', async (flag) => {
    await using gateway = GatewayProcess.spawn([flag])
    expect(await gateway.exited()).toBe(0)
    expect(gateway.stdout.trim()).toBe(gatewayHelp())
    expect(gateway.stderr).toBe('')
  })

  test('with --version prints the version', async () => {
    await using gateway = GatewayProcess.spawn(['--version'])
    expect(await gateway.exited()).toBe(0)
    expect(gateway.stdout).toBe(`${packageJson.version}\n`)
  })

  test.each<[string, string[], Record<string, string>]>([
    ['a wrong flag', ['--port', '65536'], {}],
    ['a wrong variable', [], { PORT: '65536' }],
  ])('with %s: one line, exit code 2', async (_, flags, environment) => {
    await using gateway = GatewayProcess.spawn(flags, environment)
    expect(await gateway.exited()).toBe(2)
    expect(gateway.stdout).toBe('')
    expect(gateway.stderr).toBe(
      'Cannot start: --port (PORT): a whole number from 0 to 65535 is required, not "65536"\n',
    )
  })

  test('with a port that is taken prints what to do, with exit code 1', async () => {
    using other = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
    const flags = ['--host', '127.0.0.1', '--port', String(other.port)]
    await using gateway = GatewayProcess.spawn(flags)
    expect(await gateway.exited()).toBe(1)
    expect(gateway.stdout).toBe('')
    expect(gateway.stderr.trim().split('\n')).toHaveLength(1)
    expect(gateway.stderr).toContain(
      `Cannot listen on port ${other.port}: another process does, choose another with --port`,
    )
  })

  test('with brokers but no topics names the topics of the cluster, in order and not all', async () => {
    const kafka = await TestKafka.real()
    const { bootstrapServers: brokers } = kafka
    await kafka.createTopic()
    await kafka.close()
    await using gateway = GatewayProcess.spawn(['--brokers', brokers])
    expect(await gateway.exited()).toBe(2)
    const [, list = ''] = /has (.*?)(?:, and \d+ more)?\n$/.exec(gateway.stderr) ?? []
    const names = list.split(', ')
    expect(gateway.stderr).toStartWith('Cannot start: --topics (KAFKA_TOPICS): required with ')
    expect(gateway.stderr).toContain(`. ${brokers} has `)
    expect(names.length).toBeWithin(1, 21)
    expect(names).toEqual([...names].sort())
    for (const name of names) expect(name).toMatch(/^(?!__)[\w.-]+$/)
  }, 120_000)

  test('with brokers that do not answer and no topics says both', async () => {
    await using gateway = GatewayProcess.spawn(['--brokers', `127.0.0.1:${await freePort()}`])
    expect(await gateway.exited()).toBe(2)
    expect(gateway.stderr).toContain('--topics (KAFKA_TOPICS): required with --brokers')
    expect(gateway.stderr).toContain('Cannot read from Kafka: all brokers are down')
  }, 120_000)

  test('with a state file in a folder that does not exist names the folder, exit code 1', async () => {
    const folder = join(tmpdir(), `absent-${process.pid}`)
    await using gateway = GatewayProcess.spawn(['--state', join(folder, 'state.json')])
    expect(await gateway.exited()).toBe(1)
    expect(gateway.stdout).toBe('')
    expect(gateway.stderr).toContain(`the folder ${folder} does not exist`)
    expect(gateway.stderr).toContain('--state')
  })

  test('with a folder as state file says so, exit code 1', async () => {
    await using gateway = GatewayProcess.spawn(['--state', tmpdir()])
    expect(await gateway.exited()).toBe(1)
    expect(gateway.stderr).toContain(`Cannot keep the state in ${tmpdir()}: it is a folder`)
  })

  test('before the set-up names the command to run, exit code 1', () => {
    const checkout = mkdtempSync(join(tmpdir(), 'checkout-'))
    try {
      for (const name of [
        'src',
        'kafka',
        'native',
        'package.json',
        'bunfig.toml',
        'tsconfig.json',
      ]) {
        cpSync(join(import.meta.dirname, '../..', name), join(checkout, name), { recursive: true })
      }
      const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, 'src/server.ts'], {
        cwd: checkout,
      })
      expect(exitCode).toBe(1)
      expect(stdout.toString()).toBe('')
      expect(stderr.toString()).toMatch(
        /^Cannot start: .* is not installed\. Run `bun run setup`.*\n$/,
      )
    } finally {
      rmSync(checkout, { recursive: true })
    }
  })

  test.each(['192.0.2.1', '999.1.1.1', 'nowhere.invalid'])(
    'with %s, which is not an address of this machine, has exit code 1',
    async (host) => {
      await using gateway = GatewayProcess.spawn(['--host', host, '--port', '0'])
      expect(await gateway.exited()).toBe(1)
      expect(gateway.stderr).toContain(
        `Cannot listen on ${host}: it is not an address of this machine, choose another with --host`,
      )
    },
  )
})

describe('a gateway whose broker has no address', () => {
  test('logs within seconds that the host name does not resolve, once', async () => {
    const { gateway, url } = await GatewayProcess.listening([
      '--brokers',
      'nowhere.invalid',
      '--topics',
      'orders',
    ])
    await using _ = gateway
    const said = 'Cannot read from Kafka: the host name of a broker does not resolve'
    await until(() => gateway.logged(`gateway: ${said}`) === 1, 'the log line', 15_000)
    expect(gateway.stderr).toContain("Failed to resolve 'nowhere.invalid:9092'")
    const readiness = await get(`${url}/readyz`)
    expect(readiness.status).toBe(503)
    expect(await readiness.text()).toContain(said)
    expect(gateway.logged('all brokers are down')).toBe(0)
  }, 120_000)
})

describe('the end of a gateway process', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s ends streams after a whole event, and exits with 0',
    async (signal) => {
      const { gateway, url } = await GatewayProcess.listening()
      await using _ = gateway
      const clients = await Promise.all([
        SseClient.open(`${url}/stream`),
        SseClient.open(`${url}/stream?start=earliest`),
      ])
      await Promise.all(clients.map((client) => client.until(1)))
      // A member that has joined has a group to leave.
      await until(async () => (await get(`${url}/readyz`)).status === 200, 'readiness')
      gateway.signal(signal)
      expect(await gateway.exited()).toBe(0)
      for (const client of clients) {
        await within(client.ended, 'a stream to end')
        expectWholeFrames(client)
        expect(client.named('error')).toEqual([])
      }
      expect(gateway.logged(`${signal}: ending`)).toBe(1)
      expect(gateway.stderr).not.toContain('ERROR')
    },
    120_000,
  )

  test('delivered records are committed and the group is left: the next gateway goes on', async () => {
    const kafka = await TestKafka.real()
    const topic = await kafka.createTopic()
    const values = Array.from({ length: 100 }, (_, index) => ({ value: String(index) }))
    await kafka.produce(topic, values)

    const seen = new Set<string>()
    for (let run = 0; run < 2; run++) {
      const { gateway, url } = await GatewayProcess.listening([
        '--brokers',
        kafka.bootstrapServers,
        '--topics',
        topic,
      ])
      await using _ = gateway
      await until(async () => (await get(`${url}/readyz`)).status === 200, 'readiness')
      const body = (await (await get(`${url}/messages?max_records=40`)).json()) as KongBody
      const { partitions = {} } = body[topic] ?? {}
      const records = Object.values(partitions).flatMap((found) => found.records)
      expect(records).toHaveLength(40)
      for (const { value } of records) {
        expect(seen).not.toContain(String(value))
        seen.add(String(value))
      }
      const group = await groupOf(url)
      expect(await kafka.memberIds(group)).toHaveLength(1)
      gateway.signal('SIGTERM')
      expect(await gateway.exited()).toBe(0)
      // Kafka would give up a member that did not leave some 10 s later.
      expect(await kafka.memberIds(group)).toEqual([])
    }
    await kafka.close()
  }, 90_000)

  test('no connection is accepted once the gateway has been told to end', async () => {
    const { gateway, url } = await GatewayProcess.listening()
    await using _ = gateway
    gateway.signal('SIGTERM')
    await until(() => gateway.logged('ending') === 1, 'the signal to be seen')
    await expect(fetch(`${url}/healthz`, { keepalive: false })).rejects.toThrow()
    expect(await gateway.exited()).toBe(0)
  })

  test('a GET that waits for records is answered before the process ends', async () => {
    const { gateway, url } = await GatewayProcess.listening()
    await using _ = gateway
    const answer = get(`${url}/messages?timeout=60000&max_records=10000`)
    await until(async () => (await get(`${url}/readyz`)).status === 200, 'readiness')
    gateway.signal('SIGTERM')
    expect([200, 503]).toContain((await answer).status)
    expect(await gateway.exited()).toBe(0)
  }, 120_000)

  test.each([1, 2])(
    '%d signals end it although Kafka does not answer any more',
    async (signals) => {
      await using broker = await BrokerProcess.start('frozen')
      const flags = ['--brokers', broker.address, '--topics', 'frozen']
      const { gateway, url } = await GatewayProcess.listening(flags)
      await using _ = gateway
      await until(async () => (await get(`${url}/readyz`)).status === 200, 'readiness')
      await using stream = await SseClient.open(`${url}/stream?start=earliest`)
      await stream.until(1)
      broker.freeze()
      gateway.signal('SIGTERM')
      if (signals === 2) {
        // Signals within half a second count as one, as a terminal's Ctrl-C comes twice.
        await sleep(600)
        gateway.signal('SIGTERM')
        // Well before the 9.5 s after which it gives up by itself.
        expect(await gateway.exited(5_000)).toBe(1)
        expect(gateway.logged('again: exiting at once')).toBe(1)
      } else {
        await gateway.exited()
      }
      await within(stream.ended, 'the stream to end').catch(() => undefined)
    },
    120_000,
  )

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s ends a gateway that `bun run server` started',
    async (signal) => {
      await using gateway = GatewayProcess.spawnScript(ANY_PORTS)
      await gateway.url()
      gateway.signal(signal)
      expect(await gateway.exited()).toBe(0)
      expect(gateway.logged('Ended')).toBe(1)
    },
    120_000,
  )

  test('Ctrl-C at `bun run server`, which signals the server twice, ends it once', async () => {
    await using gateway = GatewayProcess.spawnScript(ANY_PORTS)
    await gateway.url()
    gateway.interrupt()
    expect(await gateway.exited()).toBe(0)
    expect(gateway.logged('ending')).toBe(1)
    expect(gateway.logged('Ended')).toBe(1)
  }, 120_000)
})
