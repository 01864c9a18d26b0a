import { describe, expect, test } from 'bun:test'
import { places, type Query, Route, type Target } from '../support/route.ts'
import { until } from '../support/wait.ts'
import { spread } from './get.ts'

interface BadRequest {
  readonly what: string
  readonly query?: Query
  readonly headers?: Record<string, string>
  readonly status?: number
  /** The parts that the message must have: the parameter and the allowed values. */
  readonly says: readonly (string | RegExp)[]
}

/** The parameters of each mode, without filters. */
const PARAMETERS = {
  'http-get': ['format', 'max_records', 'max_bytes', 'timeout', 'cursor', 'start'],
  'server-sent-events': ['format', 'cursor', 'start', 'last_event_id', 'lastEventId'],
} as const
type Mode = keyof typeof PARAMETERS
const FILTERS = ['topic', 'partition', 'key', 'filter']

/** Nothing of the inside may reach a client. */
const INSIDE = /node_modules|\.ts:\d|\.js:\d|\n\s+at |rdkafka|Local: |Broker: |undefined/

function badPositions(topic: string): BadRequest[] {
  const cursors: [what: string, text: string, status?: number][] = [
    ['malformed', 'garbage'],
    ['empty', ''],
    ['with a negative offset', `${topic}:0=-1`],
    ['with a fraction', `${topic}:0=1.5`],
    ['with an offset beyond 2^53', `${topic}:0=99999999999999999999`],
    ['cut off', `${topic}:0=1,1`],
    ['with a partition named twice', `${topic}:0=1,0=2`],
    ['with trailing text', `${topic}:0=1 OR 1=1`],
    ['with control characters', `${topic}:0=1\r\nX-Injected: 1`],
    ['of another topic', 'foreign:0=1'],
    ['of this and another topic', `${topic}:0=1,1=1,2=1,3=1;foreign:0=1`],
    ['with an unknown partition', `${topic}:0=1,99=1`],
    ['of 17 KB', `${topic}:${'0'.repeat(17 * 1024)}=1`],
    ['as an empty array', '[]'],
    ['as broken JSON', '[{"topic":'],
    ['as an array of nonsense', '[1,null]'],
    ['as an array with a negative offset', JSON.stringify([{ topic, partition: 0, offset: -3 }])],
    ['as an array with a foreign topic', JSON.stringify([{ topic: 'f', partition: 0, offset: 1 }])],
  ]
  // Bun answers 431 by itself when the head of a request exceeds its limit of 16 KB.
  return cursors.flatMap(([what, text]) => [
    { what: `a cursor ${what}`, query: { cursor: text }, says: [/\bcursor\b/] },
    {
      what: `a last_event_id ${what}`,
      query: { last_event_id: text },
      says: [/last_event_id|Last-Event-ID/],
    },
    ...(/[\r\n]/.test(text) || text === ''
      ? []
      : [
          {
            what: `a Last-Event-ID ${what}`,
            headers: { 'last-event-id': text },
            says: [/Last-Event-ID/i],
          },
        ]),
  ])
}

function badParameters(): BadRequest[] {
  return [
    ...['0', '-1', '1e9', 'abc', '', '10001', '1.5', ' 5', '0x10', 'NaN'].map((value) => ({
      what: `max_records=${value}`,
      query: { max_records: value },
      says: ['max_records', '1', /10[,_ ]?000/],
    })),
    ...['0', '-1', '16777217', 'abc'].map((value) => ({
      what: `max_bytes=${value}`,
      query: { max_bytes: value },
      says: ['max_bytes', /16|16777216/],
    })),
    ...['-1', '60001', '1s'].map((value) => ({
      what: `timeout=${value}`,
      query: { timeout: value },
      says: ['timeout', '0', /60[,_ ]?000/],
    })),
    ...[
      'never',
      '',
      '10m',
      '-10x',
      '2020-13-45',
      '2026-02-30',
      '-P',
      '-PT',
      'PT10M',
      '-999999999999d',
    ].map((value) => ({
      what: `start=${value}`,
      query: { start: value },
      says: ['start', 'earliest', 'latest'],
    })),
    ...['xml', '', 'KONG'].map((value) => ({
      what: `format=${value}`,
      query: { format: value },
      says: ['format', 'records', 'value', 'cloudevents'],
    })),
    { what: 'an unknown parameter', query: { max_record: 5 }, says: ['max_record'] },
    { what: 'a parameter named __proto__', query: { ['__proto__']: 'x' }, says: ['__proto__'] },
    { what: 'a parameter named constructor', query: { constructor: 'x' }, says: ['constructor'] },
    {
      what: 'max_records twice',
      query: { max_records: [5, 5] },
      says: ['max_records', /once|twice/],
    },
    { what: 'start twice', query: { start: ['earliest', 'latest'] }, says: ['start'] },
    { what: 'cursor twice', query: { cursor: ['a:0=1', 'a:0=2'] }, says: ['cursor'] },
    { what: 'start and cursor', query: { start: 'earliest', cursor: 'a:0=1' }, says: ['cursor'] },
    { what: 'partition=99', query: { partition: 99 }, says: ['partition'] },
    {
      what: 'partition=2^31',
      query: { partition: 2 ** 31 },
      says: ['partition', '0 to 2147483647'],
    },
    { what: 'a foreign topic', query: { topic: 'foreign' }, says: ['topic'] },
  ]
}

async function expectRefusal(response: Response, says: readonly (string | RegExp)[]) {
  const text = await response.text()
  expect(response.headers.get('content-type')).toStartWith('application/json')
  expect(text).not.toMatch(INSIDE)
  const body = JSON.parse(text) as { message: string; code: string }
  expect(body.code).toMatch(/^[A-Z_]+$/)
  expect(body.message).toStartWith('Cannot ')
  expect(body.message.length).toBeLessThan(1_000)
  for (const part of says) {
    if (typeof part === 'string') expect(body.message).toContain(part)
    else expect(body.message).toMatch(part)
  }
  return body
}

/** The parts that an error's message must have in this mode. */
function expectedWords(mode: Mode, bad: BadRequest): readonly (string | RegExp)[] {
  // A parameter that this mode does not have is unknown, and the message lists those it has.
  const own: readonly string[] = PARAMETERS[mode]
  const [name] = Object.keys(bad.query ?? {})
  const isUnknown = name !== undefined && ![...own, ...FILTERS].includes(name)
  return isUnknown ? [name, ...own] : bad.says
}

/** Sends a bad request, and says what is wrong with its answer, if anything is. */
async function findingOf(route: Route, mode: Mode, bad: BadRequest): Promise<string | undefined> {
  const init = bad.headers === undefined ? {} : { headers: bad.headers }
  const abort = new AbortController()
  const response = await route.fetch(bad.query, { ...init, signal: abort.signal })
  try {
    if (response.status === 431 && /17 KB/.test(bad.what)) return undefined
    expect(response.status).toBeOneOf([400, 404])
    await expectRefusal(response, expectedWords(mode, bad))
    return undefined
  } catch (error) {
    return `${bad.what}: ${response.status}: ${String(error)}`
  } finally {
    abort.abort()
  }
}

/** The places of the records that a client reads from the beginning on. */
async function placesRead(route: Route, mode: Mode, count: number): Promise<string[]> {
  if (mode === 'http-get') return places(await route.drain(count))
  await using stream = await route.stream({ start: 'earliest' })
  await stream.until(count)
  return places(stream.records())
}

export function describeBadInput(target: () => Target): void {
  for (const mode of ['http-get', 'server-sent-events'] as const) {
    describe(`bad input, mode ${mode}`, () => {
      test('each bad request is a 4xx that names the error and the allowed values; nothing is lost and no stream stays open', async () => {
        const { kafka } = target()
        const topic = await kafka.createTopic()
        const written = await kafka.produce(topic, spread(40))
        await using route = await Route.mount(target(), {
          topics: [topic],
          mode,
          autoOffsetReset: 'earliest',
        })
        const findings: string[] = []
        for (const bad of [...badPositions(topic), ...badParameters()]) {
          // A GET has no event ids.
          if (mode === 'http-get' && bad.what.includes('Last-Event-ID')) continue
          const finding = await findingOf(route, mode, bad)
          if (finding !== undefined) findings.push(finding)
        }
        expect(findings).toEqual([])
        await route.untilSubscribers(0)
        await until(async () => (await route.stats()).catchUpReads === 0, 'no catch-up reads')
        expect(await placesRead(route, mode, 40)).toEqual(places(written))
      }, 120_000)

      test('a cursor of 16 KB is parsed or refused like any other', async () => {
        const topic = await target().kafka.createTopic()
        await using route = await Route.mount(target(), { topics: [topic], mode })
        for (const size of [8 * 1024, 12 * 1024, 15 * 1024]) {
          const response = await route.fetch({ cursor: 'x'.repeat(size) })
          expect(response.status).toBe(400)
          await expectRefusal(response, [/\bcursor\b/])
        }
      })

      test('methods other than GET and HEAD get 405 with Allow', async () => {
        const topic = await target().kafka.createTopic()
        await using route = await Route.mount(target(), { topics: [topic], mode })
        for (const method of ['POST', 'OPTIONS', 'PUT', 'DELETE', 'PATCH']) {
          const response = await route.fetch({}, { method })
          expect({ method, status: response.status }).toEqual({ method, status: 405 })
          expect(response.headers.get('allow')).toMatch(/\bGET\b/)
          const body = await expectRefusal(response, ['GET'])
          expect(body.code).toBe('METHOD_NOT_ALLOWED')
        }
        expect((await route.stats()).subscribers).toBe(0)
      })

      test('an Accept that cannot be met gets 406', async () => {
        const topic = await target().kafka.createTopic()
        await using route = await Route.mount(target(), { topics: [topic], mode })
        const other = mode === 'http-get' ? 'text/event-stream' : 'application/json'
        const own = mode === 'http-get' ? 'application/json' : 'text/event-stream'
        for (const accept of ['image/png', other, `${own};q=0, application/x-ndjson;q=0`]) {
          const response = await route.fetch({ timeout: 0 }, { headers: { accept } })
          expect({ accept, status: response.status }).toEqual({ accept, status: 406 })
          const body = await expectRefusal(response, ['Accept', own, 'application/x-ndjson'])
          expect(body.code).toBe('NOT_ACCEPTABLE')
        }
        expect((await route.stats()).subscribers).toBe(0)
      })

      test('a topic that does not exist is 404', async () => {
        const topic = `missing-${crypto.randomUUID()}`
        await using route = await Route.mount(target(), { topics: [topic], mode })
        const reads: Query[] = mode === 'http-get' ? [{}, { start: 'earliest' }] : [{}]
        for (const query of reads) {
          const response = await route.fetch(query)
          expect({ query, status: response.status }).toEqual({ query, status: 404 })
          const body = await expectRefusal(response, [topic])
          expect(body.code).toBe('UNKNOWN_TOPIC')
        }
        expect((await route.stats()).subscribers).toBe(0)
      })
    })
  }
}
