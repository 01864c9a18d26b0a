/** What is done with records between Kafka and their frames: nothing by default, otherwise steps. */
import { getLogger } from '@logtape/logtape'
import { KafkaConsumeError } from '../core/errors.ts'
import type { KafkaRecord } from '../port/kafka.ts'

const log = getLogger(['hono-kafka-consume', 'record'])

/** Records of a batch that are under way at a time, where a step has to wait for something. */
const CONCURRENCY = 16
/** Milliseconds of silence after a failure of a record was logged; all of them are counted. */
const QUIET_MS = 10_000

/** Why a record is not what it should be. It is delivered with this, or is a dead letter. */
export interface RecordError {
  /** The step that failed on the record. */
  readonly code: StepCode | 'FORMAT_FAILED'
  /** Reads "Cannot <action>: <state>"; safe to show to a client. */
  readonly message: string
}

/** The codes with which steps fail. */
type StepCode = 'DESERIALIZATION_FAILED' | 'TRANSFORM_FAILED'

/** The same of a step. */
export interface StepError extends RecordError {
  readonly code: StepCode
}

/** The parts of a record that are bytes in Kafka and JSON outside. */
export type RecordField = 'key' | 'value'

/** A record as Kafka has it, and what the steps found out about it. */
export interface ProcessedRecord extends KafkaRecord {
  /** JSON that stands for the key in place of its bytes, on one line. */
  readonly keyJson?: string
  /** The same for the value. */
  readonly valueJson?: string
  /** JSON of further fields, each with a comma before it: Lua functions may add some. */
  readonly extraJson?: string
  /** Fields that are to be shown as base64 of their bytes, since they could not be understood. */
  readonly base64?: readonly RecordField[]
  readonly error?: RecordError
  /** Its offset counts, and moves cursors; no client gets it. */
  readonly dropped?: true
}

/**
 * Prepares one batch. The answer has the same records in the same order.
 *
 * @throws KafkaConsumeError when something that is needed is away (a schema registry, the broker of
 * dead letters): then no record of the batch may be passed over, and who called tries again or
 * fails. What is wrong with a record itself is that record's `error` instead.
 */
export type ProcessBatch = (records: readonly KafkaRecord[]) => Promise<readonly ProcessedRecord[]>

/** A step's word that a record is at fault. */
export class RecordFailure extends Error {
  /** Fields that are to be shown as base64. */
  readonly base64: readonly RecordField[]

  /** @param message Reads "Cannot <action>: <state>"; clients see it. */
  constructor(message: string, base64: readonly RecordField[] = [], cause?: unknown) {
    super(message, { cause })
    this.base64 = base64
  }
}

/** One thing that is done with each record. Steps see only records that the steps before let pass. */
export interface PipelineStep {
  /** The code of the error that a record gets when the step fails on it. */
  readonly code: StepCode
  /**
   * @returns The record as it is from here on, or undefined to drop it.
   * @throws RecordFailure, or anything else, where the record is at fault: it keeps the form that it
   * had before this step. A retryable KafkaConsumeError where the record is not: the batch is
   * prepared again later, so that a step may see a record more than once.
   */
  run(record: ProcessedRecord): ProcessedRecord | undefined | Promise<ProcessedRecord | undefined>
  /** Frees what the step holds. */
  close?(): Promise<void>
}

/**
 * Keeps a record that failed, so that no client needs to get it.
 *
 * @param record As Kafka has it.
 * @returns when it is kept for certain: only then does its offset move on. False where the topic did
 * not take all of it.
 * @throws KafkaConsumeError when it cannot be kept now: the batch is prepared again later.
 */
export type DeadLetter = (record: KafkaRecord, reason: StepError) => Promise<boolean>

/** Records that could not be prepared, since the start; once for each reading of them. */
export interface FailureCounts {
  failed: number
  /** Those of them that are kept as dead letters. */
  deadLetters: number
  /** Those of these that are kept without all that they had. */
  reducedDeadLetters: number
}

/**
 * Steps as one preparation. They run in their order: deserialize, by a schema registry or as JSON;
 * Lua functions, or `transform`. Formats come later, when frames are shown to a client.
 *
 * A record that a step fails on is delivered with its error, or is kept as a dead letter and
 * dropped; its neighbours do not notice.
 *
 * @param deadLetter Absent: failed records are delivered with their errors.
 */
export function pipelineOf(
  steps: readonly PipelineStep[],
  deadLetter?: DeadLetter,
  counts: FailureCounts = { failed: 0, deadLetters: 0, reducedDeadLetters: 0 },
): ProcessBatch {
  const complain = throttledWarning()

  async function failed(
    record: KafkaRecord,
    current: ProcessedRecord,
    { code }: PipelineStep,
    thrown: unknown,
  ): Promise<ProcessedRecord> {
    if (thrown instanceof KafkaConsumeError && thrown.retryable) throw thrown
    complain(record, thrown)
    const known = thrown instanceof RecordFailure
    const error = { code, message: known ? thrown.message : UNKNOWN[code] }
    if (deadLetter) {
      const isWhole = await deadLetter(record, error)
      counts.failed++
      counts.deadLetters++
      if (!isWhole) counts.reducedDeadLetters++
      return { ...record, dropped: true }
    }
    counts.failed++
    return {
      ...current,
      error,
      ...(known && thrown.base64.length > 0 && { base64: thrown.base64 }),
    }
  }

  /** Runs the steps from one on; a promise only where a step has to wait, which costs far more. */
  function run(
    record: KafkaRecord,
    current: ProcessedRecord,
    first: number,
  ): ProcessedRecord | Promise<ProcessedRecord> {
    for (let i = first; i < steps.length; i++) {
      const step = steps[i] as PipelineStep
      const before = current
      try {
        const result = step.run(before)
        if (result instanceof Promise) {
          return result.then(
            (late) => (late ? run(record, late, i + 1) : { ...record, dropped: true }),
            (thrown: unknown) => failed(record, before, step, thrown),
          )
        }
        if (!result) return { ...record, dropped: true }
        current = result
      } catch (thrown) {
        return failed(record, before, step, thrown)
      }
    }
    return current
  }

  return async (records) => {
    const prepared: ProcessedRecord[] = new Array(records.length)
    let next = 0
    const work = async () => {
      while (next < records.length) {
        const index = next++
        try {
          const record = records[index] as KafkaRecord
          const made = run(record, record, 0)
          prepared[index] = made instanceof Promise ? await made : made
        } catch (thrown) {
          next = records.length // The batch has failed: no more of it is begun.
          throw thrown
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, records.length) }, work))
    return prepared
  }
}

/** What is said of a failure whose own words are not meant for clients. */
const UNKNOWN: Readonly<Record<StepCode, string>> = {
  DESERIALIZATION_FAILED: 'Cannot deserialize the record: it is not in the form that was expected',
  TRANSFORM_FAILED: 'Cannot transform the record: the transform failed',
}

/** Where a record is. */
type RecordLocation = Pick<KafkaRecord, 'topic' | 'partition' | 'offset'>

/** Logs failures of records, one in a while: a topic may be full of them. */
export function throttledWarning(): (record: RecordLocation, thrown: unknown) => void {
  let silent = 0
  let until = 0
  return ({ topic, partition, offset }, thrown) => {
    silent++
    if (performance.now() < until) return
    log.warn(
      'Cannot prepare {topic}:{partition} offset {offset}: {error} ({count} since the last)',
      {
        topic,
        partition,
        offset,
        error: thrown instanceof Error ? thrown.message : String(thrown),
        count: silent,
      },
    )
    silent = 0
    until = performance.now() + QUIET_MS
  }
}
