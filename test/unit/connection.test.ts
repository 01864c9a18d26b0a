/** The connection of a cluster, whose certificates are files that may be away for a moment. */
import { afterEach, describe, expect, test } from 'bun:test'
import { whyUntrusted } from '../../kafka/client/broker-certificate.ts'
import type { Consumer } from '../../kafka/client/client.ts'
import { ClientFactory } from '../../kafka/cluster/client-factory.ts'
import { ClusterConnection } from '../../kafka/cluster/connection.ts'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { until, within } from '../support/wait.ts'

const MISSING = { verify: true, ca: { file: '/nowhere/ca.pem' } } as const
/** librdkafka's line about a broker whose certificate it does not trust. */
const REFUSED = {
  fac: 'FAIL',
  message: 'ssl://127.0.0.1:1/bootstrap: SSL handshake failed: certificate verify failed',
}

/** The control client, as far as a connection uses it. */
class Control {
  isUp = true
  readonly #listeners = new Map<string, (value: object) => void>()

  on(event: string, listener: (value: object) => void): void {
    this.#listeners.set(event, listener)
  }

  emit(event: string, value: object): void {
    this.#listeners.get(event)?.(value)
  }

  getMetadata(_: object, done: (error: unknown, metadata: object) => void): void {
    setTimeout(() => done(this.isUp ? null : { message: 'no answer', code: -195 }, {}), 0)
  }

  setDefaultConsumeTimeout(): void {}
  consume(): void {}

  disconnect(done: () => void): void {
    done()
  }
}

/** Makes control clients, after some attempts that fail. */
class Clients extends ClientFactory {
  readonly control = new Control()
  readonly #failures: KafkaConsumeError[]

  constructor(...failures: KafkaConsumeError[]) {
    super({ bootstrapServers: ['127.0.0.1:1'], tls: MISSING, sasl: undefined, librdkafka: {} })
    this.#failures = failures
  }

  override async connectConsumer(): Promise<Consumer> {
    const failure = this.#failures.shift()
    if (failure) throw failure
    return this.control as unknown as Consumer
  }
}

const connections: ClusterConnection[] = []
afterEach(async () => {
  for (const connection of connections.splice(0)) {
    connection.stop()
    await connection.disconnect()
  }
})

function connectionOf(clients: Clients): ClusterConnection {
  const connection = new ClusterConnection('test', clients, () => {})
  connections.push(connection)
  return connection
}

const unreadable = new KafkaConsumeError('INVALID_OPTIONS', 'Cannot use security.ca for Kafka')
const away = new KafkaConsumeError('KAFKA_UNAVAILABLE', 'Cannot connect to Kafka')

test('brokers that hang, so that the client reports no error, are an outage until they answer again', async () => {
  const clients = new Clients()
  const connection = new ClusterConnection('test', clients, () => {}, 20)
  connections.push(connection)
  await connection.client()
  clients.control.isUp = false
  await until(() => connection.outage?.code === 'KAFKA_UNAVAILABLE', 'the outage')
  clients.control.isUp = true
  await until(() => connection.outage === undefined, 'the end of the outage')
})

describe('while the file of certificate authorities is away', () => {
  test('a certificate that is not trusted is reported as just that', async () => {
    expect(await whyUntrusted(REFUSED.message, MISSING)).toMatch(/is not trusted$/)
    const unusable = { verify: true, ca: 'not a certificate' }
    expect(await whyUntrusted(REFUSED.message, unusable)).toMatch(/is not trusted$/)
  })

  test('an outage by TLS begins, and ends when Kafka answers', async () => {
    const clients = new Clients()
    const connection = connectionOf(clients)
    await connection.client()
    clients.control.isUp = false
    clients.control.emit('event.log', REFUSED)
    await until(() => connection.outage?.code === 'KAFKA_TLS', 'the outage')
    clients.control.isUp = true
    await until(() => connection.outage === undefined, 'the end of the outage')
    // A later outage is noticed, too.
    clients.control.isUp = false
    clients.control.emit('event.log', REFUSED)
    await until(() => connection.outage?.code === 'KAFKA_TLS', 'the next outage')
  })

  test('requests are rejected with that, and answered once it is back', async () => {
    const connection = connectionOf(new Clients(unreadable))
    await expect(connection.client()).rejects.toBe(unreadable)
    await until(async () => Boolean(await connection.client().catch(() => false)), 'a client')
  })

  test('an outage at the start still ends', async () => {
    const clients = new Clients(away, unreadable)
    const connection = connectionOf(clients)
    await until(() => connection.outage !== undefined, 'the outage')
    await until(() => connection.outage === undefined, 'the end of the outage')
    await within(connection.client(), 'a client')
  })
})
