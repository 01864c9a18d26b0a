import { asKafkaConsumeError, type ErrorCode, KafkaConsumeError } from '../core/errors.ts'
import { LruMap } from '../core/lru-map.ts'
import { partitionKey } from '../core/topic-partition.ts'
import type { KafkaRecord } from '../port/kafka.ts'
import type { Producer, ProducerRecord } from '../port/producer.ts'
import type { DeadLetter, StepError } from './pipeline.ts'

/** The most records that are remembered as written. Overflow policy: {@link LruMap}'s. */
const MAX_REMEMBERED = 65_536

/** Kafka Connect's stage of each error. */
const STAGES = {
  DESERIALIZATION_FAILED: 'VALUE_CONVERTER',
  TRANSFORM_FAILED: 'TRANSFORMATION',
  VALIDATION_FAILED: 'TRANSFORMATION',
} as const

/** The parts to leave out, in turn, when the topic rejects a dead letter. */
const REDUCTIONS: Partial<Record<ErrorCode, ReadonlyArray<readonly DeadLetterPart[]>>> = {
  RECORD_TOO_LARGE: [['value'], ['key', 'headers']],
  INVALID_RECORD: [['timestamp']],
}

type DeadLetterPart = 'key' | 'value' | 'headers' | 'timestamp'

const encoder = new TextEncoder()

/**
 * Writes failed records to a topic unchanged, with Kafka Connect's headers for the error and the
 * record's position (https://kafka.apache.org/documentation/#connect_errorreporting).
 *
 * A record that fails in several reads is written once, as long as it is remembered.
 *
 * A record must not hold up all records behind it for ever. When the topic rejects a dead letter, as
 * for its size, it is written with parts left out.
 *
 * @param producer Called with the first failed record.
 */
export function deadLettersIn(topic: string, producer: () => Producer): DeadLetter {
  const writes = new LruMap<string, Promise<boolean>>(MAX_REMEMBERED)
  return (record, reason) => {
    const key = `${partitionKey(record)}:${record.offset}`
    const known = writes.get(key)
    if (known) return known
    const write = writeLetter(topic, producer(), record, reason)
    writes.set(key, write)
    write.catch(() => writes.delete(key))
    return write
  }
}

async function writeLetter(
  topic: string,
  producer: Producer,
  record: KafkaRecord,
  reason: StepError,
): Promise<boolean> {
  const omitted: DeadLetterPart[] = []
  while (true) {
    const refusal = await send(producer, letterOf(topic, record, reason, omitted))
    if (!refusal) return omitted.length === 0
    const [next] = (REDUCTIONS[refusal.code] ?? [])
      .map((parts) => parts.filter((part) => has(record, part) && !omitted.includes(part)))
      .filter((parts) => parts.length > 0)
    if (!next) throw cannotWrite(topic, refusal)
    omitted.push(...next)
  }
}

/** @returns Why the dead letter was not written; undefined when it was. */
async function send(
  producer: Producer,
  letter: ProducerRecord,
): Promise<KafkaConsumeError | undefined> {
  try {
    const [result] = await producer.send([letter])
    return result instanceof KafkaConsumeError ? result : undefined
  } catch (thrown) {
    return asKafkaConsumeError(thrown)
  }
}

function cannotWrite(topic: string, refusal: KafkaConsumeError): KafkaConsumeError {
  const { code, message, state, detail = message } = refusal
  // Retryable: the cause may be fixed later, and until then the record must not be skipped.
  const isOurs = code.startsWith('KAFKA_') || code === 'SHUTTING_DOWN'
  return new KafkaConsumeError(
    isOurs ? code : 'KAFKA_ERROR',
    `Cannot write a dead letter: ${state}`,
    {
      cause: refusal,
      detail: `Cannot write a dead letter in ${topic}: ${detail}`,
      retryable: true,
    },
  )
}

function has(record: KafkaRecord, part: DeadLetterPart): boolean {
  return record[part] !== null && record[part] !== undefined
}

function letterOf(
  topic: string,
  record: KafkaRecord,
  reason: StepError,
  omitted: readonly DeadLetterPart[],
): ProducerRecord {
  const { key, value, timestamp, headers = [] } = record
  const isIncluded = (part: DeadLetterPart) => !omitted.includes(part)
  return {
    topic,
    once: [partitionKey(record), record.offset, ...omitted].join(' '),
    key: isIncluded('key') ? key : null,
    value: isIncluded('value') ? value : null,
    timestamp: isIncluded('timestamp') ? timestamp : undefined,
    headers: [
      ...(isIncluded('headers') ? headers : []),
      ...headersOf(record, reason),
      ...(omitted.length > 0
        ? [{ 'hono-kafka-consume.omitted': encoder.encode(omitted.join(',')) }]
        : []),
    ],
  }
}

function headersOf(
  { topic, partition, offset }: KafkaRecord,
  { code, message }: StepError,
): NonNullable<KafkaRecord['headers']> {
  return Object.entries({
    topic,
    partition: String(partition),
    offset: String(offset),
    'connector.name': 'hono-kafka-consume',
    stage: STAGES[code],
    'exception.class.name': code,
    'exception.message': message,
  }).map(([name, text]) => ({ [`__connect.errors.${name}`]: encoder.encode(text) }))
}
