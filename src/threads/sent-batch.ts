/** Batches as they travel between threads. */
import { type Batch, headerEntry, type KafkaRecord } from '../port/kafka.ts'
import { type PackedRecords, packRecords } from './packed-records.ts'

/** A batch as it travels between threads. */
export interface SentBatch extends Omit<Batch, 'encoded'> {
  readonly packed: PackedRecords | undefined
}

/** A batch for another thread. Its records are encoded, or copied with each message that has them. */
export function sentBatch({ encoded, records, gaps, ends }: Batch): SentBatch {
  if (encoded) return { records: [], packed: packRecords(encoded), gaps, ends }
  return { records: records.map(sendableRecord), packed: undefined, gaps, ends }
}

/** A record without what the client adds to it, and with headers that keep their names when they are copied. */
function sendableRecord({ headers, ...record }: KafkaRecord): KafkaRecord {
  const { topic, partition, offset, timestamp, key, value } = record
  const sent = { topic, partition, offset, timestamp, key, value }
  if (!headers) return sent
  return { ...sent, headers: headers.map((header) => Object.fromEntries([headerEntry(header)])) }
}
