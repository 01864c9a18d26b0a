import { asKafkaConsumeError, type KafkaConsumeError, outageError } from '../core/errors.ts'
import { logOf } from '../core/log.ts'
import type { KafkaOutage, KafkaRecord } from '../port/kafka.ts'
import type { FailureCounts, ProcessBatch, ProcessedRecord } from './pipeline.ts'

const log = logOf('record')

const RETRY_MS = 1_000
/** How long an outage may last before clients that wait for records get an error. */
const PATIENCE_MS = 10_000

/**
 * Processes the records of a feed, for its live consumer, its catch-up reads and the group reads of
 * its routes. A feed whose pipeline has no steps has no processor: its records are encoded as they are.
 *
 * During an outage, as of a schema registry, no record is passed over. The live consumer waits for
 * the end of the outage. Catch-up reads wait {@link PATIENCE_MS} and then fail. Group reads fail at
 * once, and their records are requeued. Streams are told of the live consumer's outage as of an outage
 * of Kafka, with `event: error`.
 */
export class RecordProcessor {
  readonly #processBatch: ProcessBatch
  readonly #close: () => Promise<void>
  /** Records that could not be processed. */
  readonly counts: Readonly<FailureCounts>
  /** Outages that reads wait for, with the start of the wait in `performance.now()`'s time. */
  readonly #waiting = new Map<KafkaOutage, number>()
  /** The outage that the last attempt failed by, and the time of that attempt. */
  #failed: { readonly outage: KafkaOutage; readonly at: number } | undefined
  #logged = -Infinity

  /** @param close Frees the resources of the steps. */
  constructor(
    processBatch: ProcessBatch,
    close: () => Promise<void> = async () => {},
    counts: Readonly<FailureCounts> = { failed: 0, deadLetters: 0, reducedDeadLetters: 0 },
  ) {
    this.#processBatch = processBatch
    this.#close = close
    this.counts = counts
  }

  /** The outage that records have been waiting for the longest. */
  outage(): KafkaOutage | undefined {
    return this.#waiting.keys().next().value
  }

  /**
   * The outage that the last attempt failed by, when that was within the last seconds. Group reads do
   * not wait for its end, and only the next one shows whether it lasts: clients that are told of an
   * outage may send no more requests.
   */
  failure(): KafkaOutage | undefined {
    const isRecent = performance.now() - (this.#failed?.at ?? -Infinity) < PATIENCE_MS
    return isRecent ? this.#failed?.outage : undefined
  }

  /** @throws KafkaConsumeError while an outage has lasted too long to promise records. */
  assertAvailable(): void {
    const outage = this.outage()
    if (outage && this.#isLong(outage)) throw outageError(outage, true)
  }

  /** @throws KafkaConsumeError during an outage. */
  async process(records: readonly KafkaRecord[]): Promise<readonly ProcessedRecord[]> {
    try {
      const processed = await this.#processBatch(records)
      this.#failed = undefined
      return processed
    } catch (thrown) {
      const error = asKafkaConsumeError(thrown)
      const since = this.failure()?.since
      this.#failed = { outage: outageOf(error, since), at: performance.now() }
      this.#report(error)
      throw error
    }
  }

  /**
   * Processes records, again and again during an outage.
   *
   * @param signal Ends the wait.
   * @param patient Whether to wait however long an outage lasts.
   * @returns undefined when the signal came first.
   * @throws KafkaConsumeError when an outage lasts too long and `patient` is false.
   */
  async processWithRetries(
    records: readonly KafkaRecord[],
    signal: AbortSignal,
    patient: boolean,
  ): Promise<readonly ProcessedRecord[] | undefined> {
    const { promise: ended, resolve: end } = Promise.withResolvers<undefined>()
    const onAbort = () => end(undefined)
    signal.addEventListener('abort', onAbort)
    let outage: KafkaOutage | undefined
    try {
      while (!signal.aborted) {
        try {
          return await Promise.race([this.process(records), ended])
        } catch (thrown) {
          const error = asKafkaConsumeError(thrown)
          outage ??= this.#wait(error)
          if (!patient && this.#isLong(outage)) throw error
        }
        await Promise.race([new Promise((resolve) => setTimeout(resolve, RETRY_MS)), ended])
      }
      return undefined
    } finally {
      signal.removeEventListener('abort', onAbort)
      if (outage) this.#waiting.delete(outage)
    }
  }

  close(): Promise<void> {
    return this.#close()
  }

  #wait(error: KafkaConsumeError): KafkaOutage {
    const outage = outageOf(error)
    this.#waiting.set(outage, performance.now())
    return outage
  }

  #isLong(outage: KafkaOutage): boolean {
    return performance.now() - (this.#waiting.get(outage) ?? Infinity) >= PATIENCE_MS
  }

  #report(error: KafkaConsumeError): void {
    if (performance.now() - this.#logged < PATIENCE_MS) return
    this.#logged = performance.now()
    log.error('Cannot process records, trying again: {error}', {
      error: error.detail ?? error.message,
    })
  }
}

function outageOf(
  { code, message, detail = message }: KafkaConsumeError,
  since = Date.now(),
): KafkaOutage {
  return { code, message, detail, since }
}
