/** The steps that records pass between Kafka and their JSON. There are none by default. */
import { KafkaConsumeError } from '../core/errors.ts'
import { logOf } from '../core/log.ts'
import { mapConcurrently } from '../core/map-concurrently.ts'
import type { KafkaRecord } from '../port/kafka.ts'
import type { ValidatedFields } from './topic-schemas.ts'

const log = logOf('record')

/** The most records of a batch in progress at a time, when a step is asynchronous. */
export const CONCURRENCY = 16
/** Milliseconds after a logged failure without further log lines; all failures are counted. */
const QUIET_MS = 10_000

/** Why a record could not be processed. The record is delivered with this error, or is a dead letter. */
export interface RecordError {
  /** The step that failed on the record. */
  readonly code: StepCode | 'FORMAT_FAILED'
  /** Reads "Cannot <action>: <state>"; safe to show to a client. */
  readonly message: string
}

/** The codes with which steps fail. */
type StepCode = 'DESERIALIZATION_FAILED' | 'TRANSFORM_FAILED' | 'VALIDATION_FAILED'

/** The error of a step. */
export interface StepError extends RecordError {
  readonly code: StepCode
}

/** The fields of a record that are bytes in Kafka and JSON for clients. */
export type RecordField = 'key' | 'value'

/** A record as Kafka has it, with the results of the steps. */
export interface ProcessedRecord extends KafkaRecord {
  /** The key's JSON in place of its bytes, on one line. */
  readonly keyJson?: string
  /** The value's JSON in place of its bytes, on one line. */
  readonly valueJson?: string
  /** The headers' JSON in place of their bytes, on one line. */
  readonly headersJson?: string
  /** The JSON of fields that Lua functions added, each with a comma before it. */
  readonly extraJson?: string
  /** The schemas of fields that a schema registry deserialized, as JSON of a {@link RecordSchema}. */
  readonly schemaJson?: Readonly<Partial<Record<RecordField, string>>>
  /** Fields to encode as base64, since their bytes could not be deserialized. */
  readonly base64?: readonly RecordField[]
  readonly error?: RecordError
  /** The outputs of the topic's schemas, where a handler gets them in place of the fields. */
  readonly outputs?: ValidatedFields
  /** A dropped record moves cursors by its offset, and no client gets it. */
  readonly dropped?: true
}

/**
 * Processes one batch. The result has one entry for each record, in order.
 *
 * @throws KafkaConsumeError during an outage, as of a schema registry or of the dead letters' broker.
 * Then no record of the batch may be passed over: the caller tries again or fails. The failure of a
 * single record is that record's `error` instead.
 */
export type ProcessBatch = (records: readonly KafkaRecord[]) => Promise<readonly ProcessedRecord[]>

/** Thrown by a step that fails on a record. */
export class RecordFailure extends Error {
  /** Fields to encode as base64. */
  readonly base64: readonly RecordField[]

  /** @param message Reads "Cannot <action>: <state>"; it is shown to clients. */
  constructor(message: string, base64: readonly RecordField[] = [], cause?: unknown) {
    super(message, { cause })
    this.base64 = base64
  }
}

/** One step of a pipeline. It gets the records that the steps before it have not dropped. */
export interface PipelineStep {
  /** The code of the error that a record gets when the step fails on it. */
  readonly code: StepCode
  /**
   * @returns The record for the next step, or undefined to drop it.
   * @throws RecordFailure, or anything else, when it fails on the record, which keeps the form that it
   * had before this step. A retryable KafkaConsumeError during an outage: the batch is processed
   * again later, so that a step may get a record more than once.
   */
  run(record: ProcessedRecord): ProcessedRecord | undefined | Promise<ProcessedRecord | undefined>
  /** Frees the step's resources. */
  close?(): Promise<void>
}

/**
 * Writes a failed record to the dead letter topic, so that no client needs to get it.
 *
 * @param record The record as Kafka has it.
 * @returns Resolves once the dead letter is written: false when parts of it were left out.
 * @throws KafkaConsumeError when it cannot be written now: the batch is processed again later.
 */
export type DeadLetter = (record: KafkaRecord, reason: StepError) => Promise<boolean>

/** Records that could not be processed since the start, counted at each reading of them. */
export interface FailureCounts {
  failed: number
  /** Failed records that became dead letters. */
  deadLetters: number
  /** Dead letters written with parts left out. */
  reducedDeadLetters: number
}

/**
 * Makes a pipeline of steps, which run in order: deserialize by a schema registry or as JSON, then Lua
 * functions or `transform`, then the schemas of topics. Formats are applied later, when records are sent
 * to a client.
 *
 * A record that a step fails on is delivered with its error, or becomes a dead letter and is dropped.
 * Other records of the batch are not affected.
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

  /** Runs the steps from `first` on. A promise, which costs far more, is returned only for an asynchronous step. */
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

  return (records) => mapConcurrently(records, CONCURRENCY, (record) => run(record, record, 0))
}

/** Messages for clients of failures whose own messages may tell internals. */
export const UNKNOWN: Readonly<Record<StepCode, string>> = {
  DESERIALIZATION_FAILED: 'Cannot deserialize the record: it is not in the form that was expected',
  TRANSFORM_FAILED: 'Cannot transform the record: the transform failed',
  VALIDATION_FAILED: 'Cannot validate the record: its schema failed',
}

/** The place of a record. */
type RecordLocation = Pick<KafkaRecord, 'topic' | 'partition' | 'offset'>

/** Logs failures of records at a limited rate: a topic may be full of them. */
export function throttledWarning(): (record: RecordLocation, thrown: unknown) => void {
  let silent = 0
  let until = 0
  return ({ topic, partition, offset }, thrown) => {
    silent++
    if (performance.now() < until) return
    log.warn(
      'Cannot process {topic}:{partition} offset {offset}: {error} ({count} since the last)',
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
