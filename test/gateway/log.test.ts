/** The lines of a gateway's log about requests. */
import { afterEach, expect, setSystemTime, spyOn, test } from 'bun:test'
import { LOG_ROOT, logTape, logToConsole } from '../../src/core/log.ts'
import { SseClient } from '../support/sse.ts'
import { until } from '../support/wait.ts'
import { GatewayProcess } from './gateway-process.ts'

const { getLogger, resetSync } = logTape()

afterEach(() => {
  resetSync()
  setSystemTime()
})

test('the log has one line for each request at its end, without its query', async () => {
  const { gateway, url } = await GatewayProcess.listening(['--log-format', 'json'])
  await using _ = gateway
  const lines = () =>
    gateway.stderr
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { logger: string; message: string; properties: object })
      .filter(({ logger }) => logger === 'hono-kafka-consume.request')
  await fetch(`${url}/messages?start=earliest&max_records=3&format=records`)
  await fetch(`${url}/messages?apikey=planted`)
  await fetch(`${url}/planted/path`)
  const stream = await SseClient.open(`${url}/stream`)
  await stream.until(1)
  await until(() => lines().length === 3, 'three lines')
  await stream[Symbol.asyncDispose]()
  await until(() => lines().length === 4, 'the line of the stream')
  expect(lines().map(({ properties }) => properties)).toMatchObject([
    { method: 'GET', route: '/messages', status: 200, records: 3, isStream: false },
    { method: 'GET', route: '/messages', status: 400, records: 0, bytes: 0 },
    { method: 'GET', route: '(none)', status: 404 },
    { method: 'GET', route: '/stream', status: 200, isStream: true },
  ])
  expect(lines()[3]?.message).toMatch(
    /^GET \/stream 200 in [\d.]+ ms, [1-9]\d* records, [1-9]\d* bytes$/,
  )
  expect(gateway.stderr).not.toContain('planted')
  // A request for health, which monitors repeat, has no line at this level.
  await fetch(`${url}/healthz`)
  await fetch(`${url}/messages?timeout=x`)
  await until(() => lines().length === 5, 'the line after')
  expect(lines()[4]?.properties).toMatchObject({ route: '/messages' })
}, 120_000)

test('the log has the same line a few times, then a count of the rest; requests have a line each', () => {
  const printed: string[] = []
  const spy = spyOn(console, 'error').mockImplementation((line: string) => {
    printed.push(line)
  })
  try {
    setSystemTime(1_800_000_000_000)
    logToConsole('info')
    const log = getLogger([LOG_ROOT, 'live-consumer'])
    for (let index = 0; index < 25; index++) {
      log.error('Cannot follow {topic}: {error}', { topic: 't{x}', error: 'away' })
      getLogger([LOG_ROOT, 'request']).info('GET')
    }
    log.error('Cannot follow {topic}: {error}', { topic: 'another', error: 'away' })
    const follows = () => printed.filter((line) => line.includes('Cannot follow t{x}: away'))
    expect(follows()).toHaveLength(10)
    expect(printed.filter((line) => line.includes('another'))).toHaveLength(1)
    setSystemTime(1_800_000_011_000)
    log.error('Cannot follow {topic}: {error}', { topic: 't{x}', error: 'away' })
    expect(follows()).toHaveLength(12)
    expect(printed.find((line) => line.includes('more'))).toEndWith(
      'log: 15 more in 10 s: Cannot follow t{x}: away',
    )
    // Lines of requests are printed together, the last of them when the log ends.
    resetSync()
    const lines = printed.flatMap((text) => text.split('\n'))
    expect(lines.filter((line) => line.endsWith('request: GET'))).toHaveLength(25)
  } finally {
    spy.mockRestore()
  }
})

test('a message of JSON lines is that of the text format, and no text ends a line', () => {
  const printed: string[] = []
  const spy = spyOn(console, 'error').mockImplementation((line: string) => {
    printed.push(line)
  })
  try {
    for (const format of ['text', 'json'] as const) {
      logToConsole('info', format)
      const error = Object.assign(new Error('away'), { stack: 'Error: away' })
      const values = { topic: 'a "b"', count: 5, error, list: ['x'] }
      getLogger([LOG_ROOT, 'cluster']).info('{topic}: {count} {error} {list}', values)
      getLogger([LOG_ROOT, 'cluster']).info('{topic} of a client', { topic: 'a\nb\u001b[31m' })
      resetSync()
    }
  } finally {
    spy.mockRestore()
  }
  const [text, , json, forged] = printed as [string, string, string, string]
  expect(text).toContain('cluster: a "b": 5 ')
  const { message, properties } = JSON.parse(json) as { message: string; properties: object }
  expect(text).toEndWith(`cluster: ${message}`)
  expect(properties).toMatchObject({ topic: 'a "b"', count: 5, list: ['x'] })
  for (const control of ['\n', '\u001b']) expect(forged).not.toContain(control)
  expect(JSON.parse(forged)).toMatchObject({ message: 'a\nb\u001b[31m of a client' })
})

test('lines of requests are printed together, soon or when there are many', async () => {
  const prints: string[][] = []
  const spy = spyOn(console, 'error').mockImplementation((text: string) => {
    prints.push(text.split('\n'))
  })
  try {
    logToConsole('info')
    const log = getLogger([LOG_ROOT, 'request'])
    for (let index = 0; index < 600; index++) log.info(`GET ${index}`)
    expect(prints.map(({ length }) => length)).toEqual([256, 256])
    await until(() => prints.length === 3, 'the rest')
    expect(prints.flat().map((line) => line.split('GET ')[1])).toEqual(
      Array.from({ length: 600 }, (_, index) => String(index)),
    )
  } finally {
    spy.mockRestore()
  }
})
