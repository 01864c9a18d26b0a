import { describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { type KafkaProduceOptions, kafkaProduce } from '../../src/index.ts'
import { reader } from '../../tools/kafka/credentials.ts'
import { uniqueName } from '../support/names.ts'
import { readAll } from '../support/read-all.ts'
import { until, within } from '../support/wait.ts'
import type { Secured } from './secured.ts'

/** Records written to a broker that authenticates clients. */
class Writing implements AsyncDisposable {
  readonly #handler: ReturnType<typeof kafkaProduce>
  readonly #app: Hono

  constructor(topic: string, options: Partial<KafkaProduceOptions>) {
    const clusterName = uniqueName('writing')
    this.#handler = kafkaProduce({
      clusterName,
      topics: [topic],
      ...options,
    } as KafkaProduceOptions)
    this.#app = new Hono().post('/', this.#handler)
  }

  async post(body: string): Promise<{ status: number; code?: string; message?: string }> {
    const response = await within(
      Promise.resolve(this.#app.request('/', { method: 'POST', body })),
      'an answer',
      25_000,
    )
    const { code, message } = (await response.json()) as { code?: string; message?: string }
    return { status: response.status, ...(code !== undefined && { code, message }) }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return within(this.#handler.close(), 'closing', 15_000)
  }
}

export function describeProducing(secured: () => Secured): void {
  const scram = () => secured().options('SASL_SSL', 'SCRAM-SHA-512') as Partial<KafkaProduceOptions>

  describe('writing records', () => {
    test('is refused where no ACL allows it, and goes on when one does', async () => {
      const topic = await secured().kafka.createTopic(1)
      const refused = {
        status: 502,
        code: 'KAFKA_AUTHORIZATION',
        message: expect.stringContaining('ACLs do not allow this user'),
      }
      await using writing = new Writing(topic, scram())
      await using onlySeen = new Writing(secured().visible, scram())
      // A client without any right to write is refused before its topic is looked up.
      expect(await writing.post('too early')).toEqual(refused)
      expect(await writing.post('too early, again')).toEqual(refused)
      await secured().tool(
        'kafka-acls',
        ...['--add', '--allow-principal', `User:${reader.name}`],
        ...['--operation', 'Write', '--topic', topic],
      )
      await until(async () => (await writing.post('in time')).status === 200, 'a record', 20_000)
      expect(await onlySeen.post('elsewhere')).toEqual(refused)
      expect(await writing.post('after that')).toEqual({ status: 200 })
      const values = (await readAll(secured().kafka, topic)).map(({ value }) =>
        new TextDecoder().decode(value ?? undefined),
      )
      expect(values).toEqual(['in time', 'after that'])
    })

    test('with a wrong password, or to a broker that cannot be trusted, reports which of them it is', async () => {
      const { authentication, ...options } = scram()
      const wrong = { ...authentication, password: 'not-the-password' } as typeof authentication
      for (const [given, code, state] of [
        [
          { ...options, authentication: wrong },
          'KAFKA_AUTHENTICATION',
          'it refused the credentials',
        ],
        [secured().options('EXPIRED'), 'KAFKA_TLS', 'the certificate of the broker has expired'],
        [secured().options('SSL'), 'KAFKA_TLS', 'it refused our certificate'],
      ] as const) {
        await using writing = new Writing(secured().topic, given as Partial<KafkaProduceOptions>)
        expect(await writing.post('no')).toEqual({
          status: 502,
          code,
          message: expect.stringContaining(state),
        })
      }
    })
  })
}
