import { KafkaConsumeError } from '../core/errors.ts'
import { mapConcurrently } from '../core/map-concurrently.ts'
import type { AnyRecord, ConsumedRecord } from './consumed-record.ts'
import { CONCURRENCY, RecordFailure, throttledWarning, UNKNOWN } from './pipeline.ts'
import type { SchemasByTopic, ValidatedFields } from './topic-schemas.ts'
import { validateRecord } from './validate-record.ts'

/**
 * Validates records for handlers of the app, which get what the schemas return: a `Date` stays one.
 * Clients of HTTP get JSON, which the pipeline's step makes.
 */
export class RecordValidator {
  readonly #schemas: SchemasByTopic
  readonly #warn = throttledWarning()

  constructor(schemas: SchemasByTopic) {
    this.#schemas = schemas
  }

  /**
   * Validates records. One that does not fit has an `error`, and the others do not change.
   *
   * @param onFailed Called for each record that does not fit.
   * @throws KafkaConsumeError that a schema throws, when it is retryable.
   */
  validateAll(records: readonly ConsumedRecord[], onFailed: () => void): Promise<AnyRecord[]> {
    return mapConcurrently(records, CONCURRENCY, (record) => this.validate(record, onFailed))
  }

  /** Validates one record, as {@link validateAll} does. A promise only for an asynchronous schema. */
  validate(record: ConsumedRecord, onFailed: () => void): AnyRecord | Promise<AnyRecord> {
    const schemas = this.#schemas.get(record.topic)
    if (!schemas || record.error) return record
    const failed = (thrown: unknown) => {
      onFailed()
      return this.#failed(record, thrown)
    }
    try {
      const outputs = validateRecord(schemas, record)
      if (!(outputs instanceof Promise)) return withOutputs(record, outputs)
      return outputs.then((late) => withOutputs(record, late)).catch(failed)
    } catch (thrown) {
      return failed(thrown)
    }
  }

  /** @throws KafkaConsumeError */
  #failed(record: ConsumedRecord, thrown: unknown): AnyRecord {
    if (thrown instanceof KafkaConsumeError && thrown.retryable) throw thrown
    this.#warn(record, thrown)
    const message = thrown instanceof RecordFailure ? thrown.message : UNKNOWN.VALIDATION_FAILED
    return { ...record, error: { code: 'VALIDATION_FAILED', message } }
  }
}

function withOutputs(record: ConsumedRecord, outputs: ValidatedFields): AnyRecord {
  return { ...record, ...outputs }
}
