import { asKafkaConsumeError, KafkaConsumeError } from '../errors.ts'
import type { KafkaRecord, Producer } from '../stream/source.ts'
import type { DeadLetter, StepError } from './prepare.ts'

/** Records that are known to be kept already. Overflow policy: the one kept first is forgotten. */
const MAX_KEPT = 65_536

/** Which of Kafka Connect's stages an error belongs to. */
const STAGES = {
  DESERIALIZATION_FAILED: 'VALUE_CONVERTER',
  TRANSFORM_FAILED: 'TRANSFORMATION',
} as const

const encoder = new TextEncoder()

/**
 * Keeps records that failed in a topic, as they were, with headers that say why and whence: those
 * of Kafka Connect, which its tools know
 * (https://kafka.apache.org/documentation/#connect_errorreporting).
 *
 * Several readers may come by the same record: it is written once, as long as it is remembered.
 *
 * @param producer Asked for with the first record.
 */
export function deadLettersIn(topic: string, producer: () => Producer): DeadLetter {
  const kept = new Map<string, Promise<void>>()
  return (record, reason) => {
    const place = `${record.topic}:${record.partition}:${record.offset}`
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
): Promise<void> {
  const { key, value, timestamp, headers = [] } = record
  let result: unknown
  try {
    const deadLetter = {
      topic,
      key,
      value,
      timestamp,
      headers: [...headers, ...headersOf(record, reason)],
    }
    ;[result] = await producer.send([deadLetter])
  } catch (thrown) {
    result = thrown
  }
  if (!(result instanceof Error)) return
  const { code, message, detail = message } = asKafkaConsumeError(result)
  const state = message.slice(message.indexOf(': ') + 2)
  // Whatever it is, it may be mended, and until then the record is not passed over.
  const isOurs = code.startsWith('KAFKA_') || code === 'SHUTTING_DOWN'
  throw new KafkaConsumeError(
    isOurs ? code : 'KAFKA_ERROR',
    `Cannot keep a dead letter: ${state}`,
    { cause: result, detail: `Cannot keep a dead letter in ${topic}: ${detail}`, retryable: true },
  )
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
