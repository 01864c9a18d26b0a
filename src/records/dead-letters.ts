import { asKafkaConsumeError, type ErrorCode, KafkaConsumeError } from '../core/errors.ts'
import { partitionKey } from '../core/topic-partition.ts'
import type { KafkaRecord, Producer, ProducerRecord } from '../port/kafka.ts'
import type { DeadLetter, StepError } from './pipeline.ts'

/** The most records that are remembered as written. Overflow policy: the oldest is forgotten. */
const MAX_KEPT = 65_536

/** Kafka Connect's stage of each error. */
const STAGES = {
  DESERIALIZATION_FAILED: 'VALUE_CONVERTER',
  TRANSFORM_FAILED: 'TRANSFORMATION',
} as const

/** The parts to leave out, in turn, when the topic rejects a dead letter. */
const REDUCTIONS: Partial<Record<ErrorCode, ReadonlyArray<readonly DeadLetterPart[]>>> = {
  RECORD_TOO_LARGE: [['value'], ['key', 'headers']],
  INVALID_RECORD: [['timestamp']],
}

type DeadLetterPart = 'key' | 'value' | 'headers' | 'timestamp'

const encoder = new TextEncoder()

/**
 * Keeps records that failed in a topic, as they were, with headers that say why and whence: those
 * of Kafka Connect, which its tools know
 * (https://kafka.apache.org/documentation/#connect_errorreporting).
 *
 * A record that several reads fail on is written once, as long as it is remembered.
 *
 * A record must not hold up all records behind it for ever. When the topic rejects a dead letter, as
 * for its size, it is written with parts left out.
 *
 * @param producer Called with the first failed record.
 */
export function deadLettersIn(topic: string, producer: () => Producer): DeadLetter {
  const kept = new Map<string, Promise<boolean>>()
  return (record, reason) => {
    const place = `${partitionKey(record)}:${record.offset}`
    const known = kept.get(place)
    if (known) return known
    const keeping = keep(topic, producer(), record, reason)
    kept.set(place, keeping)
    keeping.catch(() => kept.delete(place))
    const [oldest] = kept.keys()
    if (kept.size > MAX_KEPT) kept.delete(oldest as string)
    return keeping
  }
}

async function keep(
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
    if (!next) throw cannotKeep(topic, refusal)
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

function cannotKeep(topic: string, refusal: KafkaConsumeError): KafkaConsumeError {
  const { code, message, state, detail = message } = refusal
  // The cause may be fixed later. Until then the record is not passed over.
  const isOurs = code.startsWith('KAFKA_') || code === 'SHUTTING_DOWN'
  return new KafkaConsumeError(
    isOurs ? code : 'KAFKA_ERROR',
    `Cannot keep a dead letter: ${state}`,
    { cause: refusal, detail: `Cannot keep a dead letter in ${topic}: ${detail}`, retryable: true },
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
  const isKept = (part: DeadLetterPart) => !omitted.includes(part)
  return {
    topic,
    key: isKept('key') ? key : null,
    value: isKept('value') ? value : null,
    timestamp: isKept('timestamp') ? timestamp : undefined,
    headers: [
      ...(isKept('headers') ? headers : []),
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
