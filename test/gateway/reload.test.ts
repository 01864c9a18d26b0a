import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { lstatSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withDefaultPorts } from '../support/port.ts'
import { offsetsByPartition, range } from '../support/route.ts'
import { SseClient } from '../support/sse.ts'
import { until, within } from '../support/wait.ts'
import { BrokerProcess } from './broker-process.ts'
import { GatewayProcess } from './gateway-process.ts'

const STREAMS = 100
const RELOADS = 50

let folder = ''
let broker: BrokerProcess

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reload-'))
  broker = await BrokerProcess.start('reload')
})

afterAll(async () => {
  await broker[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

function plugin(rest = ''): string {
  const [host, port] = broker.address.split(':')
  return `{name: kafka-consume, config: {bootstrap_servers: [{host: ${host}, port: ${port}}], topics: [{name: reload}], mode: server-sent-events${rest}}}`
}

/** Two routes, of which `run` changes the second one's plugin. */
function document(run: number): string {
  return `
_format_version: "3.0"
routes:
- {name: stays, hosts: [stays.test], plugins: [${plugin()}]}
- {name: changes, hosts: [changes.test], plugins: [${plugin(`, cluster_name: c${run}`)}]}
`
}

async function send(url: string, method: string, body: object): Promise<Response> {
  const response = await within(
    fetch(url, {
      method,
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
    `${method} ${url}`,
  )
  return response
}

async function status(url: string, host: string): Promise<number> {
  const abort = new AbortController()
  const response = await within(fetch(url, { headers: { host }, signal: abort.signal }), url)
  abort.abort()
  return response.status
}

/** One after the other, with nothing missing and nothing twice. */
function expectWithoutGaps(client: SseClient): void {
  const found = Object.values(offsetsByPartition(client.records()))
  expect(found.length).toBeGreaterThan(0)
  for (const offsets of found) {
    const [first = 0] = offsets
    expect(offsets).toEqual(range(first, first + offsets.length))
  }
}

describe('a reload', () => {
  test('does not end streams of a route that did not change, 100 times', async () => {
    const path = join(folder, 'kong.yaml')
    writeFileSync(path, document(0))
    const { gateway, url } = await GatewayProcess.listening(['--config', path])
    await using _ = gateway
    const open = (host: string) => SseClient.open(`${url}/any`, { headers: { host } })
    const stays = await Promise.all(Array.from({ length: STREAMS }, () => open('stays.test')))
    const changes = await open('changes.test')
    await Promise.all(stays.map((client) => client.until(1)))
    const ended = new Set<SseClient>()
    for (const client of [...stays, changes]) void client.ended.then(() => ended.add(client))

    for (let run = 1; run <= RELOADS; run++) {
      writeFileSync(path, document(run))
      gateway.signal('SIGHUP')
      // The log tells ten of a kind one by one, and then how many more there were.
      await until(async () => {
        const plugins = await fetch(`${gateway.adminUrl}/plugins`)
        return (await plugins.text()).includes(`"cluster_name":"c${run}"`)
      }, `reload ${run}`)
      const created = await send(`${gateway.adminUrl}/routes`, 'POST', {
        name: `r${run}`,
        hosts: [`r${run}.test`],
      })
      expect(created.status).toBe(201)
    }
    await within(changes.ended, 'the stream of the changed route to end')
    expect(changes.text).toEndWith('\n\n')
    expect(changes.named('error')).toEqual([])

    const bad: Array<[content: string, expected: string]> = [
      ['routes: [', 'cannot be parsed'],
      [document(1).replace('stays.test', 'a b'), 'routes[0]'],
      [document(1).replace('{name: changes, hosts', '{name: changes, hots'), 'unknown field'],
    ]
    for (const [index, [content, expected]] of bad.entries()) {
      writeFileSync(path, content)
      gateway.signal('SIGHUP')
      await until(() => gateway.logged('What was served before still is') > index, expected)
      expect(gateway.stderr).toContain(expected)
      const answer = await within(
        fetch(`${gateway.adminUrl}/config`, {
          method: 'POST',
          body: content,
          headers: { 'content-type': 'application/yaml' },
        }),
        'POST /config',
      )
      expect(answer.status).toBe(400)
      expect(await answer.json()).toMatchObject({ code: 14 })
    }
    rmSync(path)
    gateway.signal('SIGHUP')
    await until(() => gateway.logged('Cannot read') === 1, 'a file that is gone')
    expect(await status(`${url}/`, 'changes.test')).toBe(200)

    const seen = stays.map((client) => client.records().length)
    await Promise.all(stays.map((client, index) => client.until((seen[index] ?? 0) + 20)))
    expect([...ended]).toEqual([changes])
    for (const client of stays) {
      expectWithoutGaps(client)
      expect(client.named('gap')).toEqual([])
    }
    gateway.signal('SIGTERM')
    expect(await gateway.exited()).toBe(0)
  }, 90_000)

  test('a configuration posted to the Admin API goes on with the streams it leaves as they are', async () => {
    const path = join(folder, 'posted.yaml')
    writeFileSync(path, document(0))
    const { gateway, url } = await GatewayProcess.listening(['--config', path])
    await using _ = gateway
    await using stays = await SseClient.open(`${url}/`, { headers: { host: 'stays.test' } })
    const post = (run: number) =>
      within(
        fetch(`${gateway.adminUrl}/config`, {
          method: 'POST',
          body: document(run),
          headers: { 'content-type': 'application/yaml' },
        }),
        'POST /config',
      )
    for (let run = 0; run < 10; run++) expect((await post(run)).status).toBe(201)
    await stays.until(5)
    expectWithoutGaps(stays)
    expect(readFileSync(path, 'utf8')).toBe(document(0))
  }, 120_000)
})

test('the configuration of the Admin API is downloaded, and served again from the file and by POST', async () => {
  const [host = ''] = broker.address.split(':')
  const environment = { KAFKA_HOST: host }
  const source = document(0).replaceAll(`host: ${host}`, 'host: "{vault://env/kafka-host}"')
  const start = join(folder, 'source.yaml')
  const copy = join(folder, 'copy.json')
  writeFileSync(start, source)
  for (const path of [start, copy]) {
    const { gateway, url } = await GatewayProcess.listening(['--config', path], environment)
    await using _ = gateway
    const config = await (await within(fetch(`${gateway.adminUrl}/config`), 'GET /config')).text()
    expect(config).toContain('{vault://env/kafka-host}')
    if (path === start) writeFileSync(copy, config)
    else expect(JSON.parse(config)).toEqual(JSON.parse(readFileSync(copy, 'utf8')))
    await using stays = await SseClient.open(`${url}/`, { headers: { host: 'stays.test' } })
    await stays.until(1)
    const posted = await send(`${gateway.adminUrl}/config`, 'POST', JSON.parse(config) as object)
    expect([posted.status, await posted.text()]).toEqual([201, expect.any(String)])
    await stays.until(stays.records().length + 5)
  }
}, 120_000)

describe('a start of the gateway', () => {
  test('with a file has neither the demo’s routes nor a broker of its own', async () => {
    const path = join(folder, 'start.yaml')
    writeFileSync(path, document(0))
    const { gateway, url } = await GatewayProcess.listening(['--config', path])
    await using _ = gateway
    expect(gateway.stdout).toContain(`2 of ${path}`)
    expect(gateway.stdout).not.toContain('A demo')
    expect(await status(`${url}/messages`, 'localhost')).toBe(404)
    expect(await status(`${url}/messages`, 'stays.test')).toBe(200)
    expect(await status(`${url}/healthz`, 'stays.test')).toBe(200)
    await until(async () => (await status(`${url}/readyz`, 'any')) === 200, 'readiness')
  })

  test('with an invalid file ends with one line that gives the reason, and exit code 1', async () => {
    const path = join(folder, 'wrong.yaml')
    writeFileSync(path, `${document(0)}plugins: [{name: acl}]\n`)
    await using gateway = GatewayProcess.spawn(['--config', path, '--port', '0'])
    expect(await gateway.exited()).toBe(1)
    expect(gateway.stderr.trim().split('\n')).toHaveLength(1)
    expect(gateway.stderr).toContain(
      'plugins[0]: plugin "acl" is not served by this gateway, remove it or pass --ignore-unknown',
    )
    const flags = ['--config', path, '--ignore-unknown']
    const { gateway: lenient } = await GatewayProcess.listening(flags)
    await using _ = lenient
    expect(lenient.stderr).toContain('plugins[0]: plugin "acl" is not served, skipped')
  })

  test('with a file that does not exist ends with one line that gives the reason, and exit code 2', async () => {
    await using gateway = GatewayProcess.spawn(['--config', join(folder, 'none.yaml')])
    expect(await gateway.exited()).toBe(2)
    expect(gateway.stderr).toStartWith('Cannot start: --config (KONG_DECLARATIVE_CONFIG): a file ')
  })
})

describe('the Admin API', () => {
  test('switched off does not listen, and the banner does not name it', async () => {
    const { gateway } = await GatewayProcess.listening(['--admin-port', 'off'])
    await using _ = gateway
    expect(gateway.stdout).not.toContain('/routes')
  })

  test('on a port that is taken: the error names the flag, and a demo takes another port', async () => {
    using other = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
    await using gateway = GatewayProcess.spawn(['--port', '0', '--admin-port', String(other.port)])
    expect(await gateway.exited()).toBe(1)
    expect(gateway.stderr).toContain(
      `Cannot listen on port ${other.port}: another process does, choose another with --admin-port`,
    )
    await withDefaultPorts(async () => {
      await using one = GatewayProcess.spawn(['--port', '0'])
      await one.url()
      await using two = GatewayProcess.spawn(['--port', '0'])
      await two.url()
      for (const demo of [one, two]) {
        expect((await within(fetch(`${demo.adminUrl}/status`), 'the status')).status).toBe(200)
      }
      expect(one.adminUrl).not.toBe(two.adminUrl)
    })
  }, 240_000)

  test('writes its state to a new file, and does not follow a link in its place', async () => {
    const path = join(folder, 'linked.json')
    const victim = join(folder, 'victim')
    writeFileSync(victim, 'as it was', { mode: 0o644 })
    const { gateway } = await GatewayProcess.listening(['--state', path])
    await using _ = gateway
    symlinkSync(victim, `${path}.${gateway.pid}.new`)
    const made = await send(`${gateway.adminUrl}/routes`, 'POST', { name: 'r', hosts: ['r.test'] })
    expect(made.status).toBe(201)
    expect(readFileSync(victim, 'utf8')).toBe('as it was')
    const state = lstatSync(path)
    expect([(state.mode & 0o777).toString(8), state.isFile()]).toEqual(['600', true])
    expect(readFileSync(path, 'utf8')).toContain('r.test')
  }, 120_000)

  test('shows no variable of the environment', async () => {
    const environment = { PLANTED: 'planted-in-the-environment', KAFKA_HOST: 'localhost' }
    const { gateway, url } = await GatewayProcess.listening([], environment)
    await using _ = gateway
    const reference = '{vault://env/planted}'
    const servers = [{ host: 'localhost', port: 1 }]
    const topics = [{ name: 't' }]
    const texts: string[] = []
    for (const config of [
      { bootstrap_servers: servers, topics, cluster_name: reference },
      { bootstrap_servers: servers, topics: [{ name: reference }] },
      { bootstrap_servers: [{ host: reference, port: 1 }], topics },
    ]) {
      const plugin = { name: 'kafka-consume', config }
      await send(`${gateway.adminUrl}/routes/`, 'POST', { name: 'r', hosts: ['r.test'] })
      const made = await send(`${gateway.adminUrl}/routes/r/plugins`, 'POST', plugin)
      expect(made.status).toBe(400)
      const document = { _format_version: '3.0', plugins: [plugin] }
      const loaded = await send(`${gateway.adminUrl}/config`, 'POST', document)
      expect(loaded.status).toBe(400)
      texts.push(await made.text(), await loaded.text())
    }
    for (const path of ['/status', '/metrics']) texts.push(await (await fetch(url + path)).text())
    expect(texts.join()).toContain('this field is shown')
    expect(texts.join() + gateway.stdout + gateway.stderr).not.toContain('planted-in')
  }, 120_000)

  test('keeps its changes over a restart with --state, and serves them beside the demo', async () => {
    const path = join(folder, 'state.json')
    for (const run of [1, 2]) {
      const { gateway, url } = await GatewayProcess.listening(['--state', path])
      await using _ = gateway
      if (run === 1) {
        const route = { name: 'kept', hosts: ['kept.test'] }
        expect((await send(`${gateway.adminUrl}/routes`, 'POST', route)).status).toBe(201)
        const [host = '', port] = broker.address.split(':')
        const config = {
          bootstrap_servers: [{ host, port: Number(port) }],
          topics: [{ name: 'reload' }],
          mode: 'server-sent-events',
        }
        const added = await send(`${gateway.adminUrl}/routes/kept/plugins`, 'POST', {
          name: 'kafka-consume',
          config,
        })
        expect(added.status).toBe(201)
      }
      await using client = await SseClient.open(`${url}/x`, { headers: { host: 'kept.test' } })
      await client.until(1)
      expect(client.records()[0]?.topic).toBe('reload')
      await using demo = await SseClient.open(`${url}/stream`)
      await demo.until(1)
      expect(demo.records()[0]?.topic).toBe('kong-test')
      gateway.signal('SIGTERM')
      expect(await gateway.exited()).toBe(0)
    }
    const downloaded = JSON.parse(readFileSync(path, 'utf8')) as { routes: unknown[] }
    expect(downloaded.routes).toHaveLength(1)
  }, 120_000)
})
