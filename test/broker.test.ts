/** `bun run kafka`, and the brokers below it. */
import { afterAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LocalBroker, startBroker } from '../tools/kafka/broker.ts'
import { askForBrokers } from '../tools/kafka/metadata.ts'
import { identify, isAlive } from '../tools/kafka/process.ts'
import { tools } from '../tools/kafka/tools.ts'
import { until } from './support/wait.ts'

const cli = join(import.meta.dirname, '..', 'tools', 'kafka', 'cli.ts')
const folder = mkdtempSync(join(tmpdir(), 'broker-test-'))
const states = join(folder, 'hono-kafka-consume', 'kafka')

afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Result {
  exitCode: number
  output: string
  errors: string
}

async function kafka(args: string[], input = ''): Promise<Result> {
  const child = Bun.spawn([process.execPath, cli, ...args], {
    env: { ...process.env, XDG_STATE_HOME: folder },
    stdin: new Blob([input]),
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 120_000,
  })
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { exitCode: await child.exited, output, errors: errors.trim() }
}

describe('the command line of `bun run kafka`', () => {
  for (const args of [[], ['--help'], ['help'], ['start', '--help']]) {
    test(`kafka ${args.join(' ')} shows the commands`, async () => {
      const { exitCode, output } = await kafka(args)
      expect(exitCode).toBe(0)
      for (const word of ['start', 'stop', 'status', 'logs', 'tool', '--brokers', '--name']) {
        expect(output).toContain(word)
      }
    })
  }

  const refused: [args: string, error: string][] = [
    ['begin', 'Cannot run kafka begin: unknown command; it knows start, stop, status, logs, tool'],
    ['start --broker 3', 'unknown option --broker; it knows --brokers, --port, --data, --name'],
    ['stop --port 1', 'Cannot run kafka stop: unknown option --port; it knows --name'],
    ['--name some', 'Cannot run kafka --name: a command is missing; it knows start, stop, status'],
    ['--name some begin', 'Cannot run kafka begin: unknown command; it knows start, stop'],
    ['start now', 'Cannot run kafka start: unexpected argument "now"'],
    ['start --port', 'Cannot run kafka start: --port needs a value'],
    ['start --java=yes', 'Cannot run kafka start: --java takes no value'],
    ['start --java --docker', 'Cannot run kafka start: choose one of --docker and --java'],
    ['start --brokers 2', 'Cannot start 2 brokers: allowed are 1 and 3'],
    ['start --port 70000', 'Cannot use port "70000": allowed are 1 to 65533'],
    ['start --port x', 'Cannot use port "x": allowed are 1 to 65533'],
    ['status --name ../x', 'Cannot use the name "../x": allowed are a-z, 0-9, - and _'],
    [
      'tool kafka-nothing',
      'Cannot run kafka tool kafka-nothing: unknown tool; it knows kafka-acls',
    ],
  ]
  for (const [args, error] of refused) {
    test(`kafka ${args} is refused`, async () => {
      const result = await kafka(args.split(' '))
      expect(result).toEqual({ exitCode: 2, output: '', errors: expect.stringContaining(error) })
    })
  }

  test('kafka tool lists the tools', async () => {
    const { exitCode, output } = await kafka(['tool'])
    expect(exitCode).toBe(0)
    expect(output.trim().split('\n')).toEqual(Object.keys(tools))
  })
})

describe('a broker name under which nothing runs', () => {
  test('kafka status reports that it is not running, with exit code 1', async () => {
    const { exitCode, output } = await kafka(['status', '--name', 'nobody'])
    expect({ exitCode, output }).toEqual({
      exitCode: 1,
      output: 'Kafka "nobody" is not running\n',
    })
  })

  test('kafka stop reports that it is not running, with exit code 0', async () => {
    const { exitCode, output } = await kafka(['stop', '--name', 'nobody'])
    expect({ exitCode, output }).toEqual({
      exitCode: 0,
      output: 'Kafka "nobody" is not running\n',
    })
  })

  test('kafka tool says how to start it, with exit code 1', async () => {
    const args = ['--name', 'nobody', 'tool', 'kafka-topics', '--list']
    const { exitCode, errors } = await kafka(args)
    expect({ exitCode, errors }).toEqual({
      exitCode: 1,
      errors:
        'Cannot run kafka tool kafka-topics: Kafka "nobody" is not running; run bun run kafka --name nobody start first, or name another by --bootstrap-server',
    })
  })

  test('kafka logs reports that it is not running, with exit code 1', async () => {
    const { exitCode, errors } = await kafka(['logs', '--name', 'nobody'])
    expect(exitCode).toBe(1)
    expect(errors).toStartWith('Cannot show logs: Kafka "nobody" is not running')
  })

  test('a process that was given the id of a dead broker is left alone', async () => {
    const other = Bun.spawn(['sleep', '60'])
    try {
      writeState('stale', { nodes: [node({ pid: other.pid, started: 'long ago' })] })
      expect((await kafka(['status', '--name', 'stale'])).exitCode).toBe(1)
      writeState('stale', { nodes: [node({ pid: other.pid, started: 'long ago' })] })
      expect((await kafka(['stop', '--name', 'stale'])).exitCode).toBe(0)
      expect(isAlive(identify(other.pid))).toBeTrue()
      expect(existsSync(join(states, 'stale', 'state.json'))).toBeFalse()
    } finally {
      other.kill('SIGKILL')
    }
  })

  test('the command that removes temporary data names the cluster that has them', async () => {
    const other = Bun.spawn(['sleep', '60'])
    try {
      writeState('named', { nodes: [node(identify(other.pid))], temporary: true })
      const { output } = await kafka(['status', '--name', 'named'])
      expect(output).toContain('data: temporary, removed by `bun run kafka --name named stop`\n')
    } finally {
      other.kill('SIGKILL')
    }
  })

  test('kafka start names a port that is taken', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    try {
      const { exitCode, errors } = await kafka(['start', '--name', 'taken', '--port', `${port}`])
      expect(exitCode).toBe(1)
      expect(errors).toStartWith(`Cannot start Kafka: port ${port} is in use; choose another`)
      expect((await kafka(['status', '--name', 'taken'])).exitCode).toBe(1)
    } finally {
      server.close()
    }
  })

  test('kafka start names a data folder that it cannot use', async () => {
    const data = join(folder, 'file')
    writeFileSync(data, '')
    for (const [path, state] of [
      [data, 'is not a folder'],
      [join(data, 'below'), 'cannot be made: '],
    ] as const) {
      const args = ['--name', 'nowhere', '--port', '0', '--data', path]
      const { exitCode, errors } = await kafka(['start', ...args])
      expect({ exitCode, errors }).toEqual({
        exitCode: 1,
        errors: expect.stringContaining(`Cannot start Kafka: the data folder ${path} ${state}`),
      })
      expect(errors).toEndWith('; choose another by --data')
    }
  })

  test('kafka start refuses to run three brokers on the data of one', async () => {
    const data = join(folder, 'one')
    mkdirSync(join(data, 'broker-1'), { recursive: true })
    const args = ['--name', 'grown', '--port', '0', '--brokers', '3', '--data', data]
    const { exitCode, errors } = await kafka(['start', ...args])
    expect(exitCode).toBe(1)
    expect(errors).toStartWith(`Cannot start 3 broker(s) on ${data}: it holds the data of 1`)
  })
})

test('records in a data folder outlive stop and start', async () => {
  const name = ['--name', 'kept']
  const start = ['start', ...name, '--port', '0', '--data', join(folder, 'kept')]
  const offsets = ['tool', ...name, 'kafka-get-offsets', '--topic', 'kept']
  // A killed test run would leave these brokers behind.
  writeState('test-leftover', { owner: { pid: 1, started: 'long ago' } })
  try {
    const first = await kafka(start)
    expect(first.errors).not.toContain('Cannot')
    expect(first.output).toMatch(
      /^Apache Kafka 4\.\d+\.\d+ is ready after [\d.]+ s: localhost:\d+\n/,
    )
    expect(existsSync(join(states, 'test-leftover'))).toBeFalse()

    const again = await kafka(start)
    expect(again.exitCode).toBe(0)
    expect(again.output).toContain('is running already: localhost:')
    expect(again.output).not.toContain('Without effect')
    const other = await kafka([...name, 'start', '--brokers', '3', '--port', '1', '--data', folder])
    expect(other.output).toContain('\nWithout effect: --brokers, --port, --data; run bun run kafka')
    expect((await kafka(['status', ...name])).exitCode).toBe(0)

    const unknown = await kafka(offsets)
    expect(unknown.output + unknown.errors).toContain('Could not match any topic-partitions')
    // The command that the start prints, for another topic.
    const create = /^Create a topic: bun run kafka (.* --topic) orders$/m.exec(first.output)?.[1]
    const topic = [...(create ?? '').split(' '), 'kept', '--partitions', '1']
    expect((await kafka(topic)).exitCode).toBe(0)
    const producer = ['tool', ...name, 'kafka-console-producer', '--topic', 'kept']
    expect((await kafka(producer, 'a\nb\nc\n')).exitCode).toBe(0)

    const stopped = await kafka(['stop', ...name])
    expect(stopped.output).toBe('Kafka "kept" is stopped\n')
    expect((await kafka(['status', ...name])).exitCode).toBe(1)

    expect((await kafka(start)).exitCode).toBe(0)
    expect((await kafka(offsets)).output).toBe('kept:0:3\n')
    const logs = await kafka(['logs', ...name])
    expect(logs.output).toContain('Kafka Server started')
  } finally {
    await kafka(['stop', ...name])
  }
}, 120_000)

test('single brokers of a cluster can be killed, frozen and started again', async () => {
  const name = `faults-${process.pid}`
  let broker: LocalBroker | undefined
  try {
    broker = await startBroker({ name, brokers: 3, port: 0, owned: true })
    const { nodes, data } = broker.cluster
    const [first, , third] = nodes.map(({ port }) => port)
    if (first === undefined || third === undefined) throw new Error('unreachable: three nodes')
    expect(broker.bootstrapServers.split(',')).toHaveLength(3)

    await broker.kill(2, 'SIGKILL')
    await untilBrokers(first, 2)
    await broker.restart(2)
    await untilBrokers(first, 3)

    await broker.kill(3, 'SIGSTOP')
    // A thread that runs on another processor may answer once more.
    await until(() => isSilent(third), 'the frozen broker to be silent')
    await broker.kill(3, 'SIGCONT')
    await untilBrokers(third, 3)

    const processes = nodes.flatMap((node) => node.process ?? [])
    await broker.stop()
    broker = undefined
    expect(processes.filter(isAlive)).toEqual([])
    expect(existsSync(data)).toBeFalse()
  } finally {
    await broker?.stop()
  }
}, 120_000)

function node(process: { pid: number; started: string }) {
  return { id: 1, port: 1, controllerPort: 2, process }
}

function writeState(name: string, state: object): void {
  mkdirSync(join(states, name), { recursive: true })
  const rest = { name, engine: 'java', nodes: [], data: join(folder, 'none'), temporary: false }
  writeFileSync(join(states, name, 'state.json'), JSON.stringify({ ...rest, ...state }))
}

/** Whether a broker is connected to, and does not answer. */
async function isSilent(port: number): Promise<boolean> {
  const answer = await askForBrokers(port, 500).catch((error: Error) => error.message)
  return answer === 'no answer in time'
}

/** Waits until a broker knows of so many. */
function untilBrokers(port: number, count: number): Promise<void> {
  const known = () => askForBrokers(port, 2_000).catch(() => [])
  return until(async () => (await known()).length === count, `${count} brokers`, 30_000)
}
