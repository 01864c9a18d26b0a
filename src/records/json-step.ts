import { jsonOf, NOT_JSON, textOf } from './encode.ts'
import { type PipelineStep, RecordFailure } from './pipeline.ts'

/** The step of `messageDeserializer: 'json'` in a pipeline with further steps. Otherwise encoding parses the JSON. */
export const jsonStep: PipelineStep = {
  code: 'DESERIALIZATION_FAILED',
  run(record) {
    if (record.value === null || record.valueJson !== undefined) return record
    const text = textOf(record.value)
    const valueJson = text === undefined ? undefined : jsonOf(text)
    if (valueJson === undefined) throw new RecordFailure(NOT_JSON.message, ['value'])
    return { ...record, valueJson }
  },
}
