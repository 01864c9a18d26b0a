import { getLogger } from '@logtape/logtape'
import { asKafkaConsumeError, type KafkaConsumeError, outageError } from '../core/errors.ts'
import type { KafkaOutage, KafkaRecord } from '../port/kafka.ts'
import type { FailureCounts, ProcessBatch, ProcessedRecord } from './pipeline.ts'

const log = getLogger(['hono-kafka-consume', 'record'])

const RETRY_MS = 1_000
/** How long what preparing needs may be away before those who wait for records are told. */
const PATIENCE_MS = 10_000

/**
 * The preparation of a feed's records, shared by its tail, its replays and the group reads of its
 * routes; a feed that needs none has none, and its records are encoded without waiting.
 *
 * While something that it needs is away, nothing is passed over: the tail waits until it is back,
 * replays wait {@link PATIENCE_MS} and then fail, group reads fail at once and their records are
 * handed back. What the tail waits for is the feed's problem, which streams are told like one of
 * Kafka's, with `event: error`.
 */
export class RecordProcessor {
  readonly #prepare: ProcessBatch
  readonly #close: () => Promise<void>
  /** What it could not prepare. */
  readonly counts: Readonly<FailureCounts>
  /** What is waited for now, and since when, in `performance.now()`'s time. */
  readonly #waiting = new Map<KafkaOutage, number>()
  /** Of the last attempt, where it failed: since when that is so, and when it was, as above. */
  #failed: { readonly problem: KafkaOutage; readonly at: number } | undefined
  #logged = -Infinity

  /** @param close Frees what preparing holds. */
  constructor(
    prepare: ProcessBatch,
    close: () => Promise<void> = async () => {},
    counts: Readonly<FailureCounts> = { failed: 0, deadLetters: 0, reducedDeadLetters: 0 },
  ) {
    this.#prepare = prepare
    this.#close = close
    this.counts = counts
  }

  /** What records have been waiting for the longest. */
  outage(): KafkaOutage | undefined {
    return this.#waiting.keys().next().value
  }

  /**
   * What the last attempt failed for, a moment ago. Group reads do not wait for it: whether it
   * lasts, only the next one tells, and who is told of trouble may send no more.
   */
  failure(): KafkaOutage | undefined {
    const isRecent = performance.now() - (this.#failed?.at ?? -Infinity) < PATIENCE_MS
    return isRecent ? this.#failed?.problem : undefined
  }

  /** @throws KafkaConsumeError while records have been waiting for too long to promise any. */
  assertAble(): void {
    const problem = this.outage()
    if (problem && this.#isLong(problem)) throw outageError(problem, true)
  }

  /** @throws KafkaConsumeError when it is not possible now. */
  async once(records: readonly KafkaRecord[]): Promise<readonly ProcessedRecord[]> {
    try {
      const prepared = await this.#prepare(records)
      this.#failed = undefined
      return prepared
    } catch (thrown) {
      const error = asKafkaConsumeError(thrown)
      const since = this.failure()?.since
      this.#failed = { problem: problemOf(error, since), at: performance.now() }
      this.#report(error)
      throw error
    }
  }

  /**
   * Tries until it is possible.
   *
   * @param signal Ends the waiting.
   * @param patient Whether to wait for ever.
   * @returns undefined when the signal came first.
   * @throws KafkaConsumeError when patience is over.
   */
  async insist(
    records: readonly KafkaRecord[],
    signal: AbortSignal,
    patient: boolean,
  ): Promise<readonly ProcessedRecord[] | undefined> {
    const { promise: ended, resolve: end } = Promise.withResolvers<undefined>()
    const onAbort = () => end(undefined)
    signal.addEventListener('abort', onAbort)
    let problem: KafkaOutage | undefined
    try {
      while (!signal.aborted) {
        try {
          return await Promise.race([this.once(records), ended])
        } catch (thrown) {
          const error = asKafkaConsumeError(thrown)
          problem ??= this.#wait(error)
          if (!patient && this.#isLong(problem)) throw error
        }
        await Promise.race([new Promise((resolve) => setTimeout(resolve, RETRY_MS)), ended])
      }
      return undefined
    } finally {
      signal.removeEventListener('abort', onAbort)
      if (problem) this.#waiting.delete(problem)
    }
  }

  close(): Promise<void> {
    return this.#close()
  }

  #wait(error: KafkaConsumeError): KafkaOutage {
    const problem = problemOf(error)
    this.#waiting.set(problem, performance.now())
    return problem
  }

  #isLong(problem: KafkaOutage): boolean {
    return performance.now() - (this.#waiting.get(problem) ?? Infinity) >= PATIENCE_MS
  }

  #report(error: KafkaConsumeError): void {
    if (performance.now() - this.#logged < PATIENCE_MS) return
    this.#logged = performance.now()
    log.error('Cannot prepare records, trying again: {error}', {
      error: error.detail ?? error.message,
    })
  }
}

function problemOf(
  { code, message, detail = message }: KafkaConsumeError,
  since = Date.now(),
): KafkaOutage {
  return { code, message, detail, since }
}
