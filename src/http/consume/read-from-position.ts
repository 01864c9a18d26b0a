import { KafkaConsumeError } from '../../core/errors.ts'
import type { Subscription } from '../../feed/subscription.ts'
import type { Gap, PollLimits } from '../../port/kafka.ts'
import { type AnswerMemory, tooManyAnswers } from '../response/answer-budget.ts'
import type { Slice } from '../response/body.ts'

/** How long Kafka may bring nothing although there are records. */
const PATIENCE_MS = 10_000

/** Milliseconds that the filter of one request may take: what is left is for the next page. */
const FILTER_TIME_MS = 1_000

/** What one read from a position brought. */
export interface PositionRead {
  readonly slices: readonly Slice[]
  readonly gaps: readonly Gap[]
}

/**
 * Reads until a limit is reached or nothing more is at hand, waiting for a first record as long as
 * the limits allow. The subscription's cursor tells where to go on; where a filter has taken long, it
 * has come so far as the filter, and there may be no record.
 *
 * @param memory Where the records' bytes are counted; the caller releases it. Default: nowhere.
 * @throws KafkaConsumeError when Kafka cannot be read, or there is no memory for a first record.
 */
export async function readFromPosition(
  subscription: Subscription,
  limits: PollLimits,
  signal: AbortSignal,
  memory?: AnswerMemory,
): Promise<PositionRead> {
  const slices: Slice[] = []
  const gaps: Gap[] = []
  let records = limits.maxRecords
  let bytes = limits.maxBytes
  const until = performance.now() + limits.timeout
  const search = { filterTime: FILTER_TIME_MS, until: until + PATIENCE_MS }
  const begin = subscription.cursor.vector.slice()
  const hasMoved = () => subscription.cursor.vector.some((offset, i) => offset !== begin[i])
  const stop = () => subscription.stop()
  signal.addEventListener('abort', stop)
  try {
    while (records > 0 && bytes > 0 && !signal.aborted) {
      const ready = await subscription.fill(records, search)
      // A first record passes whatever its size; a further one must fit.
      if (slices.length > 0 && subscription.nextBytes > bytes) break
      if (!ready) {
        if (subscription.isAtEnd && slices.length > 0) break
        if (subscription.hasSpent(search) && hasMoved()) break
        const left = until - performance.now()
        if (left <= 0 && subscription.isAtEnd) break
        // Behind the ring there is more to come, which the timeout for a first record is not for.
        if (left < -PATIENCE_MS) {
          if (slices.length > 0) break
          throw new KafkaConsumeError(
            'KAFKA_TIMEOUT',
            'Cannot read from Kafka: it did not answer in time',
          )
        }
        await subscription.wait(left)
        continue
      }
      const room = memory ? memory.claim(bytes, subscription.nextBytes) : bytes
      if (room === 0 && slices.length > 0) break
      if (room === 0) throw tooManyAnswers()
      const part = await subscription.next({ records, bytes: room })
      let taken = 0
      if (part && 'gap' in part) {
        gaps.push(part.gap)
      } else if (part) {
        slices.push(part)
        records -= part.end - part.begin
        taken = part.batch.eventBytes(part.begin, part.end)
        bytes -= taken
      }
      memory?.resize(memory.bytes - room + taken)
    }
  } catch (error) {
    // Nobody is to go on with what has failed.
    subscription.stop()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
  return { slices, gaps }
}
