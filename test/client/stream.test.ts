/** `stream` of the package's client, on answers that a test chooses: errors, silences, ends. */
import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from 'bun:test'
import * as v from 'valibot'
import {
  KafkaStreamError,
  type ReceivedRecord,
  type StreamOptions,
  stream,
  streamData,
  type ValueSchemas,
} from '../../src/client/index.ts'
import { freePort } from '../support/port.ts'
import { sleep, until, within } from '../support/wait.ts'
import { type Answer, EVENTS, event, events, silence } from './answers.ts'

let server: Bun.Server<undefined>
let answers: Answer[] = []
/** The requests of the clients. A request object itself is empty once it is answered. */
let requests: Array<{ parameters: object; token: string | null; signal: AbortSignal }> = []

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const { url, headers, signal } = request
      const parameters = Object.fromEntries(new URL(url).searchParams)
      requests.push({ parameters, token: headers.get('Authorization'), signal })
      return answers.shift()?.(request) ?? new Response(null, { status: 410 })
    },
  })
})
afterAll(() => server.stop(true))

/** Reads until a number of records has come, or the stream fails. */
async function read<const Schemas extends ValueSchemas | undefined = undefined>(
  given: readonly Answer[],
  count: number,
  options: StreamOptions<Schemas> = {},
): Promise<ReceivedRecord[]> {
  answers = [...given]
  requests = []
  const received: ReceivedRecord[] = []
  const reading = async () => {
    for await (const record of stream(server.url, options)) {
      if (received.push(record) === count) return
    }
  }
  await within(reading(), `${count} records`)
  return received
}

function failureOf(
  given: readonly Answer[],
  options: StreamOptions = {},
): Promise<KafkaStreamError> {
  return read(given, 1, options).then(
    () => {
      throw new Error('The stream did not fail')
    },
    (error) => error,
  )
}

describe('resuming', () => {
  test('after an end the client goes on behind the last record, without its start', async () => {
    const given = [events(event(0), event(1)), events(event(2))]
    const received = await read(given, 3, { start: 'earliest', filter: 'true', topic: ['orders'] })
    expect(received.map(({ offset }) => offset)).toEqual([0, 1, 2])
    expect(received[1]?.cursor).toBe('orders:0=2')
    const same = { filter: 'true', topic: 'orders' }
    expect(requests[0]?.parameters).toEqual({ ...same, start: 'earliest' })
    expect(requests[1]?.parameters).toEqual({ ...same, cursor: 'orders:0=2' })
  })

  test('a cut event is not delivered, and comes again', async () => {
    const cut = event(1).slice(0, -1)
    const received = await read([events(event(0), cut), events(event(1))], 2)
    expect(received.map(({ offset }) => offset)).toEqual([0, 1])
  })

  test('a position without a record counts, too', async () => {
    const cursors: string[] = []
    const moved = 'event: cursor\ndata: {"cursor":"orders:0=7"}\nid: orders:0=7\n\n'
    await read([events(moved), events(event(7))], 1, { onCursor: (cursor) => cursors.push(cursor) })
    expect(requests[1]?.parameters).toEqual({ cursor: 'orders:0=7' })
    expect(cursors).toEqual(['orders:0=7'])
  })

  test('gaps are announced', async () => {
    const gap = { topic: 'orders', partition: 0, from: 0, to: 5, reason: 'retention' } as const
    const gaps: unknown[] = []
    const frame = `event: gap\ndata: ${JSON.stringify(gap)}\nid: orders:0=5\n\n`
    await read([events(frame, event(5))], 1, { onGap: (one) => gaps.push(one) })
    expect(gaps).toEqual([gap])
  })

  test('a connection that is silent for too long is left for a new one', async () => {
    const errors: Error[] = []
    const received = await read([silence(event(0)), events(event(1))], 2, {
      // A busy machine may take some 100 ms for the first event of the second connection, too.
      silenceTimeout: 1_000,
      onRetry: (error) => errors.push(error),
    })
    expect(received.map(({ offset }) => offset)).toEqual([0, 1])
    expect(errors).toMatchObject([{ code: 'SILENT', retryable: true }])
  })

  test('headers are asked for with each connection', async () => {
    let token = 0
    const headers = async () => ({ Authorization: `Bearer ${++token}` })
    await read([events(event(0)), events(event(1))], 2, { headers })
    expect(requests.map(({ token: sent }) => sent)).toEqual(['Bearer 1', 'Bearer 2'])
  })
})

describe('a function for headers', () => {
  test('that fails is called again, and the stream goes on', async () => {
    for (const failure of [() => Promise.reject(new TypeError('offline')), throwing]) {
      const errors: Error[] = []
      let calls = 0
      const received = await read([events(event(0))], 1, {
        headers: () => (++calls === 1 ? failure() : { Authorization: 'Bearer 2' }),
        onRetry: (error) => errors.push(error),
      })
      expect(received).toHaveLength(1)
      expect(errors).toMatchObject([{ code: 'DISCONNECTED', cause: { message: 'offline' } }])
      expect(requests.map(({ token }) => token)).toEqual(['Bearer 2'])
    }
  })

  test('that does not return counts as silence', async () => {
    let calls = 0
    const errors: Error[] = []
    const received = await read([events(event(0))], 1, {
      silenceTimeout: 1_000,
      headers: () => (++calls === 1 ? new Promise<never>(() => undefined) : {}),
      onRetry: (error) => errors.push(error),
    })
    expect(received).toHaveLength(1)
    expect(errors).toMatchObject([{ code: 'SILENT' }])
  })

  test('ends the stream by an error that a retry cannot help', async () => {
    const error = new KafkaStreamError('UNAUTHENTICATED', 'logged out')
    const headers = () => Promise.reject(error)
    expect(await failureOf([], { headers })).toBe(error)
    expect(requests).toHaveLength(0)
  })

  function throwing(): never {
    throw new TypeError('offline')
  }
})

describe('errors', () => {
  const unavailable = (retryAfter: string) => () =>
    Response.json(
      { message: 'Cannot read', code: 'KAFKA_UNAVAILABLE', retryable: true },
      { status: 503, headers: { 'Retry-After': retryAfter } },
    )

  /** The wait after an answer in ms, which a test does not spend. */
  async function delayAfter(answer: Answer): Promise<number> {
    const abort = new AbortController()
    let announced: number | undefined
    const options: StreamOptions = {
      signal: abort.signal,
      onRetry(_, delay) {
        announced = delay
        abort.abort(new Error('enough'))
      },
    }
    await expect(read([answer], 1, options)).rejects.toThrow('enough')
    return announced as number
  }

  test('a retryable answer is followed by a retry that is not earlier than Retry-After', async () => {
    // Without the header the first wait is 1 s at most.
    expect(await delayAfter(unavailable('3'))).toBeWithin(3_000, 3_751)
  })

  test('a Retry-After that is a date counts from now', async () => {
    const date = new Date(Date.now() + 5_000).toUTCString()
    // A date has no fraction of a second.
    expect(await delayAfter(unavailable(date))).toBeWithin(3_000, 6_251)
  })

  test('a Retry-After in the past, or of another form, does not count', async () => {
    for (const past of ['Wed, 21 Oct 2015 07:28:00 GMT', '0', '-5', 'soon']) {
      expect(await delayAfter(unavailable(past))).toBeWithin(500, 1_001)
    }
  })

  test('a Retry-After of weeks is a wait of a day, which a timer can measure', async () => {
    const day = 86_400_000
    expect(await delayAfter(unavailable(String(31 * 86_400)))).toBeWithin(day, day * 1.25 + 1)
  })

  test('a retry comes after the `retry` that the server has sent', async () => {
    const asking = () => new Response('retry: 5000\n\n', { headers: EVENTS })
    expect(await delayAfter(asking)).toBeWithin(2_500, 5_001)
  })

  test('an infinite silenceTimeout waits for a byte for ever', async () => {
    const late: Answer = async () => {
      await sleep(300)
      return events(event(0))(new Request(server.url))
    }
    const errors: Error[] = []
    const options: StreamOptions = {
      silenceTimeout: Infinity,
      onRetry: (error) => errors.push(error),
    }
    expect(await read([late], 1, options)).toHaveLength(1)
    expect(errors).toEqual([])
  })

  test('a server that refuses connections is tried again', async () => {
    const errors: Error[] = []
    const abort = new AbortController()
    const reading = stream(`http://127.0.0.1:${await freePort()}/`, {
      signal: abort.signal,
      onRetry(error) {
        errors.push(error)
        abort.abort(new Error('enough'))
      },
    }).next()
    await expect(within(reading, 'the end of the stream')).rejects.toThrow('enough')
    expect(errors).toMatchObject([{ code: 'DISCONNECTED', retryable: true }])
  })

  test('an error that a retry cannot help ends the stream with its code', async () => {
    const body = { message: 'Cannot find topic "orders"', code: 'UNKNOWN_TOPIC' }
    const error = await failureOf([() => Response.json(body, { status: 404 })])
    expect(error).toBeInstanceOf(KafkaStreamError)
    expect(error).toMatchObject({ ...body, status: 404, retryable: false })
    expect(requests).toHaveLength(1)
  })

  test('an error inside the stream is followed by a retry only where it is retryable', async () => {
    const failed = (retryable?: true) =>
      `event: error\ndata: ${JSON.stringify({ message: 'no', code: 'KAFKA_ERROR', retryable })}\n\n`
    const error = await failureOf([events(failed(true)), events(failed())])
    expect(error).toMatchObject({ code: 'KAFKA_ERROR', retryable: false })
    expect(requests).toHaveLength(2)
  })

  test('a page that is not a stream is an error', async () => {
    const page = () =>
      new Response('<title>Log in</title>', { headers: { 'Content-Type': 'text/html' } })
    expect(await failureOf([page])).toMatchObject({ code: 'UNEXPECTED_ANSWER', status: 200 })
  })

  test.each([
    ['a record', 'data: hello\n\n'],
    ['a gap', 'event: gap\ndata: hello\n\n'],
  ])('data of %s that is not JSON is an error', async (_, text) => {
    const error = await failureOf([events(text)])
    expect(error).toBeInstanceOf(KafkaStreamError)
    expect(error).toMatchObject({ code: 'UNEXPECTED_ANSWER', retryable: false })
  })

  test('an event of another name is passed over, whatever its data', async () => {
    const received = await read([events('event: ping\ndata: hello\n\n', event(0))], 1)
    expect(received).toHaveLength(1)
  })

  test('an event beyond 64 Mi characters is an error', async () => {
    const error = await failureOf([events(`data: ${'x'.repeat(65 * 1024 * 1024)}`)])
    expect(error).toMatchObject({ code: 'EVENT_TOO_LARGE', retryable: false })
  })

  test('an aborted signal ends the stream and its connection', async () => {
    answers = [silence(event(0))]
    requests = []
    const abort = new AbortController()
    const records = stream(server.url, { signal: abort.signal })
    await within(records.next(), 'a record')
    const next = records.next()
    abort.abort(new Error('left'))
    await expect(within(next, 'the end of the stream')).rejects.toThrow('left')
    await until(() => requests[0]?.signal.aborted === true, 'the end of the connection')
  })

  test('an aborted signal ends the stream before records that have come already', async () => {
    answers = [silence(event(0) + event(1))]
    const abort = new AbortController()
    const records = stream(server.url, { signal: abort.signal })
    await within(records.next(), 'a record')
    abort.abort(new Error('left'))
    await expect(within(records.next(), 'the end of the stream')).rejects.toThrow('left')
  })

  test('a loop that is left ends its connection', async () => {
    await read([silence(event(0))], 1)
    await until(() => requests[0]?.signal.aborted === true, 'the end of the connection')
  })
})

describe('values', () => {
  const Order = v.object({ total: v.number() })
  const Refund = v.object({ reason: v.string() })

  test('a value that does not fit its schema is announced, and its neighbours are delivered', async () => {
    const left: number[] = []
    const given = [events(event(0, { total: 1 }), event(1, 'no'), event(2, { total: 2, more: 1 }))]
    const received = await read(given, 2, {
      schema: Order,
      onInvalid: ({ offset }, [issue]) => {
        if (issue?.message) left.push(offset)
      },
    })
    expect(received.map(({ value }) => value)).toEqual([{ total: 1 }, { total: 2 }])
    expect(left).toEqual([1])
  })

  test('a schema for each topic makes a union of records by their topic', async () => {
    answers = [events(event(0, { total: 3 }), event(0, { reason: 'broken' }, 'refunds'))]
    const seen: unknown[] = []
    const schema = { orders: Order, refunds: Refund }
    for await (const record of stream(server.url, { schema })) {
      expectTypeOf(record.topic).toEqualTypeOf<'orders' | 'refunds'>()
      if (record.topic === 'orders') {
        expectTypeOf(record.value).toEqualTypeOf<{ total: number }>()
        seen.push(record.value.total)
      } else {
        expectTypeOf(record.value).toEqualTypeOf<{ reason: string }>()
        seen.push(record.value.reason)
        break
      }
    }
    expect(seen).toEqual([3, 'broken'])
  })

  test('data of another format comes as it is', async () => {
    answers = [events('data: {"specversion":"1.0"}\nid: orders:0=1\n\n')]
    for await (const { data, cursor } of streamData<{ specversion: string }>(server.url)) {
      expect({ data, cursor }).toEqual({ data: { specversion: '1.0' }, cursor: 'orders:0=1' })
      break
    }
  })
})

test('nothing is read from the connection while the loop works', async () => {
  let sent = 0
  const flood: Answer = () => {
    const chunk = new TextEncoder().encode(event(0, 'x'.repeat(64 * 1024)))
    const body = new ReadableStream({
      pull(controller) {
        sent += chunk.length
        controller.enqueue(chunk)
      },
    })
    return new Response(body, { headers: EVENTS })
  }
  answers = [flood]
  const records = stream(server.url)
  await within(records.next(), 'a record')
  let before = -1
  await until(async () => {
    const still = sent === before
    before = sent
    await Bun.sleep(100)
    return still && sent === before
  }, 'the server to be held up')
  expect(sent).toBeLessThan(64 * 1024 * 1024)
  await records.return()
})

test('a connection that is lost between the last record and the end is followed by 204, which ends the loop', async () => {
  answers = [events(event(0)), () => new Response(null, { status: 204 })]
  requests = []
  const offsets: number[] = []
  for await (const { offset } of stream(server.url, { end: 'orders:0=1' })) offsets.push(offset)
  expect(offsets).toEqual([0])
  expect(requests.map(({ parameters }) => parameters)).toEqual([
    { end: 'orders:0=1' },
    { end: 'orders:0=1', cursor: 'orders:0=1' },
  ])
})
