import { describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { kafkaConsume } from '../../src/index.ts'
import { freePort } from '../support/port.ts'
import { serve } from '../support/server.ts'
import { within } from '../support/wait.ts'

/** The Kafka client's own words for brokers that can't be reached. */
const CLIENT_WORDS =
  /refused|transport|rdkafka|Local:|Broker:|ssl|sasl|\bERR_|_TRANSPORT|127\.0\.0\.1/i

async function answer(
  mode: 'http-get' | 'server-sent-events',
  returnErrorMessage: boolean,
  headers: Record<string, string> = {},
) {
  const handler = kafkaConsume({
    bootstrapServers: `127.0.0.1:${await freePort()}`,
    topics: ['orders'],
    mode,
    errorHandling: { returnErrorMessage },
  })
  await using server = serve(new Hono().all('/messages', handler))
  try {
    const response = await within(
      fetch(`${server.url}/messages?start=earliest`, { headers }),
      'an answer while no broker can be reached',
      15_000,
    )
    return { response, text: await response.text(), outage: handler.outage() }
  } finally {
    await within(handler.close(), 'a handler that never reached a broker to close')
  }
}

describe.concurrent('while no broker can be reached', () => {
  for (const mode of ['http-get', 'server-sent-events'] as const) {
    test(`${mode} answers 503 with our own reason and a Retry-After`, async () => {
      const { response, text, outage } = await answer(mode, false)
      expect(response.status).toBe(503)
      expect(response.headers.get('content-type')).toStartWith('application/json')
      expect(response.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
      const body = JSON.parse(text) as Record<string, unknown>
      expect(body).toMatchObject({ code: 'KAFKA_UNAVAILABLE', retryable: true })
      expect(body['message']).toStartWith('Cannot ')
      expect(text).not.toMatch(CLIENT_WORDS)
      expect(text).not.toMatch(/\.ts|\.js|\bat /)
      expect(outage?.code).toBe('KAFKA_UNAVAILABLE')
    }, 120_000)
  }

  // An `EventSource` that is answered 503 gives up for good, and loses its place.
  test('an EventSource gets an event with the error, and the time to reconnect', async () => {
    const accept = { accept: 'text/event-stream' }
    const { response, text } = await answer('server-sent-events', false, accept)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toStartWith('text/event-stream')
    const [, retry, data] = /^retry: (\d+)\nevent: error\ndata: (.*)\n\n$/.exec(text) ?? []
    expect(Number(retry)).toBeWithin(1_000, 10_000)
    expect(JSON.parse(data ?? '')).toEqual({
      code: 'KAFKA_UNAVAILABLE',
      message: expect.stringMatching(/^Cannot /),
      retryable: true,
    })
  }, 120_000)

  test('returnErrorMessage shows the Kafka client’s own message', async () => {
    const { response, text } = await answer('http-get', true)
    expect(response.status).toBe(503)
    expect(text).toMatch(CLIENT_WORDS)
    expect(text).not.toMatch(/\.ts|\.js|\n\s+at /)
  }, 120_000)
})
