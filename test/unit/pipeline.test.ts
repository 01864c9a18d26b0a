import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import type { KafkaRecord } from '../../src/port/kafka.ts'
import { consumedOf } from '../../src/records/consumed-record.ts'
import { jsonStep } from '../../src/records/json-step.ts'
import {
  type PipelineStep,
  type ProcessedRecord,
  pipelineOf,
  RecordFailure,
} from '../../src/records/pipeline.ts'
import { RecordProcessor } from '../../src/records/record-processor.ts'
import { type Transform, transformStep } from '../../src/records/transform.ts'
import { cpuTime } from '../support/cpu-time.ts'
import { recordAt, settle } from './fakes.ts'

const away = new KafkaConsumeError('KAFKA_UNAVAILABLE', 'Cannot process: something is away')

function records(...values: readonly string[]): KafkaRecord[] {
  return values.map((value, offset) => recordAt(0, offset, value))
}

function stepOf(run: PipelineStep['run']): PipelineStep {
  return { code: 'TRANSFORM_FAILED', run }
}

/** The records that clients get after a transform. */
async function transformed(transform: Transform, ...values: readonly string[]) {
  const processed = await pipelineOf([jsonStep, transformStep(transform)])(records(...values))
  return processed.map((record) => (record.dropped ? 'dropped' : consumedOf(record)))
}

describe('steps of a pipeline', () => {
  test('keep the order of records, however long each record takes', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.nat(4), { maxLength: 60 }), async (delays) => {
        const step = stepOf(async (record) => {
          for (let i = 0; i < (delays[record.offset] as number); i++) await Promise.resolve()
          if (delays[record.offset] === 4) throw new Error('poison')
          return delays[record.offset] === 3 ? undefined : record
        })
        const processed = await pipelineOf([step])(records(...delays.map(String)))
        expect(processed.map(({ offset }) => offset)).toEqual(delays.map((_, offset) => offset))
        expect(processed.map(({ dropped }) => dropped ?? false)).toEqual(delays.map((n) => n === 3))
        expect(processed.map(({ error }) => error?.code)).toEqual(
          delays.map((n) => (n === 4 ? 'TRANSFORM_FAILED' : undefined)),
        )
      }),
    ))

  test('process at most 16 records at a time', async () => {
    let [now, most] = [0, 0]
    const step = stepOf(async (record) => {
      most = Math.max(most, ++now)
      await settle()
      now--
      return record
    })
    await pipelineOf([step])(records(...new Array(50).fill('x')))
    expect(most).toBe(16)
  })

  test('are not called with records that an earlier step dropped or failed on', async () => {
    const seen: number[] = []
    const first = stepOf((record) => {
      if (record.offset === 1) throw new RecordFailure('Cannot use it: it is poison', ['value'])
      return record.offset === 2 ? undefined : record
    })
    const second = stepOf((record) => {
      seen.push(record.offset)
      return record
    })
    const processed = await pipelineOf([first, second])(records('a', 'b', 'c', 'd'))
    expect(seen).toEqual([0, 3])
    expect(consumedOf(processed[1] as ProcessedRecord)).toMatchObject({
      value: btoa('b'),
      encoding: { value: 'base64' },
      error: { code: 'TRANSFORM_FAILED', message: 'Cannot use it: it is poison' },
    })
  })

  test('may throw errors, whose messages do not reach clients', async () => {
    const step = stepOf(() => {
      throw new Error('password is hunter2')
    })
    const [record] = await pipelineOf([step])(records('a'))
    expect(JSON.stringify(consumedOf(record as ProcessedRecord))).not.toContain('hunter2')
  })

  test('fail the batch during an outage, and begin no further record', async () => {
    let begun = 0
    const step = stepOf(async () => {
      begun++
      await settle()
      throw away
    })
    await expect(pipelineOf([step])(records(...new Array(100).fill('x')))).rejects.toBe(away)
    await settle()
    expect(begun).toBe(16)
  })

  test('write a failed record as a dead letter, unchanged, before it is dropped', async () => {
    const kept: Array<[KafkaRecord, string]> = []
    const given = records('{"a":1}', 'poison', '{"b":2}')
    const step = transformStep((record) => {
      if ((record.value as { b?: number }).b) throw new Error('no')
      return record
    })
    const processed = await pipelineOf([jsonStep, step], async (record, reason) => {
      await settle()
      kept.push([record, reason.code])
      return true
    })(given)
    expect(kept).toEqual([
      [given[1] as KafkaRecord, 'DESERIALIZATION_FAILED'],
      [given[2] as KafkaRecord, 'TRANSFORM_FAILED'],
    ])
    expect(processed.map(({ dropped }) => dropped)).toEqual([undefined, true, true])
  })

  test('fail the batch when a dead letter cannot be written', async () => {
    const pipeline = pipelineOf([jsonStep], async () => {
      throw away
    })
    await expect(pipeline(records('poison'))).rejects.toBe(away)
  })
})

describe('a transform', () => {
  test('fails on JSON that is too deep to be written again, at once and on that record only', async () => {
    const deep = `${'['.repeat(60_000)}${']'.repeat(60_000)}`
    const started = cpuTime()
    const step = transformStep((record) => record)
    const processed = await pipelineOf([jsonStep, step])(records('1', deep, '2'))
    // A runtime takes a second to find out by itself, each time.
    expect(cpuTime() - started).toBeLessThan(1_000)
    expect(processed.map(({ error }) => error?.code)).toEqual([
      undefined,
      'TRANSFORM_FAILED',
      undefined,
    ])
  })

  test('may change, replace, leave or drop a record, at once or later', async () => {
    const change: Transform = (record) => {
      const value = record.value as { do: string; n: number }
      if (value.do === 'drop') return null
      if (value.do === 'in place') value.n++
      if (value.do === 'replace') return { key: ['k'], value: 7, headers: { a: ['1', '2'], b: '' } }
      return record
    }
    const values = ['drop', 'in place', 'replace', 'leave'].map((what) =>
      JSON.stringify({ do: what, n: 1 }),
    )
    const now = await transformed(change, ...values)
    expect(now).toMatchObject([
      'dropped',
      { key: 'k1', value: { do: 'in place', n: 2 }, headers: {} },
      { key: ['k'], value: 7, headers: { a: ['1', '2'], b: '' }, offset: 2 },
      { key: 'k0', value: { do: 'leave', n: 1 } },
    ])
    const later = await transformed(
      async (record) => {
        await settle()
        return change(record)
      },
      ...values,
    )
    expect(later).toEqual(now)
  })

  test('keeps the digits of numbers in fields that it does not change', async () => {
    const pipeline = pipelineOf([
      jsonStep,
      transformStep((record) => ({ ...record, headers: { seen: 'yes' } })),
    ])
    const [record] = await pipeline(records('{"id":12345678901234567890.0}'))
    expect(record?.valueJson).toBe('{"id":12345678901234567890.0}')
    expect(record && consumedOf(record).headers).toEqual({ seen: 'yes' })
  })

  test('keeps the bytes and the encoding of fields that it does not change', async () => {
    const raw = { ...recordAt(0, 0), value: Uint8Array.of(0xff) }
    const [record] = await pipelineOf([transformStep((record) => ({ ...record, key: 'new' }))])([
      raw,
    ])
    expect(record && consumedOf(record)).toMatchObject({
      key: 'new',
      value: '/w==',
      encoding: { value: 'base64' },
    })
  })

  test.each([
    ['nothing', () => undefined, 'neither a record nor null'],
    ['text', () => 'text', 'neither a record nor null'],
    [
      'a value that is not valid JSON',
      () => ({ value: () => 1 }),
      'the value that the transform returned is not valid JSON',
    ],
    [
      'no value',
      () => ({ value: undefined }),
      'the value that the transform returned is not valid JSON',
    ],
    ['headers that are not text', () => ({ headers: { a: 1 } }), 'not an object of texts'],
    ['a list of headers', () => ({ headers: ['a'] }), 'not an object of texts'],
    ['a number without end', () => ({ value: 1n }), 'the transform failed'],
  ])(
    'the record is delivered unchanged, with the error, when the transform returns %s',
    async (_, returned, words) => {
      const [record] = await transformed(returned as unknown as Transform, '{"a":1}')
      expect(record).toMatchObject({
        value: { a: 1 },
        error: { code: 'TRANSFORM_FAILED', message: expect.stringContaining(words) },
      })
    },
  )

  test('is not called with a value that could not be deserialized', async () => {
    let calls = 0
    const seen = await transformed(
      (record) => {
        calls++
        return record
      },
      '{"a":1}',
      '{',
      '2',
    )
    expect(calls).toBe(2)
    expect(seen).toMatchObject([
      { value: { a: 1 } },
      { value: btoa('{'), error: { code: 'DESERIALIZATION_FAILED' } },
      { value: 2 },
    ])
  })
})

describe('an outage of a pipeline', () => {
  test('fails a group read at once, and ends with the next success', async () => {
    let isAway = true
    const processor = new RecordProcessor(async (given) => {
      if (isAway) throw away
      return given
    })
    expect(processor.failure()).toBeUndefined()
    await expect(processor.process(records('a'))).rejects.toBe(away)
    expect(processor.outage()).toBeUndefined()
    processor.assertAvailable()
    const failure = processor.failure()
    expect(failure).toMatchObject({ code: away.code, message: away.message })
    await expect(processor.process(records('a'))).rejects.toBe(away)
    expect(processor.failure()).toEqual(failure)
    isAway = false
    await processor.process(records('a'))
    expect(processor.failure()).toBeUndefined()
  })

  test('by an unexpected error is INTERNAL, without its message', async () => {
    const processor = new RecordProcessor(async () => {
      throw new Error('a bug')
    })
    await expect(processor.process(records('a'))).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.not.stringContaining('a bug'),
    })
  })
})
