import { asKafkaConsumeError, type ErrorCode, KafkaConsumeError } from '../core/errors.ts'
import { partitionKey } from '../core/topic-partition.ts'
import type { KafkaRecord, Producer, ProducerRecord } from '../port/kafka.ts'
import type { DeadLetter, StepError } from './pipeline.ts'

/** Records that are known to be kept already. Overflow policy: the one kept first is forgotten. */
const MAX_KEPT = 65_536

/** Which of Kafka Connect's stages an error belongs to. */
const STAGES = {
  DESERIALIZATION_FAILED: 'VALUE_CONVERTER',
  TRANSFORM_FAILED: 'TRANSFORMATION',
} as const

/** What a dead letter goes without, in turn, where its topic does not take it as it is. */
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
 * Several readers may come by the same record: it is written once, as long as it is remembered.
 *
 * No record is to stand in the way of all behind it for ever: of one that the topic does not take, as
 * for its size, as much is kept as the topic takes.
 *
 * @param producer Asked for with the first record.
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

/** @returns Why it was not written, if it was not. */
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
  // Whatever it is, it may be mended, and until then the record is not passed over.
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
