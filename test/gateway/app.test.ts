import { describe, expect, test } from 'bun:test'
import { startEmbeddedBroker } from '../../kafka/embedded/embedded.ts'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { createGateway } from '../../src/gateway/app.ts'
import type { KafkaRoute } from '../../src/gateway/supervisor.ts'
import type { KafkaOutage } from '../../src/port/kafka.ts'
import { collectLog, messagesOf } from '../support/log.ts'
import { until, within } from '../support/wait.ts'
import { idleHandler } from '../unit/fakes.ts'

/** Kafka as the gateway's routes see it, in a test's hand. */
class FakeKafka {
  currentOutage: KafkaOutage | undefined
  startFails: KafkaConsumeError | undefined
  starts = 0
  closes = 0

  readonly make = (): KafkaRoute =>
    Object.assign(() => new Response('from Kafka'), {
      start: async () => {
        this.starts++
        if (this.startFails) throw this.startFails
      },
      outage: () => this.currentOutage,
      ...idleHandler,
      close: async () => {
        this.closes++
      },
    })
}

const unavailable: KafkaOutage = {
  code: 'KAFKA_UNAVAILABLE',
  message: 'Cannot read from Kafka: no broker answers',
  detail: 'secret.internal:9092: Connection refused',
  since: Date.UTC(2026, 0, 2),
}

const options = { cluster: { brokers: ['a:1'], topics: ['t'] } }
const logged = collectLog()
/** The lines about Kafka: what an earlier test of this process left running may log, too. */
const messages = () => messagesOf(logged).filter((text) => text.includes('a:1'))

describe('the gateway', () => {
  test('serves two routes and answers 404 as Kong does elsewhere', async () => {
    const { app } = createGateway(options, new FakeKafka().make)
    for (const path of ['/messages', '/stream']) {
      expect(await (await app.request(path)).text()).toBe('from Kafka')
    }
    for (const path of ['/console', '/message', '/messages/x', '/healthz/']) {
      const response = await app.request(path)
      expect(response.status).toBe(404)
      expect(await response.json()).toEqual({ message: 'no Route matched with those values' })
    }
  })

  test('is alive before it is ready, and ready once started', async () => {
    const gateway = createGateway(options, new FakeKafka().make)
    expect((await gateway.app.request('/healthz')).status).toBe(200)
    const early = await gateway.app.request('/readyz')
    expect(early.status).toBe(503)
    expect(early.headers.get('retry-after')).toBe('2')
    expect(await early.json()).toMatchObject({
      status: 'unavailable',
      reasons: [{ code: 'STARTING' }],
    })
    await gateway.start()
    const ready = await gateway.app.request('/readyz')
    expect(ready.status).toBe(200)
    expect(await ready.json()).toEqual({ status: 'ready' })
    await gateway.close()
  })

  test('gives the reason while it is not ready, once for both routes and without internal names', async () => {
    const kafka = new FakeKafka()
    const gateway = createGateway(options, kafka.make)
    await gateway.start()
    kafka.currentOutage = unavailable
    const response = await gateway.app.request('/readyz')
    expect(response.status).toBe(503)
    expect(await response.json()).toEqual({
      status: 'unavailable',
      reasons: [
        {
          code: 'KAFKA_UNAVAILABLE',
          message: unavailable.message,
          since: '2026-01-02T00:00:00.000Z',
        },
      ],
    })
    expect((await gateway.app.request('/healthz')).status).toBe(200)
    kafka.currentOutage = undefined
    expect((await gateway.app.request('/readyz')).status).toBe(200)
    await gateway.close()
  })

  test('goes on starting until Kafka can be reached, and logs outage and recovery once each', async () => {
    const kafka = new FakeKafka()
    kafka.currentOutage = unavailable
    kafka.startFails = new KafkaConsumeError('KAFKA_UNAVAILABLE', unavailable.message)
    const gateway = createGateway(options, kafka.make)
    const started = gateway.start()
    await until(() => kafka.starts >= 6, 'three attempts to start')
    expect(messages()).toEqual([
      `${unavailable.message}. Waiting for Kafka at a:1; requests are answered with 503`,
    ])
    kafka.currentOutage = undefined
    kafka.startFails = undefined
    await within(started, 'the start')
    expect(messages().slice(1)).toEqual(['Kafka at a:1 can be read again'])
    expect((await gateway.app.request('/readyz')).status).toBe(200)
    await gateway.close()
  })

  test('reports when Kafka cannot be reached any more', async () => {
    const kafka = new FakeKafka()
    const gateway = createGateway(options, kafka.make)
    await gateway.start()
    kafka.currentOutage = unavailable
    await until(() => messages().length === 1, 'the first line')
    kafka.currentOutage = undefined
    await until(
      () => messages().length === 2,
      () => `the second line of ${messages()}`,
    )
    expect(messages()[1]).toBe('Kafka at a:1 can be read again')
    await gateway.close()
  })

  test('limits the streams of all its routes together', async () => {
    const broker = await startEmbeddedBroker({ topic: 't', records: 0, recordsPerSecond: 0 })
    const cluster = { brokers: broker.bootstrapServers, topics: ['t'] }
    const gateway = createGateway({ cluster, maxSubscribers: 2 })
    await gateway.start()
    const ndjson = { headers: { accept: 'application/x-ndjson' } }
    const streams = [await gateway.app.request('/stream'), await gateway.app.request('/stream')]
    expect(streams.map(({ status }) => status)).toEqual([200, 200])
    const refused = await gateway.app.request('/stream', ndjson)
    expect(refused.status).toBe(503)
    expect(await refused.json()).toMatchObject({ code: 'TOO_MANY_SUBSCRIBERS' })
    expect((await gateway.app.request('/messages?start=earliest&timeout=0')).status).toBe(200)
    await streams[0]?.body?.cancel()
    await until(async () => {
      const response = await gateway.app.request('/stream', ndjson)
      await response.body?.cancel()
      return response.status === 200
    }, 'a place that is free again')
    await streams[1]?.body?.cancel()
    await gateway.close()
    await broker.close()
  })

  test('does not wait for Kafka after an error that waiting does not fix', async () => {
    const kafka = new FakeKafka()
    kafka.startFails = new KafkaConsumeError('INTERNAL', 'Cannot answer: broken')
    const gateway = createGateway(options, kafka.make)
    await expect(gateway.start()).rejects.toThrow('Cannot answer: broken')
    await gateway.close()
  })

  test('can be closed while it is starting, and is closed once', async () => {
    const kafka = new FakeKafka()
    kafka.startFails = new KafkaConsumeError('KAFKA_UNAVAILABLE', 'Cannot connect: no answer')
    const gateway = createGateway(options, kafka.make)
    const started = gateway.start()
    await Promise.all([gateway.close(), gateway.close()])
    await within(started, 'the start to give up')
    expect(kafka.closes).toBe(3)
    const response = await gateway.app.request('/readyz')
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ reasons: [{ code: 'SHUTTING_DOWN' }] })
  })

  test.each(['/healthz', '/readyz'])('%s takes GET and HEAD only', async (path) => {
    const gateway = createGateway(options, new FakeKafka().make)
    await gateway.start()
    const head = await gateway.app.request(path, { method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(await head.text()).toBe('')
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const response = await gateway.app.request(path, { method })
      expect(response.status).toBe(405)
      expect(response.headers.get('allow')).toBe('GET, HEAD')
      expect(await response.json()).toMatchObject({ code: 'METHOD_NOT_ALLOWED' })
    }
    await gateway.close()
  })

  test('pages that are only read answer 405 to other methods', async () => {
    const data = ['/status', '/topics', '/topics/t', '/metrics', '/openapi.json']
    const paths = [...data, '/docs', '/', '/console/console.js']
    const gateway = createGateway(options, new FakeKafka().make)
    for (const path of paths) {
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
        const response = await gateway.app.request(path, { method })
        const allow = response.headers.get('allow')
        expect({ path, status: response.status, allow }).toEqual({
          path,
          status: 405,
          allow: 'GET, HEAD',
        })
        expect(await response.json()).toEqual({
          message: `Cannot answer ${method}: this route allows GET and HEAD`,
          code: 'METHOD_NOT_ALLOWED',
        })
      }
    }
    expect((await gateway.app.request('/nowhere', { method: 'POST' })).status).toBe(404)
  })

  test('the login answers 405 to methods that it does not have', async () => {
    const oidc = { issuer: 'http://127.0.0.1:1', clientId: 'gateway', scopes: ['openid'] }
    const guard = { clients: [{ name: 'a', key: 'planted-key-of-16' }], oidc }
    const gateway = createGateway(
      { ...options, guard, sessions: { maxAge: 1_000 } },
      new FakeKafka().make,
    )
    const allowed = async (method: string, path: string) => {
      const response = await gateway.app.request(path, { method })
      return [response.status, response.headers.get('allow')]
    }
    expect(await allowed('PUT', '/login')).toEqual([405, 'GET, HEAD, POST'])
    expect(await allowed('GET', '/logout')).toEqual([405, 'POST'])
    expect(await allowed('POST', '/login/oidc')).toEqual([405, 'GET, HEAD'])
    expect(await allowed('POST', '/login/callback')).toEqual([405, 'GET, HEAD'])
  })

  test('logs an unexpected error and keeps its text from the client', async () => {
    const make = (): KafkaRoute =>
      Object.assign(() => Promise.reject(new Error('inner secret')), {
        start: async () => undefined,
        outage: () => undefined,
        ...idleHandler,
        close: async () => undefined,
      })
    const response = await createGateway(options, make).app.request('/messages')
    expect(response.status).toBe(500)
    expect(await response.text()).not.toContain('secret')
    const causes = logged.map(({ properties }) => String(properties['cause']))
    expect(causes.join()).toContain('inner secret')
  })
})
