import { describe, expect, test } from 'bun:test'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import type { Producer, ProducerRecord } from '../../src/port/producer.ts'
import { deadLettersIn } from '../../src/records/dead-letters.ts'
import { recordAt } from './fakes.ts'

const REASON = { code: 'TRANSFORM_FAILED', message: 'Cannot transform: it is a test' } as const

function producerThat(answer: () => unknown) {
  const sent: ProducerRecord[] = []
  const producer: Producer = {
    async send(records) {
      sent.push(...records)
      const result = answer()
      if (result instanceof KafkaConsumeError && result.code === 'SHUTTING_DOWN') throw result
      return [result as KafkaConsumeError]
    },
  }
  return { sent, keep: deadLettersIn('dead', () => producer) }
}

describe('dead letters', () => {
  test('a record that many clients read is written once', async () => {
    const { sent, keep } = producerThat(() => ({ topic: 'dead', partition: 0, offset: 0 }))
    await Promise.all(Array.from({ length: 20 }, () => keep(recordAt(1, 7), REASON)))
    await keep(recordAt(1, 7), REASON)
    expect(sent).toHaveLength(1)
    await keep(recordAt(2, 7), REASON)
    expect(sent).toHaveLength(2)
  })

  test('the record that was written first is forgotten first', async () => {
    const { sent, keep } = producerThat(() => ({ topic: 'dead', partition: 0, offset: 0 }))
    for (let offset = 0; offset <= 65_536; offset++) await keep(recordAt(0, offset), REASON)
    await keep(recordAt(0, 65_536), REASON)
    expect(sent).toHaveLength(65_537)
    await keep(recordAt(0, 0), REASON)
    expect(sent).toHaveLength(65_538)
  })

  test.each([
    ['UNKNOWN_TOPIC', 'KAFKA_ERROR'],
    ['TOO_MANY_RECORDS', 'KAFKA_ERROR'],
    ['KAFKA_AUTHORIZATION', 'KAFKA_AUTHORIZATION'],
    ['KAFKA_TIMEOUT', 'KAFKA_TIMEOUT'],
    ['SHUTTING_DOWN', 'SHUTTING_DOWN'],
  ] as const)('what cannot be written for %s is tried again', async (given, code) => {
    const failure = new KafkaConsumeError(given, 'Cannot write to Kafka: it is a test')
    let fails = true
    const { sent, keep } = producerThat(() =>
      fails ? failure : { topic: 'dead', partition: 0, offset: 0 },
    )
    await expect(keep(recordAt(0, 1), REASON)).rejects.toMatchObject({ code, retryable: true })
    fails = false
    await keep(recordAt(0, 1), REASON)
    expect(sent).toHaveLength(2)
  })

  test('a record that the dead letter topic rejects in every form is tried again', async () => {
    const tooLarge = new KafkaConsumeError('RECORD_TOO_LARGE', 'Cannot write to Kafka: too large')
    const { sent, keep } = producerThat(() => tooLarge)
    const failure = { code: 'KAFKA_ERROR', message: 'Cannot write a dead letter: too large' }
    await expect(keep(recordAt(0, 1), REASON)).rejects.toMatchObject(failure)
    const forms = sent.length
    expect(forms).toBeGreaterThan(1)
    expect(sent.at(-1)).toMatchObject({ key: null, value: null })
    await expect(keep(recordAt(0, 1), REASON)).rejects.toMatchObject(failure)
    expect(sent).toHaveLength(2 * forms)
  })
})
