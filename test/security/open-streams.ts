import { describe, expect, test } from 'bun:test'
import { reader } from '../../tools/kafka/credentials.ts'
import { Recorder } from '../faults/support/recorder.ts'
import { uncertainIn } from '../faults/support/uncertain.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { until } from '../support/wait.ts'
import type { Secured } from './secured.ts'

const LIMIT = 240_000
const PATIENCE = 80_000
const STEP = 20

/** The broker is started again: nothing else may want it meanwhile. */
export function describeOpenStreams(secured: () => Secured): void {
  describe('streams and a group that are open', () => {
    test(
      'report a password that is changed on the broker, and lose nothing once it is changed back',
      async () => {
        const { broker, kafka } = secured()
        const topic = await kafka.createTopic(1)
        await secured().tool(
          ...(['kafka-acls', '--add', '--allow-principal', `User:${reader.name}`] as const),
          ...['--operation', 'Read', '--topic', topic, '--group', '*'],
        )
        let sent = 0
        const produce = async () => {
          const values = Array.from({ length: STEP }, (_, n) => ({ value: String(sent + n) }))
          await kafka.produce(topic, values)
          sent += STEP
        }
        const setPassword = (password: string) =>
          secured().tool(
            'kafka-configs',
            ...['--alter', '--entity-type', 'users', '--entity-name', reader.name],
            ...['--add-config', `SCRAM-SHA-256=[password=${password}]`],
          )
        await Bun.write(secured().file('stream-password'), reader.password)
        const { gateway, url } = await GatewayProcess.listening([
          ...['--brokers', secured().bootstrapServers('SASL_PLAINTEXT'), '--topics', topic],
          ...['--kafka-mechanism', 'SCRAM-SHA-256', '--kafka-user', reader.name],
          ...['--kafka-password-file', secured().file('stream-password')],
        ])
        await using _ = gateway
        const seen: number[] = []
        const poll = async () => {
          const response = await fetch(`${url}/messages?format=records&timeout=500`)
          const answer = (await response.json()) as { records?: { value: string }[]; code?: string }
          for (const { value } of answer.records ?? []) seen.push(Number(value))
          return answer.code
        }
        const all = () =>
          until(
            async () => {
              await poll()
              return stream.records.length >= sent && new Set(seen).size >= sent
            },
            () =>
              `${sent} records; ${stream.records.length} streamed, ${new Set(seen).size} by group`,
            PATIENCE,
          )
        using stream = new Recorder(`${url}/stream?start=earliest`)
        await produce()
        await all()

        await setPassword('another-one')
        // Kafka does not end authenticated connections when a password changes.
        await broker.kill(1, 'SIGKILL')
        await broker.restart(1)
        await produce()
        await until(
          () => stream.errors.includes('KAFKA_AUTHENTICATION'),
          () => `the stream to be told; it was told ${stream.errors.join(', ')}`,
          PATIENCE,
        )
        await until(
          async () => (await poll()) === 'KAFKA_AUTHENTICATION',
          'the group to be told',
          PATIENCE,
        )
        expect(stream.isClosed).toBe(false)

        await setPassword(reader.password)
        await produce()
        await all()
        const expected = Array.from({ length: sent }, (_, n) => n)
        expect(stream.records.map(({ value }) => Number(value))).toEqual(expected)
        expect(stream.gaps).toEqual([])
        expect([...new Set(seen)].sort((a, b) => a - b)).toEqual(expected)
        expect(seen.length - sent).toBeLessThanOrEqual(uncertainIn(gateway.stderr))
      },
      LIMIT,
    )

    test(
      'report an ACL that is removed for as long as it is missing, and lose nothing once it is back',
      async () => {
        const { kafka } = secured()
        const topic = await kafka.createTopic(1)
        const change = (...action: string[]) =>
          secured().tool(
            ...['kafka-acls', ...action, `User:${reader.name}`],
            ...['--operation', 'Read', '--topic', topic],
          )
        await change('--add', '--allow-principal')
        const { gateway, url } = await GatewayProcess.listening(
          [
            ...['--brokers', secured().bootstrapServers('SASL_PLAINTEXT'), '--topics', topic],
            ...['--kafka-mechanism', 'SCRAM-SHA-256', '--kafka-user', reader.name],
          ],
          { KAFKA_PASSWORD: reader.password },
        )
        await using _ = gateway
        using stream = new Recorder(`${url}/stream?start=earliest`)
        await kafka.produce(topic, [{ value: '0' }])
        await until(() => stream.records.length === 1, 'the first record', PATIENCE)

        await change('--remove', '--force', '--allow-principal')
        await kafka.produce(topic, [{ value: '1' }])
        // The first report ends the stream that was open; the further ones answer reconnections.
        const reports = () => stream.errors.filter((code) => code === 'KAFKA_AUTHORIZATION').length
        await until(() => stream.isClosed || reports() >= 3, 'three reports', PATIENCE)
        expect(stream.isClosed).toBe(false)

        await change('--add', '--allow-principal')
        await kafka.produce(topic, [{ value: '2' }])
        await until(() => stream.records.length >= 3, 'all records', PATIENCE)
        expect(stream.records.map(({ value }) => value)).toEqual(['0', '1', '2'])
        expect(stream.gaps).toEqual([])
      },
      LIMIT,
    )
  })
}
